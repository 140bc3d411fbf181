import { z } from 'zod';

const optionalText = z
  .string()
  .nullish()
  .transform((text) => text ?? undefined);

/** A strategy, which the API for SDKs shows without `id` and `title`. */
export const strategySchema = z.lazy(() =>
  z.object({
    id: z.string(),
    /** For example `flexibleRollout`. */
    name: z.string(),
    title: optionalText,
    /** A disabled strategy is shown in the UI and never evaluated. */
    disabled: z
      .boolean()
      .nullish()
      .transform((disabled) => disabled ?? false),
    /** Unleash keeps numbers as text: `{ rollout: '10' }`. */
    parameters: z
      .record(z.string(), z.coerce.string())
      .nullish()
      .transform((parameters) => parameters ?? {}),
    /** Whom the strategy is for. */
    constraints: z
      .array(
        z.object({ contextName: z.string(), operator: z.string(), values: z.array(z.string()).nullish() }),
      )
      .nullish(),
  }),
);

const linkSchema = z.object({ id: optionalText, url: z.string(), title: optionalText });

/** The reply to `GET /api/admin/features/:feature/tags`. */
export const tagsReply = z.lazy(() =>
  z.object({ tags: z.array(z.object({ type: z.string(), value: z.string() })) }),
);

/** The reply to `GET /api/admin/projects/:project/features/:feature`. */
export const flagReply = z.lazy(() =>
  z.object({
    name: z.string(),
    project: z.string(),
    type: z.string(),
    environments: z.array(
      z.object({ name: z.string(), enabled: z.boolean(), strategies: z.array(strategySchema).default([]) }),
    ),
    // Older than Unleash 7: no links at all.
    links: z.array(linkSchema).default([]),
  }),
);

const eventSchema = z.lazy(() =>
  z.object({
    id: z.number(),
    /** For example `feature-environment-disabled`. */
    type: z.string(),
    /** The user's name, or the token's. */
    createdBy: z.string(),
    /** Milliseconds since 1970. */
    createdAt: z.iso.datetime({ offset: true }).transform(Date.parse),
    /** Undefined for what concerns the flag in every environment. */
    environment: optionalText,
    /** The flag's project afterwards. */
    project: optionalText,
    /** The kind of the tag, of what adds or removes one. */
    data: z
      .object({ type: z.string().optional().catch(undefined) })
      .nullish()
      .catch(undefined),
  }),
);

/** The reply to `GET /api/admin/events/:feature`. */
export const historyReply = z.object({ events: z.array(eventSchema) });

/** The body of a failed reply of Unleash; proxies in front of it have other forms. */
export const failureReply = z.lazy(() =>
  z.object({
    name: z.string().optional(),
    message: z.string().optional(),
    details: z.array(z.object({ message: z.string().optional() })).optional(),
  }),
);

/** One strategy of a flag in one environment. */
type AdminStrategy = Readonly<z.infer<typeof strategySchema>>;

/** A link on the flag's page, as Unleash shows it. */
export type ShownLink = Readonly<z.infer<typeof linkSchema>>;

/** A link on the flag's page. */
export interface AdminLink {
  readonly url: string;
  readonly title: string;
}

/** One entry of a flag's history. */
export type AdminEvent = Readonly<z.infer<typeof eventSchema>>;

/** A kind of tags. */
export interface AdminTagType {
  /** 2–50 letters, digits and `-`. */
  readonly name: string;
  readonly description: string;
  /** One or two characters, or an emoji. */
  readonly icon: string;
}

/** A flag as it is in one environment. */
export interface AdminFlag {
  readonly key: string;
  readonly project: string;
  readonly type: string;
  readonly enabled: boolean;
  readonly strategies: readonly AdminStrategy[];
  readonly links: readonly ShownLink[];
}

/** The flag's one active strategy and its percentage, when that is a gradual rollout; undefined otherwise. */
export function gradualRolloutOf({
  strategies,
}: AdminFlag): { readonly strategyId: string; readonly percentage: number } | undefined {
  const [strategy, ...others] = strategies.filter(({ disabled }) => !disabled);
  if (strategy?.name !== 'flexibleRollout' || others.length > 0) return undefined;
  return { strategyId: strategy.id, percentage: Number(strategy.parameters.rollout ?? Number.NaN) };
}
