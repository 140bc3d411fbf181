import { z } from 'zod';
import { strategySchema } from '../unleash/admin-replies.js';
import { userReply } from '../unleash/admin-rights.js';
import type { Answer } from './observations.js';

const strategyAnswer = strategySchema.unwrap().omit({ id: true, title: true });

/** A strategy as both tokens see it. */
export type SeenStrategy = Readonly<z.infer<typeof strategyAnswer>>;

/** The answer to `GET /api/client/features`. */
const featuresAnswer = z.object({
  features: z.array(
    z.object({
      name: z.string(),
      enabled: z.boolean(),
      strategies: z
        .array(strategyAnswer)
        .nullish()
        .transform((strategies) => strategies ?? []),
    }),
  ),
  /** What the token may see. */
  query: z
    .object({
      project: z.union([z.string(), z.array(z.string())]).optional(),
      environment: z.string().optional(),
    })
    .optional(),
});

/** The answer to `GET /api/admin/projects/:project/change-requests/config`. */
const changeRequestsAnswer = z.array(
  z.object({ environment: z.string(), changeRequestEnabled: z.boolean() }),
);

const reader =
  <S extends z.ZodType>(schema: S) =>
  (answer: Answer): z.output<S> | undefined =>
    'status' in answer && answer.status === 200 ? schema.safeParse(answer.json).data : undefined;

/** Undefined without a reply, for a failure, or when it is not Unleash's. */
export const readFeatures = reader(featuresAnswer);
/** Undefined without a reply, for a failure, or when it is not Unleash's. */
export const readUser = reader(userReply);
/** Undefined without a reply, for a failure, or when it is not Unleash's. */
export const readChangeRequests = reader(changeRequestsAnswer);

/** Whether Unleash has nothing at the path at all, by its message: a 404 alone may also mean an unknown project. */
export function isUnknownPath(answer: Answer): boolean {
  if (!('status' in answer) || answer.status !== 404) return false;
  const reply = z.object({ message: z.string() }).safeParse(answer.json).data;
  return reply?.message.startsWith('The path you were looking for') === true;
}
