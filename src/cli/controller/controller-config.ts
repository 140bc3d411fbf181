import { extname } from 'node:path';
import { z } from 'zod';
import type { RolloutGuardOptions } from '../../guard/options.js';
import { ConfigError, type ConfigProblem, isConfigError, parseConfig } from '../../support/config-error.js';
import { importConfig, parseJsonFile, triggerOf } from '../../what-if/replay/rules-file.js';

/** Where secrets may be instead of in the file. */
export type Environment = Readonly<Record<string, string | undefined>>;

type Fields = Readonly<Record<string, unknown>>;

/** What a configuration file contains; the guard, the store and the provider check their own values. */
export interface ControllerConfig {
  /** The file, for messages. */
  readonly path: string;
  readonly unleash: Fields;
  readonly clientToken: string | undefined;
  readonly redis: Fields;
  /** All other options of the guard. */
  readonly guard: Fields;
  readonly problems: readonly ConfigProblem[];
}

/** What was made, or why it was not. */
export interface Attempt<T> {
  readonly made: T | undefined;
  readonly problems: readonly ConfigProblem[];
}

const CLIENT_TOKEN = 'a client token without white space, here or as UNLEASH_CLIENT_TOKEN';
const ADMIN_TOKEN = 'an admin token, here or as UNLEASH_ADMIN_TOKEN';
const REDIS_URL = 'a URL that begins with redis:// or rediss://, here or as REDIS_URL';

/** The options of the guard that a file may set, beside `unleash`. */
const GUARD_OPTIONS = [
  'flagKey',
  'rollback',
  'review',
  'stages',
  'reviewCloseAfterMs',
  'onRollback',
  'advance',
  'folder',
  'dryRun',
  'tickMs',
  'recheckMs',
  'outcomeTimeoutMs',
  'notify',
  'observers',
] as const satisfies readonly (keyof RolloutGuardOptions)[];

// The constructors check the values: here it matters which options there are, and what the environment may add.
const anything = z.unknown().optional();

const fileSchema = z.strictObject({
  ...Object.fromEntries(GUARD_OPTIONS.map((name) => [name, anything])),
  unleash: z.strictObject({
    url: anything,
    project: anything,
    environment: anything,
    timeoutMs: anything,
    reportUrl: anything,
    token: z.string({ error: ADMIN_TOKEN }),
    clientToken: z.string({ error: CLIENT_TOKEN }).regex(/^[\x21-\x7e]+$/, { error: CLIENT_TOKEN }),
  }),
  redis: z.record(z.string(), z.unknown()),
  // A preset may be spread: how operations run and are logged is decided by the services.
  operation: anything,
  log: anything,
});

/**
 * Reads a controller's configuration: a JSON file, or a JavaScript module that exports the same as its default or by name.
 * The tokens and Redis' URL come from the environment where the file has none.
 *
 * @throws ConfigError when the file has no object at all; what is wrong inside is in `problems`.
 * @throws when the file cannot be read, or the module throws.
 */
export async function readControllerConfig(
  path: string,
  environment: Environment,
): Promise<ControllerConfig> {
  const isJson = extname(path) === '.json';
  const file = isJson ? await parseJsonFile(path) : await importConfig(path);
  if (!isRecord(file)) parseConfig(z.record(z.string(), z.unknown(), { error: 'an object' }), file, path);
  const given = withSecrets(file as Fields, environment);
  const { problems } = attempt(() => parseConfig(fileSchema, given, path));
  const redis = fieldsOf(given.redis);
  const isWithoutRedis = redis.url === undefined && redis.client === undefined;
  const noRedis = { path: 'redis.url', expected: REDIS_URL, got: 'nothing' };
  const guard: Record<string, unknown> = {};
  for (const name of GUARD_OPTIONS) if (given[name] !== undefined) guard[name] = given[name];
  const triggers = isJson ? triggersOf(guard, path) : { lists: {}, problems: [] };
  const { clientToken, ...unleash } = fieldsOf(given.unleash);
  return {
    path,
    unleash,
    clientToken: typeof clientToken === 'string' ? clientToken : undefined,
    redis,
    guard: { ...guard, ...triggers.lists },
    problems: [...problems, ...(isWithoutRedis ? [noRedis] : []), ...triggers.problems],
  };
}

/**
 * Makes a part from its configuration, and collects what is wrong with it.
 *
 * @param place - Where a path of that part is in the whole configuration.
 * @throws what `make` throws beside a ConfigError.
 */
export function attempt<T>(make: () => T, place = (path: string) => path): Attempt<T> {
  try {
    return { made: make(), problems: [] };
  } catch (error) {
    if (!isConfigError(error)) throw error;
    return {
      made: undefined,
      problems: error.problems.map((problem) => ({ ...problem, path: place(problem.path) })),
    };
  }
}

/**
 * Throws when there is any problem. Of two about the same field the first is reported, and none about a field within one
 * that has a problem itself.
 *
 * @param what - What was configured.
 * @throws ConfigError that lists every problem.
 */
export function throwProblems(what: string, problems: readonly ConfigProblem[]): void {
  const reported: ConfigProblem[] = [];
  for (const problem of problems) {
    if (!reported.some(({ path }) => contains(path, problem.path))) reported.push(problem);
  }
  if (reported.length > 0) throw new ConfigError(what, reported);
}

function contains(outer: string, path: string): boolean {
  return path === outer || path.startsWith(`${outer}.`) || path.startsWith(`${outer}[`);
}

function withSecrets(file: Fields, environment: Environment): Fields {
  const { unleash = {}, redis = {}, ...rest } = file;
  const either = (value: unknown, name: string) => value ?? (environment[name] || undefined);
  return {
    ...rest,
    unleash: isRecord(unleash)
      ? {
          ...unleash,
          token: either(unleash.token, 'UNLEASH_ADMIN_TOKEN'),
          clientToken: either(unleash.clientToken, 'UNLEASH_CLIENT_TOKEN'),
        }
      : unleash,
    redis:
      isRecord(redis) && redis.client === undefined
        ? { ...redis, url: either(redis.url, 'REDIS_URL') }
        : redis,
  };
}

/** The triggers that a JSON file names; invalid ones are left out, and are among the problems. */
function triggersOf(guard: Fields, path: string) {
  const lists: Record<string, unknown> = {};
  const problems: ConfigProblem[] = [];
  for (const key of ['rollback', 'review']) {
    const list = guard[key];
    if (!Array.isArray(list)) continue;
    lists[key] = list.flatMap((entry, index) => {
      const place = `${key}[${index}]`;
      const { made, problems: wrong } = attempt(
        () => triggerOf(entry, place, path),
        (inner) =>
          inner.startsWith(place) ? inner : [place, nameIn(entry), inner].filter(Boolean).join('.'),
      );
      problems.push(...wrong);
      return made === undefined ? [] : [made];
    });
  }
  return { lists, problems };
}

function nameIn(entry: unknown): string {
  return isRecord(entry) ? (Object.keys(entry)[0] ?? '') : '';
}

function fieldsOf(value: unknown): Fields {
  return isRecord(value) ? value : {};
}

function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether a problem is about a list whose entries have problems of their own, so that it says nothing new. */
export function isAboutBrokenList({ path }: ConfigProblem, known: readonly ConfigProblem[]): boolean {
  const list = /^(rollback|review)\b/.exec(path)?.[0];
  return list !== undefined && known.some((problem) => problem.path.startsWith(`${list}[`));
}
