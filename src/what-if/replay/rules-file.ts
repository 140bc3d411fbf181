import { readFile } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseRules, type RolloutRules } from '../../guard/rules.js';
import { ConfigError } from '../../support/config-error.js';
import { complaintRateRising } from '../../triggers/complaint-rate-rising.js';
import { criticalErrors } from '../../triggers/critical-errors.js';
import { errorRateAbove } from '../../triggers/error-rate-above.js';
import { failureRegression } from '../../triggers/failure-regression.js';
import { latencyAbove } from '../../triggers/latency-above.js';
import { latencyRegression } from '../../triggers/latency-regression.js';
import { memoryGrowth } from '../../triggers/memory-growth.js';
import { prometheusAbove, prometheusBelow } from '../../triggers/signals/prometheus.js';
import { successRateBelow } from '../../triggers/success-rate-below.js';
import { successRateBetween } from '../../triggers/success-rate-between.js';
import type { Trigger } from '../../triggers/trigger.js';
import { unreportedAbove } from '../../triggers/unreported-above.js';

/** What a JSON file may name: `{ "successRateBelow": [0.95, { "minOutcomes": 100 }] }`. */
const FACTORIES = {
  successRateBelow,
  successRateBetween,
  errorRateAbove,
  criticalErrors,
  memoryGrowth,
  failureRegression,
  latencyRegression,
  latencyAbove,
  complaintRateRising,
  unreportedAbove,
  prometheusAbove,
  prometheusBelow,
} as const;

/** The names that a JSON file may use. */
export const TRIGGER_NAMES = Object.keys(FACTORIES) as readonly (keyof typeof FACTORIES)[];

/**
 * Reads rules from a file: a JSON file, or a JavaScript module that exports `rollback` and, if wanted, `review`, `stages`
 * and `reviewCloseAfterMs`, by name or together as its default. A module is run.
 *
 * @throws ConfigError that lists everything that is wrong with the rules.
 * @throws when the file cannot be read, or the module throws.
 */
export async function loadRules(path: string): Promise<RolloutRules> {
  const given = extname(path) === '.json' ? await readJson(path) : await importModule(path);
  return parseRules(given, path);
}

/** What a JSON file holds. @throws ConfigError when it is invalid; an error of the system when it cannot be read. */
export async function parseJsonFile(path: string): Promise<unknown> {
  const text = await readFile(path, 'utf8');
  try {
    return JSON.parse(text);
  } catch {
    throw new ConfigError(path, [{ path: '', expected: 'JSON', got: 'invalid JSON' }]);
  }
}

async function readJson(path: string): Promise<unknown> {
  const value = await parseJsonFile(path);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const given = value as Record<string, unknown>;
  // What is no list is refused with the rest of the rules.
  const triggersOf = (key: string, list: unknown) =>
    Array.isArray(list) ? list.map((entry, index) => triggerOf(entry, `${key}[${index}]`, path)) : list;
  return {
    ...given,
    rollback: triggersOf('rollback', given.rollback),
    review: triggersOf('review', given.review),
  };
}

/** Makes the trigger that an entry of a JSON file names. @throws ConfigError that lists everything that is wrong. */
export function triggerOf(entry: unknown, key: string, path: string): Trigger {
  const pairs = typeof entry === 'object' && entry !== null ? Object.entries(entry) : [];
  const [name, args] = pairs[0] ?? [];
  if (pairs.length !== 1 || name === undefined || !Object.hasOwn(FACTORIES, name)) {
    const expected = `{ "<trigger>": [arguments] } with one of ${TRIGGER_NAMES.join(', ')}`;
    const got = name === undefined ? 'no trigger' : `{ "${pairs.map(([k]) => k).join('", "')}" }`;
    throw new ConfigError(path, [{ path: key, expected, got }]);
  }
  const factory = FACTORIES[name as keyof typeof FACTORIES] as (...args: readonly unknown[]) => Trigger;
  return factory(...(Array.isArray(args) ? args : [args]));
}

/** Runs a JavaScript module: what it exports as its default, or all that it exports by name. */
export async function importConfig(path: string): Promise<unknown> {
  const module = (await import(pathToFileURL(resolve(path)).href)) as Record<string, unknown>;
  return module.default ?? module;
}

async function importModule(path: string): Promise<unknown> {
  const given = (await importConfig(path)) as Record<string, unknown>;
  if (typeof given !== 'object' || given === null) return given;
  // A preset may be exported as it is: the rest of it is not a matter of replaying.
  const { rollback, review, stages, reviewCloseAfterMs } = given;
  return { rollback, review, stages, reviewCloseAfterMs };
}
