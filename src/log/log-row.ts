import type { Attributes, Outcome } from '../model/shapes.js';
import type { OutcomeRow } from './log-row-schema.js';

/** The application's names of the paths that serve users; the log's `execution_type`. */
export interface ExecutionTypes {
  /** The treatment served the user, or failed without a fallback. */
  readonly treatment: string;
  /** The control, for a user for whom the flag was off. */
  readonly control: string;
  /** The treatment failed, and the control then ran. */
  readonly fallback: string;
}

/** What a row needs beyond its outcome. */
export interface RowContext {
  readonly executionTypes: ExecutionTypes;
  /** Attributes with a column of their own. */
  readonly columns: readonly string[];
  /** The rollout percentage of an epoch; undefined when it is not known or there is no single one. */
  percentageOf(epoch: number): number | undefined;
  /** Hides a targeting key or another unit: equal texts for equal ones. */
  hidden(unit: string): string;
}

/** Longer texts are cut: the log is bounded by lines, so lines must be bounded as well. */
const MAX_TEXT_LENGTH = 256;
/** Attributes beyond these are left out. */
const MAX_ATTRIBUTES = 32;

/** A row as it is written: the table has the time of the exposure. */
export type WrittenRow = OutcomeRow & { readonly exposed_at: string };

/** The row of an outcome. @param weight - For how many alike it stands. */
export function rowOfOutcome(outcome: Outcome, context: RowContext, weight = 1): WrittenRow {
  const { exposure, result, fallbackUsed } = outcome;
  const { targetingKey, unit } = exposure;
  const { executionTypes, columns, percentageOf, hidden } = context;
  const user = targetingKey === undefined ? null : hidden(targetingKey);
  const attributes = outcome.attributes ?? NO_ATTRIBUTES;
  return {
    timestamp: isoTime(outcome.at),
    flag_key: exposure.flagKey,
    arm: exposure.arm,
    execution_type: fallbackUsed ? executionTypes.fallback : executionTypes[exposure.arm],
    success: result === 'success',
    result,
    duration_ms: durationOf(outcome.durationMs),
    error_type: textOf(outcome.errorType),
    fallback_used: fallbackUsed,
    percentage: percentageOf(exposure.epoch) ?? null,
    epoch: exposure.epoch,
    ...columnsOf(attributes, columns),
    user,
    reason: textOf(exposure.reason),
    chance: exposure.chance ?? null,
    unit: unit === undefined ? null : unit === targetingKey ? user : hidden(unit),
    operation: exposure.isOperation === true,
    critical: outcome.critical,
    attempts: outcome.attempts,
    user_succeeded: outcome.userSucceeded,
    variant: textOf(exposure.variant),
    evaluation_error: textOf(exposure.errorCode),
    exposed_ms_ago: Math.floor(outcome.at) - Math.floor(exposure.at),
    exposed_at: isoTime(exposure.at),
    attributes: attributesOf(attributes, columns),
    weight,
  };
}

/** The line of `metrics.csv` (RFC 4180), with its end. */
export function csvLineOf(row: WrittenRow, columns: readonly string[]): string {
  let line = '';
  for (let i = 0; i < columns.length; i++) line += `${i === 0 ? '' : ','}${csvCell(row[columns[i]!])}`;
  return `${line}\n`;
}

function csvCell(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return csvText(value);
  return typeof value === 'object' ? csvText(JSON.stringify(value)) : String(value);
}

/**
 * A text for spreadsheets. One that a spreadsheet would read as a formula (`=`, `+`, `-`, `@`, a tab or a return in
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

const NO_ATTRIBUTES: Attributes = {};

/** The columns of attributes; null where the outcome does not have one, or one that is not a value. */
function columnsOf(attributes: Attributes, columns: readonly string[]): Record<string, Scalar | null> {
  const values: Record<string, Scalar | null> = {};
  for (const name of columns) values[name] = writable(attributes[name]) ?? null;
  return values;
}

function attributesOf(attributes: Attributes, columns: readonly string[]): Attributes | null {
  let entries: [string, Scalar][] | undefined;
  for (const name of Object.keys(attributes)) {
    if (columns.includes(name)) continue;
    const value = writable(attributes[name]);
    if (value === undefined) continue;
    entries ??= [];
    if (entries.push([cut(name), value]) === MAX_ATTRIBUTES) break;
  }
  return entries === undefined ? null : Object.fromEntries(entries);
}

type Scalar = Attributes[string];

/** The value as it is written; undefined for a value without a JSON form. */
function writable(value: unknown): Scalar | undefined {
  if (typeof value === 'string') return cut(value);
  return typeof value === 'boolean' || Number.isFinite(value) ? (value as number | boolean) : undefined;
}

/** To the microsecond: more is noise, and doubles the length. */
function durationOf(durationMs: number | undefined): number | null {
  if (durationMs === undefined) return null;
  if (!Number.isFinite(durationMs)) return -1;
  return Math.abs(durationMs) < 1e12 ? Math.round(durationMs * 1_000) / 1_000 : durationMs;
}

function textOf(value: string | undefined): string | null {
  return value === undefined ? null : cut(value);
}

function cut(text: string): string {
  return text.length <= MAX_TEXT_LENGTH ? text : text.slice(0, MAX_TEXT_LENGTH);
}

/** The last second and its text: the times of outcomes are close to each other. */
const recent = { second: Number.NaN, text: '' };

function isoTime(at: number): string {
  const second = Math.floor(at / 1_000);
  if (second !== recent.second) {
    // Without milliseconds and Z.
    recent.text = new Date(second * 1_000).toISOString().slice(0, -4);
    recent.second = second;
  }
  return `${recent.text}${String(Math.floor(at) - second * 1_000).padStart(3, '0')}Z`;
}
