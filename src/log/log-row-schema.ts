import { ARMS, type Arm, type Attributes, type Outcome, type Result } from '../model/shapes.js';
import { parseJson } from '../support/json.js';

type Scalar = string | number | boolean;

/** The values of one column. */
interface Column<Value> {
  /** What a value must be, in the words for a problem of a line. */
  readonly expected: string;
  accepts(value: unknown): boolean;
  /** The value where a line has none: it is left out where it is this one. Without it, the column is required. */
  readonly fill?: (row: FilledEarlier) => Value;
  readonly isNullable?: boolean;
  /** Written also where it is what the reader would fill in: one searches by it. */
  readonly isAlwaysWritten?: boolean;
}

/** The columns that values of others are derived from. */
interface FilledEarlier {
  readonly arm: Arm;
  readonly success: boolean;
  readonly duration_ms: number | null;
  readonly fallback_used: boolean;
  readonly percentage: number | null;
  readonly user: string | null;
  readonly chance: number | null;
  readonly reason: string | null;
}

function required<Value>(expected: string, accepts: (value: unknown) => boolean): Column<Value> {
  return { expected, accepts };
}

function optional<Value>(column: Column<Value>, fill: (row: FilledEarlier) => NoInfer<Value>): Column<Value> {
  return { ...column, fill };
}

function nullable<Value>(
  column: Column<Value>,
  fill: (row: FilledEarlier) => NoInfer<Value> | null = () => null,
): Column<Value | null> {
  return { ...column, fill, isNullable: true };
}

function oneOf<const Value extends string>(values: readonly Value[]): Column<Value> {
  return required(values.join(' or '), (value) => values.includes(value as Value));
}

const time = required<string>('an ISO 8601 time', isTime);
const text = required<string>('a text', (value) => typeof value === 'string');
const number = required<number>('a number', (value) => typeof value === 'number');
const boolean = required<boolean>('true or false', (value) => typeof value === 'boolean');
const whole = required<number>('a whole number', Number.isSafeInteger);
/** More would take a replay minutes for one line. Written out in the message: formatting it loads the data of a language. */
const MAX_WEIGHT = 10_000_000;
const weight = required<number>(
  'a whole number 1–10,000,000',
  (value) => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_WEIGHT,
);
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
 * Every column, in the order in which it is written, with its values. They contain all that triggers and stages evaluate, so that
 * a recorded log can be replayed, and neither targeting keys nor error messages.
 *
 * A line of `metrics.jsonl` leaves out what its other columns, or those of earlier lines in the file, say: null, each column's `fill`, the
 * flag after the first line, and the names of paths and variants once they are known. `metrics.csv` has them all.
 *
 * A table instead of a zod schema, because a replay reads millions of lines and zod, which copies what it checks, would
 * take longer than the parsing.
 */
const COLUMNS = {
  /** When the operation ended: ISO 8601, UTC, with milliseconds. */
  timestamp: time,
  /** In the first line of a file, and where it is another one than in the line before. */
  flag_key: text,
  arm: oneOf(ARMS),
  /**
   * Which path served the user, in the application's words: `async`, `sync` or `sync_fallback` in the preset. In the first line of a
   * file with this `arm` and `fallback_used`.
   */
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
  epoch: { ...optional(whole, () => 1), isAlwaysWritten: true },
  /** The targeting key, encrypted with the folder's salt: equal for equal keys within one folder. */
  user: nullable(text),
  /** OpenFeature's reason; only `SPLIT` means that chance decided the arm. */
  reason: nullable(text),
  /** The chance with which the flag's strategies put this unit into the treatment; null where chance did not decide. */
  chance: nullable(chance, ({ reason, percentage }) => drawnAt(reason, percentage)),
  /** The value that was drawn by, encrypted like `user`; null: each evaluation is a unit of its own. */
  unit: nullable(text, ({ chance, user }) => (chance === null ? null : user)),
  /** An operation of the guard; otherwise the application reported the outcome. */
  operation: optional(boolean, () => true),
  critical: optional(boolean, () => false),
  attempts: optional(whole, () => 1),
  /** Whether the user got a result, by whichever arm. */
  user_succeeded: optional(boolean, ({ success, fallback_used }) => success || fallback_used),
  /** Where it is another one than in the line before of this arm in the file. */
  variant: nullable(text),
  /** OpenFeature's error code of the evaluation. */
  evaluation_error: nullable(text),
  /** How long before `timestamp` the flag was evaluated, in whole milliseconds; `metrics.csv` has the time, `exposed_at`. */
  exposed_ms_ago: optional(whole, ({ duration_ms }) => Math.floor(duration_ms ?? 0)),
  /** The outcome's attributes that have no column of their own. */
  attributes: nullable(attributes),
  /** For how many outcomes alike the line stands, itself included: above 1 where not every outcome is written. */
  weight: optional(weight, () => 1),
};

/** Chance decided, by the percentage alone. */
function drawnAt(reason: string | null, percentage: number | null): number | null {
  return reason === 'SPLIT' && percentage !== null && percentage > 0 ? percentage / 100 : null;
}

/** The columns that every log has. */
type FixedColumns = {
  readonly [Name in keyof typeof COLUMNS]: (typeof COLUMNS)[Name] extends Column<infer Value> ? Value : never;
};

/** One line of the outcome log: the fixed columns, and after `epoch` those of attributes (`log.columns`). */
export type OutcomeRow = FixedColumns & { readonly [attribute: string]: unknown };

const FIXED_COLUMNS = Object.keys(COLUMNS) as (keyof FixedColumns)[];
const AFTER_EPOCH = FIXED_COLUMNS.indexOf('epoch') + 1;
const IN_TABLE = FIXED_COLUMNS.map((name) => (name === 'exposed_ms_ago' ? 'exposed_at' : name));

/** The columns of `metrics.csv` in their order, with one for each of these attributes. */
export function columnsWith(attributeColumns: readonly string[]): readonly string[] {
  return [...IN_TABLE.slice(0, AFTER_EPOCH), ...attributeColumns, ...IN_TABLE.slice(AFTER_EPOCH)];
}

/** The names of the columns that every log has. */
export const FIXED_NAMES: ReadonlySet<string> = new Set<string>([...FIXED_COLUMNS, ...IN_TABLE]);

const CHECKED = Object.entries<Column<unknown>>(COLUMNS).map(([name, column]) => ({ name, ...column }));

/** What later lines of a file leave out, once a line has said it. */
export class RepeatedNames {
  #flagKey: string | undefined;
  readonly #executionTypes = new Map<string, unknown>();
  readonly #variants = new Map<unknown, string | null>();

  /** @param flagKey - Of a file that is not read from its beginning. */
  constructor(flagKey?: string) {
    this.#flagKey = flagKey;
  }

  /** Fills in what this line leaves out; nothing is known yet of its values. */
  fillIn(line: Record<string, unknown>): void {
    line.flag_key ??= this.#flagKey;
    line.execution_type ??= this.#executionTypes.get(pathOf(line));
    if (line.variant === undefined) line.variant = this.#variants.get(line.arm) ?? null;
  }

  /** Notes a line's names. @returns which of them it must have. */
  next(row: OutcomeRow): Readonly<Record<'flag_key' | 'execution_type' | 'variant', boolean>> {
    const flag_key = row.flag_key !== this.#flagKey;
    if (flag_key) {
      this.#executionTypes.clear();
      this.#variants.clear();
    }
    this.#flagKey = row.flag_key;
    const path = pathOf(row);
    const execution_type = row.execution_type !== (this.#executionTypes.get(path) ?? row.arm);
    if (execution_type) this.#executionTypes.set(path, row.execution_type);
    const variant = row.variant !== (this.#variants.get(row.arm) ?? null);
    if (variant) this.#variants.set(row.arm, row.variant);
    return { flag_key, execution_type, variant };
  }
}

function pathOf({ arm, fallback_used }: Readonly<Record<string, unknown>>): string {
  return fallback_used === true ? `${arm} fallback` : `${arm}`;
}

/** The line of `metrics.jsonl`, with its end. @param names - Of the lines before in the same file. */
export function jsonLineOf(row: OutcomeRow, names: RepeatedNames): string {
  const line: Record<string, unknown> = {};
  const isWanted = names.next(row);
  for (const { name, fill, isAlwaysWritten } of CHECKED) {
    if (name === 'flag_key' || name === 'execution_type' || name === 'variant') {
      if (isWanted[name]) line[name] = row[name];
    } else if (isAlwaysWritten || row[name] !== fill?.(row)) line[name] = row[name];
  }
  for (const name in row) if (!FIXED_NAMES.has(name) && row[name] !== null) line[name] = row[name];
  return `${JSON.stringify(line)}\n`;
}

/**
 * Checks one line of `metrics.jsonl`, and fills in what it leaves out.
 *
 * @param names - Of the lines before in the same file.
 * @returns the row, or a few words on what is wrong with the line.
 */
export function parseOutcomeLine(line: string, names: RepeatedNames): OutcomeRow | string {
  const parsed = parseJson(line);
  if (parsed === undefined) return 'not JSON, or half a line';
  if (typeof parsed !== 'object' || parsed === null) return 'not an object';
  const values = parsed as Record<string, unknown>;
  const row = parsed as OutcomeRow;
  names.fillIn(values);
  for (const { name, expected, accepts, fill, isNullable } of CHECKED) {
    const value = values[name];
    if (value === undefined) {
      if (fill === undefined) return `${name}: missing`;
      values[name] = fill(row);
    } else if (!accepts(value) && !(value === null && isNullable)) return `${name}: not ${expected}`;
  }
  if (row.success !== (row.result === 'success')) return `success: does not match the result ${row.result}`;
  names.next(row);
  return row;
}

/**
 * The outcome of a row. The targeting key is the hash, and so is the unit; attributes with columns of their own are among the others.
 */
export function outcomeOfRow(row: OutcomeRow): Outcome {
  const at = Date.parse(row.timestamp);
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
      at: at - row.exposed_ms_ago,
    },
    result: row.result,
    durationMs: row.duration_ms ?? undefined,
    errorType: row.error_type ?? undefined,
    critical: row.critical,
    fallbackUsed: row.fallback_used,
    userSucceeded: row.user_succeeded,
    attempts: row.attempts,
    attributes: attributesOfRow(row),
    at,
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
