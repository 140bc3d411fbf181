import { z } from 'zod';

/** The reply to `GET /api/admin/user`. Everything else in it, a token's secret among them, is left behind. */
export const userReply = z.lazy(() =>
  z.object({
    user: z
      .object({ username: z.string().nullish(), name: z.string().nullish(), email: z.string().nullish() })
      .optional(),
    permissions: z.array(
      z.object({
        permission: z.string(),
        project: z.string().nullish(),
        environment: z.string().nullish(),
      }),
    ),
  }),
);

/** One permission of a token's owner; without project or environment it applies everywhere. */
export type Permission = z.infer<typeof userReply>['permissions'][number];

/** Where a permission must apply. */
interface Place {
  readonly project: string;
  readonly environment: string;
}

/** Unleash's own rule: a permission without project or environment, or with `*`, applies to all of them. */
export function hasPermission(permissions: readonly Permission[], wanted: string, place: Place): boolean {
  const fits = (limit: string | null | undefined, value: string) =>
    !limit || limit === '*' || limit === value;
  return permissions.some(
    ({ permission, project, environment }) =>
      permission === wanted && fits(project, place.project) && fits(environment, place.environment),
  );
}

/** The same, or an administrator, who may do everything. */
export function mayDo(permissions: readonly Permission[], wanted: string, place: Place): boolean {
  return hasPermission(permissions, wanted, place) || hasPermission(permissions, 'ADMIN', place);
}

const date = z.iso
  .datetime({ offset: true })
  .transform(Date.parse)
  .nullish()
  .transform((time) => time ?? undefined);

/** The reply to `GET /api/admin/user/tokens`: the personal access tokens of the token's user, without their secrets. */
export const userTokensReply = z.lazy(() =>
  z.object({
    pats: z.array(
      z.object({
        description: z
          .string()
          .nullish()
          .transform((text) => text ?? ''),
        expiresAt: date,
        seenAt: date,
      }),
    ),
  }),
);

/** A personal access token. Times are milliseconds since 1970. */
type UserToken = Readonly<z.infer<typeof userTokensReply>['pats'][number]>;

/** The reply to `GET /api/admin/api-tokens/:name`. */
export const apiTokensReply = z.lazy(() =>
  z.object({
    tokens: z.array(z.object({ secret: z.string(), expiresAt: date })),
  }),
);

/** When the token of a request expires, as far as Unleash shows that. */
export interface TokenExpiry {
  /** Milliseconds since 1970; undefined when it does not expire, or Unleash does not show it. */
  readonly expiresAt: number | undefined;
  /** Whether Unleash shows it at all. */
  readonly isKnown: boolean;
  /** The name of the token's user; undefined for an API token. */
  readonly user: string | undefined;
  /**
   * How many tokens it may be: Unleash lists a user's tokens without their secrets, and `expiresAt` is the earliest of those
   * that it may be.
   */
  readonly candidates: number;
}

/** Unleash shows nothing of when the token expires. */
export const UNKNOWN_EXPIRY: TokenExpiry = {
  expiresAt: undefined,
  isKnown: false,
  user: undefined,
  candidates: 0,
};

/** What a token may do, and for how long. */
export interface AdminAccess {
  /** Whether it may turn the flag off in its project and environment; undefined when Unleash does not show it. */
  readonly mayToggle: boolean | undefined;
  /** Undefined when it could not be read, and may be later. */
  readonly expiry: TokenExpiry | undefined;
}

/** Unleash notes every three minutes which tokens were used. */
const SEEN_AFTER_MS = 10 * 60_000;

/** A token that is in use every hour was seen last within this time. */
const SEEN_WITHIN_MS = 70 * 60_000;

/**
 * The expiry of a token that Unleash has just accepted, among its user's tokens. Those that have expired are others.
 * Once the token has been in use for a while, so are those that have not been seen lately.
 *
 * @param usedForMs - For how long the token has been in use here, at least hourly.
 */
export function ownExpiry(
  tokens: readonly UserToken[],
  user: string | undefined,
  { now, usedForMs }: { readonly now: number; readonly usedForMs: number },
): TokenExpiry {
  const valid = tokens.filter(({ expiresAt = Number.POSITIVE_INFINITY }) => expiresAt > now);
  const lastSeenAt = Math.max(...valid.map(({ seenAt = 0 }) => seenAt));
  const seen = valid.filter(({ seenAt = 0 }) => seenAt > lastSeenAt - SEEN_WITHIN_MS);
  const isSettled = usedForMs >= SEEN_AFTER_MS && lastSeenAt > 0;
  // With a clock ahead of Unleash's, the token seems to have expired shortly before it does.
  const candidates = valid.length === 0 ? tokens : isSettled ? seen : valid;
  const times = candidates.flatMap(({ expiresAt }) => expiresAt ?? []);
  return {
    expiresAt: times.length === 0 ? undefined : (valid.length === 0 ? Math.max : Math.min)(...times),
    isKnown: candidates.length > 0,
    user,
    candidates: candidates.length,
  };
}
