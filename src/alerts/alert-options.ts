import { z } from 'zod';
import { isRecord, parseConfig } from '../support/config-error.js';
import { booleanSchema } from '../support/config-schemas.js';

/** What an alert does: `review` notifies operators and holds automatic advance while it fires, `stop` stops the flag, `ignore` nothing. */
export type AlertAction = 'review' | 'stop' | 'ignore';

/** What alerts with these labels do. */
export interface AlertRule {
  /** Labels and their values, all of which an alert must have, for example `{ severity: 'critical' }`. A pattern need not match all of a value. */
  readonly match: Readonly<Record<string, string | RegExp>>;
  /** `review` opens a review, `stop` turns the flag off, `ignore` does nothing. */
  readonly action: AlertAction;
  /** It only says what it would have done. @default false */
  readonly dryRun?: boolean | undefined;
}

/** Options of `guard.alerts()`. At least one of `token` and `secret`. */
export interface AlertsOptions {
  /** What the sender has as `Authorization: Bearer …`: at least 16 characters. */
  readonly token?: string | undefined;
  /**
   * What the sender signs with (HMAC-SHA256), as Grafana does, or as Standard Webhooks 1.0 (then it is `whsec_` and a key in base64): at
   * least 16 characters.
   */
  readonly secret?: string | undefined;
  /** The first whose labels match decides. @default every alert opens a review */
  readonly rules?: readonly AlertRule[] | undefined;
  /** The label that names the flag. An endpoint of one flag takes alerts without it, too. @default 'flag' */
  readonly flagLabel?: string | undefined;
}

const SECRET = 'a secret of at least 16 visible characters';
const ACTION = "'review', 'stop' or 'ignore'";
const MATCH = "labels and their values, at least one, for example { severity: 'critical' }";
const LABEL = 'the name of a label';

const secretSchema = z.string({ error: SECRET }).regex(/^[\x21-\x7e]{16,1000}$/, { error: SECRET });

/** The fields of {@link AlertsOptions}. */
export const alertsOptionsSchema = z.lazy(() =>
  z
    .strictObject({
      token: secretSchema.optional(),
      secret: secretSchema.optional(),
      rules: z
        .array(
          z.strictObject({
            match: z.custom<AlertRule['match']>(isMatch, { error: MATCH }),
            action: z.enum(['review', 'stop', 'ignore'], { error: ACTION }),
            dryRun: booleanSchema.optional(),
          }),
          { error: 'a list of rules' },
        )
        .default([]),
      flagLabel: z.string({ error: LABEL }).regex(/\S/, { error: LABEL }).default('flag'),
    })
    .superRefine(({ token, secret }, context) => {
      if (token !== undefined || secret !== undefined) return;
      context.addIssue({ code: 'custom', path: ['token'], message: `${SECRET}, or one in secret` });
    }),
);

/** {@link AlertsOptions}, checked and complete. */
export type ResolvedAlertsOptions = Readonly<z.output<typeof alertsOptionsSchema>>;

/** @throws ConfigError that lists everything that is wrong; no secret is in it. */
export function resolveAlertsOptions(options: AlertsOptions): ResolvedAlertsOptions {
  return parseConfig(alertsOptionsSchema, options, 'alerts options');
}

function isMatch(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const wanted = Object.values(value);
  return wanted.length > 0 && wanted.every((each) => typeof each === 'string' || each instanceof RegExp);
}
