import type { Attributes, Outcome } from '../model/shapes.js';

/**
 * One line of the outcome log. `metrics.jsonl` and `metrics.csv` have the same columns in the same order; what is
 * unknown is `null` in the one and empty in the other. It holds all that triggers and stages judge, so that a recorded
 * log can be replayed, and neither targeting keys nor error messages.
 */
export interface OutcomeRow {
  /** When the operation ended: ISO 8601, UTC, with milliseconds. */
  readonly timestamp: string;
  readonly flag_key: string;
  readonly arm: 'treatment' | 'control';
  /** Which path served the user, in the application's words: `async`, `sync` or `sync_fallback` in the preset. */
  readonly execution_type: string;
  /** Whether the arm's own code succeeded: a fallback that saved the day does not make this true. */
  readonly success: boolean;
  readonly result: Outcome['result'];
  /** What the user waited, in milliseconds; negative when what was measured is no duration. */
  readonly duration_ms: number | null;
  readonly error_type: string | null;
  readonly fallback_used: boolean;
  /** The rollout percentage, 0–100, of the epoch in which the flag was evaluated. */
  readonly percentage: number | null;
  readonly epoch: number;
  readonly file_size_mb: number | null;
  readonly provider: string | null;
  readonly request_id: string | null;
  /** A salted hash of the targeting key, equal for equal keys within one folder. */
  readonly user: string | null;
  readonly critical: boolean;
  readonly attempts: number;
  /** Whether the user got what was asked for, by whichever arm. */
  readonly user_succeeded: boolean;
  /** OpenFeature's reason; only `SPLIT` means that chance decided the arm. */
  readonly reason: string | null;
  readonly variant: string | null;
  /** OpenFeature's error code of the evaluation. */
  readonly evaluation_error: string | null;
  /** When the flag was evaluated: ISO 8601, UTC, with milliseconds. */
  readonly exposed_at: string;
  /** The outcome's attributes that have no column of their own. */
  readonly attributes: Attributes | null;
}

interface Column {
  /** What a value must be, for a person. */
  readonly expected: string;
  accepts(value: unknown): boolean;
  /** What the value must have been where an older version or another program left it out; without it, it is required. */
  fill?(row: OutcomeRow): unknown;
}

const required = (expected: string, accepts: Column['accepts']): Column => ({ expected, accepts });
const optional = (column: Column, fill: NonNullable<Column['fill']>): Column => ({ ...column, fill });
const unknown = () => null;
const no = () => false;
const one = () => 1;

const time = required('an ISO 8601 time', isTime);
const text = required('a text', (value) => typeof value === 'string');
const number = required('a number', (value) => typeof value === 'number');
const boolean = required('true or false', (value) => typeof value === 'boolean');
const whole = required('a whole number', Number.isSafeInteger);
const oneOf = (...values: readonly unknown[]) =>
  required(values.join(' or '), (value) => values.includes(value));

/**
 * The schema: every column, in the order in which it is written, with what it takes. A table instead of a zod schema,
 * because a replay reads millions of lines and zod, which copies what it checks, would take longer than the parsing.
 */
const COLUMNS: { readonly [Name in keyof OutcomeRow]: Column } = {
  timestamp: time,
  flag_key: text,
  arm: oneOf('treatment', 'control'),
  execution_type: optional(text, ({ arm }) => arm),
  success: boolean,
  result: optional(oneOf('success', 'failure', 'expected', 'aborted'), ({ success }) =>
    success ? 'success' : 'failure',
  ),
  duration_ms: optional(number, unknown),
  error_type: optional(text, unknown),
  fallback_used: optional(boolean, no),
  percentage: optional(
    required('a percentage 0–100', (value) => typeof value === 'number' && value >= 0 && value <= 100),
    unknown,
  ),
  epoch: optional(whole, one),
  file_size_mb: optional(number, unknown),
  provider: optional(text, unknown),
  request_id: optional(text, unknown),
  user: optional(text, unknown),
  critical: optional(boolean, no),
  attempts: optional(whole, one),
  user_succeeded: optional(boolean, ({ success, fallback_used }) => success || fallback_used),
  reason: optional(text, unknown),
  variant: optional(text, unknown),
  evaluation_error: optional(text, unknown),
  exposed_at: optional(time, ({ timestamp }) => timestamp),
  attributes: optional(required('an object of texts, numbers and booleans', isAttributes), unknown),
};

/** The columns in the order in which they are written. */
export const OUTCOME_COLUMNS = Object.keys(COLUMNS) as (keyof OutcomeRow)[];

const CHECKED = Object.entries(COLUMNS).map(([name, column]) => ({ name, ...column }));

/**
 * Checks one line of `metrics.jsonl`. What an older version or another program left out gets what it must have been.
 *
 * @returns the row, or a few words that say what is wrong with the line.
 */
export function parseOutcomeLine(line: string): OutcomeRow | string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return 'not JSON, or half a line';
  }
  if (typeof parsed !== 'object' || parsed === null) return 'not an object';
  const values = parsed as Record<string, unknown>;
  const row = parsed as OutcomeRow;
  for (const { name, expected, accepts, fill } of CHECKED) {
    const value = values[name];
    if (value === undefined || value === null) {
      if (fill === undefined) return `${name}: missing`;
      values[name] = fill(row);
    } else if (!accepts(value)) return `${name}: not ${expected}`;
  }
  if (row.success !== (row.result === 'success')) return `success: not what the result ${row.result} says`;
  return row;
}

/**
 * The outcome that a row was made of, for a replay: the targeting key is the hash, and the attributes with columns of
 * their own are back among the others.
 */
export function outcomeOfRow(row: OutcomeRow): Outcome {
  return {
    exposure: {
      flagKey: row.flag_key,
      arm: row.arm,
      variant: row.variant ?? undefined,
      reason: row.reason ?? undefined,
      errorCode: row.evaluation_error ?? undefined,
      targetingKey: row.user ?? undefined,
      epoch: row.epoch,
      at: Date.parse(row.exposed_at),
    },
    result: row.result,
    durationMs: row.duration_ms ?? undefined,
    errorType: row.error_type ?? undefined,
    critical: row.critical,
    fallbackUsed: row.fallback_used,
    userSucceeded: row.user_succeeded,
    attempts: row.attempts,
    attributes: attributesOfRow(row),
    at: Date.parse(row.timestamp),
  };
}

function attributesOfRow(row: OutcomeRow): Attributes | undefined {
  const { file_size_mb, provider, request_id, attributes } = row;
  if (file_size_mb === null && provider === null && request_id === null) return attributes ?? undefined;
  return {
    ...(file_size_mb === null ? undefined : { file_size_mb }),
    ...(provider === null ? undefined : { provider }),
    ...(request_id === null ? undefined : { request_id }),
    ...attributes,
  };
}

function isTime(value: unknown): boolean {
  return typeof value === 'string' && value.charCodeAt(10) === LETTER_T && !Number.isNaN(Date.parse(value));
}

const LETTER_T = 'T'.charCodeAt(0);

function isAttributes(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((entry) => ['string', 'number', 'boolean'].includes(typeof entry));
}
