import type { Attributes, Outcome } from '../model/shapes.js';
import { OUTCOME_COLUMNS, type OutcomeRow } from './log-row-schema.js';

/** What the application calls the ways in which its users are served; the log's `execution_type`. */
export interface ExecutionTypes {
  /** The treatment served the user, or failed without a fallback. */
  readonly treatment: string;
  /** The control, for a user for whom the flag was off. */
  readonly control: string;
  /** The treatment failed, and the control then ran. */
  readonly fallback: string;
}

/** What a row says beyond its outcome. */
export interface RowContext {
  readonly executionTypes: ExecutionTypes;
  /** The rollout percentage of an epoch; undefined when it is not known or there is no single one. */
  percentageOf(epoch: number): number | undefined;
  /** Hides a targeting key. */
  hashOf(targetingKey: string): string;
}

/** Longer texts are cut: the log is bounded by lines, so lines must be bounded as well. */
export const MAX_TEXT_LENGTH = 256;
/** Attributes beyond these are left out. */
export const MAX_ATTRIBUTES = 32;

/** The row of an outcome. */
export function rowOfOutcome(outcome: Outcome, context: RowContext): OutcomeRow {
  const { exposure, result, durationMs, fallbackUsed } = outcome;
  const { executionTypes, percentageOf, hashOf } = context;
  const { file_size_mb, provider, request_id, ...rest } = outcome.attributes ?? {};
  const fileSizeMb = typeof file_size_mb === 'number' && Number.isFinite(file_size_mb) ? file_size_mb : null;
  return {
    timestamp: isoTime(outcome.at),
    flag_key: exposure.flagKey,
    arm: exposure.arm,
    execution_type: fallbackUsed ? executionTypes.fallback : executionTypes[exposure.arm],
    success: result === 'success',
    result,
    duration_ms: durationMs === undefined ? null : Number.isFinite(durationMs) ? durationMs : -1,
    error_type: textOf(outcome.errorType),
    fallback_used: fallbackUsed,
    percentage: percentageOf(exposure.epoch) ?? null,
    epoch: exposure.epoch,
    file_size_mb: fileSizeMb,
    provider: textOf(provider),
    request_id: textOf(request_id),
    user: exposure.targetingKey === undefined ? null : hashOf(exposure.targetingKey),
    critical: outcome.critical,
    attempts: outcome.attempts,
    user_succeeded: outcome.userSucceeded,
    reason: textOf(exposure.reason),
    variant: textOf(exposure.variant),
    evaluation_error: textOf(exposure.errorCode),
    exposed_at: isoTime(exposure.at),
    attributes: attributesOf(rest),
  };
}

/** The line of `metrics.jsonl`, with its end. */
export function jsonLineOf(row: OutcomeRow): string {
  return `${JSON.stringify(row)}\n`;
}

/** The first line of `metrics.csv`, without its end. */
export const CSV_HEADER = OUTCOME_COLUMNS.join(',');

/** The line of `metrics.csv` (RFC 4180), with its end. */
export function csvLineOf(row: OutcomeRow): string {
  return `${OUTCOME_COLUMNS.map((column) => csvCell(row[column])).join(',')}\n`;
}

function csvCell(value: OutcomeRow[keyof OutcomeRow]): string {
  if (value === null) return '';
  if (typeof value === 'string') return csvText(value);
  return typeof value === 'object' ? csvText(JSON.stringify(value)) : String(value);
}

/**
 * A text as a spreadsheet must see it. One that would be taken for a formula (`=`, `+`, `-`, `@`, a tab or a return in
 * front: OWASP, "CSV Injection") gets an apostrophe before it, and a line break becomes a space, so that a line of the
 * file is a row of the table. `metrics.jsonl` has the text as it was.
 */
function csvText(text: string): string {
  if (!SPECIAL.test(text)) return text;
  const oneLine = text.replace(/[\r\n]+/g, ' ');
  const harmless = /^[=+\-@\t\r\n]/.test(text) ? `'${oneLine}` : oneLine;
  return /[",]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

const SPECIAL = /^[=+\-@\t]|[",\r\n]/;

function attributesOf(attributes: Attributes): Attributes | null {
  const entries: [string, string | number | boolean][] = [];
  for (const [name, value] of Object.entries(attributes)) {
    if (entries.length === MAX_ATTRIBUTES) break;
    if (typeof value === 'string') entries.push([cut(name), cut(value)]);
    else if (typeof value === 'boolean' || Number.isFinite(value)) entries.push([cut(name), value]);
  }
  return entries.length === 0 ? null : Object.fromEntries(entries);
}

function textOf(value: unknown): string | null {
  return value === undefined ? null : cut(String(value));
}

function cut(text: string): string {
  return text.length <= MAX_TEXT_LENGTH ? text : text.slice(0, MAX_TEXT_LENGTH);
}

/** The last time and its text: outcomes come many in a millisecond. */
const recent = { at: Number.NaN, text: '' };

function isoTime(at: number): string {
  if (at !== recent.at) {
    recent.text = new Date(Math.floor(at)).toISOString();
    recent.at = at;
  }
  return recent.text;
}
