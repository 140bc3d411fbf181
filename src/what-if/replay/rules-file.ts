import { readFile, stat } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseRules, type RolloutRules } from '../../guard/options/rules.js';
import { placeOfFlag } from '../../guard/several/flag-options.js';
import { messageOf } from '../../support/async/callbacks.js';
import {
  type Attempt,
  attempt,
  ConfigError,
  type ConfigProblem,
  isRecord,
  throwProblems,
} from '../../support/config-error.js';
import { namesTwice } from '../../support/json.js';
import { criticalErrors } from '../../triggers/critical-errors.js';
import { errorRateAbove } from '../../triggers/error-rate-above.js';
import {
  complaintRateRising,
  eventRegression,
  failureRegression,
  unreportedAbove,
} from '../../triggers/event-regression.js';
import { latencyAbove } from '../../triggers/latency-above.js';
import { latencyRegression } from '../../triggers/latency-regression.js';
import { memoryGrowth } from '../../triggers/memory-growth.js';
import { metric } from '../../triggers/metrics/metric.js';
import { sampleRatioMismatch, usersInBothArms } from '../../triggers/sample-ratio-mismatch.js';
import { prometheusAbove, prometheusBelow } from '../../triggers/signals/prometheus.js';
import { successRateBelow } from '../../triggers/success-rate-below.js';
import { successRateBetween } from '../../triggers/success-rate-between.js';
import type { Trigger } from '../../triggers/trigger.js';

/** What a JSON file may name: `{ "successRateBelow": [0.95, { "minOutcomes": 100 }] }`. */
const FACTORIES = {
  successRateBelow,
  successRateBetween,
  errorRateAbove,
  criticalErrors,
  memoryGrowth,
  metric,
  failureRegression,
  latencyRegression,
  latencyAbove,
  eventRegression,
  complaintRateRising,
  unreportedAbove,
  sampleRatioMismatch,
  usersInBothArms,
  prometheusAbove,
  prometheusBelow,
} as const;

/** How a module's name ends. */
const MODULE = /^(\.[cm]?[jt]sx?)?$/;

/** The names that a JSON file may use. */
export const TRIGGER_NAMES = Object.keys(FACTORIES) as readonly (keyof typeof FACTORIES)[];

/**
 * Reads rules from a file: a JSON file, or a JavaScript module that exports `rollback` and, if wanted, `review`, `stages`
 * and `reviewCloseAfterMs`, by name or together as its default. A module is code: it is executed, with all rights of this
 * process, so read only files that you would run.
 *
 * @throws ConfigError that lists everything that is wrong with the rules.
 * @throws when the file cannot be read, or the module throws.
 */
export async function loadRules(path: string): Promise<RolloutRules> {
  const { given, isJson, problems } = await readConfigFile(path);
  const rules = attempt(() => parseRules(isJson ? given : rulesIn(given), path));
  throwProblems(path, [...problems, ...rules.problems]);
  return rules.made!;
}

/** A preset may be exported as it is: a replay ignores the rest of it. */
function rulesIn(given: unknown): unknown {
  if (!isRecord(given)) return given;
  const { rollback, review, stages, reviewCloseAfterMs } = given;
  return { rollback, review, stages, reviewCloseAfterMs };
}

/**
 * What a JSON file contains, or a JavaScript module exports as its default or by name. The triggers that JSON names, of one flag or
 * of each of its `flags`, are made; invalid ones are left as they are, and are among the problems. A module is code: it is executed.
 *
 * @throws ConfigError when the file is invalid JSON.
 * @throws when the file cannot be read, or the module throws.
 */
export async function readConfigFile(path: string) {
  const extension = extname(path);
  if ((await stat(path)).isDirectory()) throw notAFile(path, 'a folder');
  if (!MODULE.test(extension) && extension !== '.json')
    throw notAFile(path, `a file that ends in ${JSON.stringify(extension)}`);
  const isJson = extension === '.json';
  const { given, problems } = isJson
    ? await parseJsonFile(path)
    : { given: await importConfig(path), problems: [] };
  if (!isJson || !isRecord(given)) return { given, isJson, problems };
  const withTriggers = (fields: Readonly<Record<string, unknown>>, place: string) => {
    const triggersOf = (key: string) => {
      const list = fields[key];
      if (!Array.isArray(list)) return list;
      return list.map((entry: unknown, index) => {
        const trigger = triggerOf(entry, `${place}${key}[${index}]`);
        problems.push(...trigger.problems);
        return trigger.made ?? entry;
      });
    };
    const triggers = ['rollback', 'review']
      .filter((key) => key in fields)
      .map((key) => [key, triggersOf(key)]);
    return { ...fields, ...Object.fromEntries(triggers) };
  };
  const { flags } = given;
  if (!isRecord(flags)) return { given: withTriggers(given, ''), isJson, problems };
  const perFlag = Object.entries(flags).map(([key, fields]) => [
    key,
    isRecord(fields) ? withTriggers(fields, `${placeOfFlag(key)}.`) : fields,
  ]);
  return { given: { ...given, flags: Object.fromEntries(perFlag) }, isJson, problems };
}

async function parseJsonFile(path: string) {
  // Some editors begin a file with the mark of its encoding.
  const text = (await readFile(path, 'utf8')).replace(/^\ufeff/, '');
  try {
    const given: unknown = JSON.parse(text);
    const problems: ConfigProblem[] = namesTwice(text).map((path) => ({
      path,
      expected: 'each name once',
      got: 'the name twice',
    }));
    return { given, problems };
  } catch (error) {
    throw new ConfigError(path, [{ path: '', expected: 'JSON', got: invalidJson(text, error) }]);
  }
}

/** Never what is in the file, which may be secret, as the error may have it. */
function invalidJson(text: string, error: unknown): string {
  if (text.trim() === '') return 'an empty file';
  const [, position] = / position (\d+)/.exec(messageOf(error)) ?? [];
  return position === undefined
    ? 'invalid JSON'
    : `invalid JSON in line ${text.slice(0, Number(position)).split('\n').length}`;
}

async function importConfig(path: string): Promise<unknown> {
  const module = (await import(pathToFileURL(resolve(path)).href)) as Record<string, unknown>;
  // It may be a promise, of what an asynchronous function has read.
  return (await module.default) ?? module;
}

function notAFile(path: string, got: string): ConfigError {
  return new ConfigError(path, [{ path: '', expected: 'a .json file, or a JavaScript module', got }]);
}

/** Makes the trigger that an entry of a JSON file names. */
function triggerOf(entry: unknown, place: string): Attempt<Trigger> {
  const names = isRecord(entry) ? Object.keys(entry) : [];
  const [name] = names;
  if (!isRecord(entry) || names.length !== 1 || name === undefined || !Object.hasOwn(FACTORIES, name)) {
    const expected = `{ "<trigger>": [arguments] } with one of ${TRIGGER_NAMES.join(', ')}`;
    const got = names.length === 0 ? 'no trigger' : `{ "${names.join('", "')}" }`;
    return { made: undefined, problems: [{ path: place, expected, got }] };
  }
  const args = entry[name];
  const factory = FACTORIES[name as keyof typeof FACTORIES] as (...args: readonly unknown[]) => Trigger;
  return attempt(
    () => factory(...(Array.isArray(args) ? args : [args])),
    (inner) => [place, name, inner].filter(Boolean).join('.'),
  );
}
