import { ARMS, type Arm, type Attributes, type Outcome, type Result } from '../model/shapes.js';
import { parseJson } from '../support/json.js';

type Scalar = string | number | boolean;

/** The values of one column. */
interface Column<Value> {
  /** What a value must be, in the words for a problem of a line. */
  readonly expected: string;
  accepts(value: unknown): boolean;
  /** The value where an older version or another program left it out; without it, the column is required. */
  readonly fill?: (row: FilledEarlier) => Value;
}

/** The columns that values of others are derived from. */
interface FilledEarlier {
  readonly timestamp: string;
  readonly arm: Arm;
  readonly success: boolean;
  readonly fallback_used: boolean;
}

function required<Value>(expected: string, accepts: (value: unknown) => boolean): Column<Value> {
  return { expected, accepts };
}

function optional<Value>(column: Column<Value>, fill: (row: FilledEarlier) => NoInfer<Value>): Column<Value> {
  return { ...column, fill };
}

function nullable<Value>(column: Column<Value>): Column<Value | null> {
  return { ...column, fill: () => null };
}

function oneOf<const Value extends string>(values: readonly Value[]): Column<Value> {
  return required(values.join(' or '), (value) => values.includes(value as Value));
}

const time = required<string>('an ISO 8601 time', isTime);
const text = required<string>('a text', (value) => typeof value === 'string');
const number = required<number>('a number', (value) => typeof value === 'number');
const boolean = required<boolean>('true or false', (value) => typeof value === 'boolean');
const whole = required<number>('a whole number', Number.isSafeInteger);
const percentage = required<number>(
  'a percentage 0–100',
  (value) => typeof value === 'number' && value >= 0 && value <= 100,
);
const chance = required<number>(
  'a fraction above 0, at most 1',
  (value) => typeof value === 'number' && value > 0 && value <= 1,
);
const attributes = required<Attributes>('an object of texts, numbers and booleans', isAttributes);
const RESULTS = ['success', 'failure', 'expected', 'aborted'] as const satisfies readonly Result[];

/**
 * Every column, in the order in which it is written, with its values. `metrics.jsonl` and `metrics.csv` have the same
 * columns; an unknown value is `null` in the one and empty in the other. They contain all that triggers and stages evaluate,
 * so that a recorded log can be replayed, and neither targeting keys nor error messages.
 *
 * A table instead of a zod schema, because a replay reads millions of lines and zod, which copies what it checks, would
 * take longer than the parsing.
 */
const COLUMNS = {
  /** When the operation ended: ISO 8601, UTC, with milliseconds. */
  timestamp: time,
  flag_key: text,
  arm: oneOf(ARMS),
  /** Which path served the user, in the application's words: `async`, `sync` or `sync_fallback` in the preset. */
  execution_type: optional(text, ({ arm }) => arm),
  /** Whether the arm's own code succeeded: a fallback that succeeded does not make this true. */
  success: boolean,
  result: optional(oneOf(RESULTS), ({ success }) => (success ? 'success' : 'failure')),
  /** The user's waiting time in milliseconds; negative when the measured value was not a duration. */
  duration_ms: nullable(number),
  error_type: nullable(text),
  fallback_used: optional(boolean, () => false),
  /** The rollout percentage, 0–100, of the epoch in which the flag was evaluated. */
  percentage: nullable(percentage),
  epoch: optional(whole, () => 1),
  /** A salted hash of the targeting key, equal for equal keys within one folder. */
  user: nullable(text),
  /** The chance with which the flag's strategies put this unit into the treatment; null where chance did not decide. */
  chance: nullable(chance),
  /** The value that was drawn by, encrypted with the folder's salt; null: each evaluation is a unit of its own. */
  unit: nullable(text),
  /** An operation of the guard; otherwise the application reported the outcome. */
  operation: optional(boolean, () => false),
  critical: optional(boolean, () => false),
  attempts: optional(whole, () => 1),
  /** Whether the user got a result, by whichever arm. */
  user_succeeded: optional(boolean, ({ success, fallback_used }) => success || fallback_used),
  /** OpenFeature's reason; only `SPLIT` means that chance decided the arm. */
  reason: nullable(text),
  variant: nullable(text),
  /** OpenFeature's error code of the evaluation. */
  evaluation_error: nullable(text),
  /** When the flag was evaluated: ISO 8601, UTC, with milliseconds. */
  exposed_at: optional(time, ({ timestamp }) => timestamp),
  /** The outcome's attributes that have no column of their own. */
  attributes: nullable(attributes),
};

/** The columns that every log has. */
type FixedColumns = {
  readonly [Name in keyof typeof COLUMNS]: (typeof COLUMNS)[Name] extends Column<infer Value> ? Value : never;
};

/** One line of the outcome log: the fixed columns, and after `epoch` those of attributes (`log.columns`). */
export type OutcomeRow = FixedColumns & { readonly [attribute: string]: unknown };

const FIXED_COLUMNS = Object.keys(COLUMNS) as (keyof FixedColumns)[];
const AFTER_EPOCH = FIXED_COLUMNS.indexOf('epoch') + 1;

/** All columns in the order in which they are written, with a column for each of these attributes. */
export function columnsWith(attributeColumns: readonly string[]): readonly string[] {
  return [...FIXED_COLUMNS.slice(0, AFTER_EPOCH), ...attributeColumns, ...FIXED_COLUMNS.slice(AFTER_EPOCH)];
}

/** The names of the columns that every log has. */
export const FIXED_NAMES: ReadonlySet<string> = new Set(FIXED_COLUMNS);

const CHECKED = Object.entries<Column<unknown>>(COLUMNS).map(([name, column]) => ({ name, ...column }));

/**
 * Checks one line of `metrics.jsonl`, and fills in what an older version or another program left out.
 *
 * @returns the row, or a few words on what is wrong with the line.
 */
export function parseOutcomeLine(line: string): OutcomeRow | string {
  const parsed = parseJson(line);
  if (parsed === undefined) return 'not JSON, or half a line';
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
  if (row.success !== (row.result === 'success')) return `success: does not match the result ${row.result}`;
  return row;
}

/**
 * The outcome of a row. The targeting key is the hash, and so is the unit; attributes with columns of their own are among the others.
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
      chance: row.chance ?? undefined,
      unit: row.unit ?? undefined,
      isOperation: row.operation,
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

/** All attributes of a row: those with a column of their own, and the others. */
export function attributesOfRow(row: OutcomeRow): Attributes | undefined {
  let own: Record<string, Scalar> | undefined;
  for (const name in row) {
    if (FIXED_NAMES.has(name)) continue;
    const value = row[name];
    if (!isScalar(value)) continue;
    own ??= {};
    own[name] = value;
  }
  return own === undefined ? (row.attributes ?? undefined) : { ...own, ...row.attributes };
}

function isTime(value: unknown): boolean {
  return typeof value === 'string' && value.charCodeAt(10) === LETTER_T && !Number.isNaN(Date.parse(value));
}

const LETTER_T = 'T'.charCodeAt(0);

function isAttributes(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.values(value).every(isScalar);
}

function isScalar(value: unknown): value is Scalar {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}
