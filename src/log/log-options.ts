import { z } from 'zod';
import { countSchema, durationMsSchema, wholeSchema } from '../support/config-schemas.js';
import type { ExecutionTypes } from './log-row.js';
import { FIXED_NAMES } from './log-row-schema.js';
import { DEFAULT_ROTATION } from './rotating-file.js';

/** How outcomes are logged. */
export interface OutcomeLogOptions {
  /** Names of the paths that serve users, for the column `execution_type`. @default { treatment: 'treatment', control: 'control', fallback: 'fallback' } */
  readonly executionTypes?: Partial<ExecutionTypes> | undefined;
  /**
   * Attributes that get a column of their own, after `epoch` and in this order: for example `['file_size_mb']`. All others
   * share the column `attributes`. @default none
   */
  readonly columns?: readonly string[] | undefined;
  /** Write `metrics.csv` beside `metrics.jsonl`. @default true */
  readonly csv?: boolean | undefined;
  /** How often waiting outcomes are written, in milliseconds: a crash loses at most as much. @default 1_000 */
  readonly flushMs?: number | undefined;
  /** How often `summary.json` and the checkpoint are replaced, in milliseconds. @default 10_000 */
  readonly summaryMs?: number | undefined;
  /**
   * Lines per second of plain successes: at a higher rate, a sample of them is written, with its `weight`.
   * @default 500
   */
  readonly maxLinesPerSecond?: number | undefined;
  /**
   * Lines per second of everything else (failures, fallbacks, retries, critical errors, `expected` and `aborted`): at a higher rate,
   * a sample of them is written, with its `weight`. @default 2_000
   */
  readonly maxFailureLinesPerSecond?: number | undefined;
  /** Lines that may wait to be written, at least 4: beyond, they become fewer and heavier. @default 16_384 */
  readonly maxWaiting?: number | undefined;
  /** A file is set aside before it grows beyond this, at least 65,536. @default 67_108_864 (64 MiB) */
  readonly maxFileBytes?: number | undefined;
  /**
   * Files that are kept of each of the two logs, at least 2; the oldest is deleted first. The log uses at most
   * 2 × `maxFiles` × `maxFileBytes` of the disk. @default 16 (2 GiB in all, 4 million lines)
   */
  readonly maxFiles?: number | undefined;
}

/** {@link OutcomeLogOptions}, complete. */
export type ResolvedLogOptions = {
  readonly [Name in keyof OutcomeLogOptions]-?: NonNullable<OutcomeLogOptions[Name]>;
} & { readonly executionTypes: ExecutionTypes };

/** Bounds the length of a line. */
const MAX_COLUMNS = 32;
const NAME = 'a name of 1 to 64 characters';
const name = z.string({ error: NAME }).min(1, { error: NAME }).max(64, { error: NAME }).optional();

const COLUMN = 'the name of an attribute: a letter, then letters, digits and _, at most 64';
const column = z
  .string({ error: COLUMN })
  .regex(/^[A-Za-z]\w{0,63}$/, { error: COLUMN })
  .refine((name) => !FIXED_NAMES.has(name), { error: 'a name that no column of the log has' });

/** Checks what a user passed as `log`. */
export const logOptionsSchema = z.lazy(() =>
  z.strictObject({
    executionTypes: z.strictObject({ treatment: name, control: name, fallback: name }).optional(),
    columns: z
      .array(column)
      .max(MAX_COLUMNS, { error: `at most ${MAX_COLUMNS} columns` })
      .refine((names) => new Set(names).size === names.length, { error: 'each column once' })
      .optional(),
    csv: z.boolean().optional(),
    flushMs: durationMsSchema.optional(),
    summaryMs: durationMsSchema.optional(),
    maxLinesPerSecond: countSchema.optional(),
    maxFailureLinesPerSecond: countSchema.optional(),
    maxWaiting: wholeSchema(4).optional(),
    maxFileBytes: wholeSchema(65_536).optional(),
    maxFiles: wholeSchema(2).optional(),
  }),
);

/** Fills in the defaults. */
export function resolveLogOptions(given: OutcomeLogOptions = {}): ResolvedLogOptions {
  const { executionTypes } = given;
  return Object.freeze({
    executionTypes: Object.freeze({
      treatment: executionTypes?.treatment ?? 'treatment',
      control: executionTypes?.control ?? 'control',
      fallback: executionTypes?.fallback ?? 'fallback',
    }),
    columns: Object.freeze([...(given.columns ?? [])]),
    csv: given.csv ?? true,
    flushMs: given.flushMs ?? 1_000,
    summaryMs: given.summaryMs ?? 10_000,
    maxLinesPerSecond: given.maxLinesPerSecond ?? 500,
    maxFailureLinesPerSecond: given.maxFailureLinesPerSecond ?? 2_000,
    maxWaiting: given.maxWaiting ?? 16_384,
    maxFileBytes: given.maxFileBytes ?? DEFAULT_ROTATION.maxFileBytes,
    maxFiles: given.maxFiles ?? DEFAULT_ROTATION.maxFiles,
  });
}
