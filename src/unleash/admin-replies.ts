import { z } from 'zod';

/** One strategy of a flag in one environment. */
export interface AdminStrategy {
  readonly id: string;
  /** For example `flexibleRollout`. */
  readonly name: string;
  readonly title: string | undefined;
  /** A disabled strategy is shown in the UI and never evaluated. */
  readonly disabled: boolean;
  /** Unleash keeps numbers as text: `{ rollout: '10' }`. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** A tag, as it is shown beside the flag's name. */
export interface AdminTag {
  /** One of Unleash's tag types; `simple` always exists. */
  readonly type: string;
  /** 2–50 characters. */
  readonly value: string;
}

/** A link on the flag's page. */
export interface AdminLink {
  readonly url: string;
  readonly title: string | undefined;
}

/** A flag as it is in one environment. */
export interface AdminFlag {
  readonly key: string;
  readonly project: string;
  readonly type: string;
  readonly enabled: boolean;
  readonly strategies: readonly AdminStrategy[];
  readonly links: readonly AdminLink[];
}

/** The flag's one active strategy and its percentage, when that is a gradual rollout; undefined otherwise. */
export function gradualRolloutOf({
  strategies,
}: AdminFlag): { readonly strategyId: string; readonly percentage: number } | undefined {
  const [strategy, ...others] = strategies.filter(({ disabled }) => !disabled);
  if (strategy?.name !== 'flexibleRollout' || others.length > 0) return undefined;
  return { strategyId: strategy.id, percentage: Number(strategy.parameters.rollout ?? Number.NaN) };
}

/** One entry of a flag's history. */
export interface AdminEvent {
  readonly id: number;
  /** For example `feature-environment-disabled`. */
  readonly type: string;
  /** The user's name, or the token's. */
  readonly createdBy: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** Undefined for what concerns the flag in every environment. */
  readonly environment: string | undefined;
}

const optionalText = z
  .string()
  .nullish()
  .transform((text) => text ?? undefined);

/** The answer to `GET /api/admin/projects/:project/features/:feature`. */
export const flagAnswer = z.object({
  name: z.string(),
  project: z.string(),
  type: z.string(),
  environments: z.array(
    z.object({
      name: z.string(),
      enabled: z.boolean(),
      strategies: z
        .array(
          z.object({
            id: z.string(),
            name: z.string(),
            title: optionalText,
            disabled: z
              .boolean()
              .nullish()
              .transform((disabled) => disabled ?? false),
            parameters: z.record(z.string(), z.coerce.string()).default({}),
          }),
        )
        .default([]),
    }),
  ),
  // Older than Unleash 7: no links at all.
  links: z.array(z.object({ url: z.string(), title: optionalText })).default([]),
});

/** The answer to `GET /api/admin/events/:feature`. */
export const historyAnswer = z.object({
  events: z.array(
    z.object({
      id: z.number(),
      type: z.string(),
      createdBy: z.string(),
      createdAt: z.iso.datetime({ offset: true }).transform(Date.parse),
      environment: optionalText,
    }),
  ),
});

/** How Unleash says what went wrong; proxies in front of it say it in other ways. */
export const failureAnswer = z.object({
  name: z.string().optional(),
  message: z.string().optional(),
  details: z.array(z.object({ message: z.string().optional() })).optional(),
});
