import { extname } from 'node:path';
import { z } from 'zod';
import { type ConfigProblem, parseConfig } from '../../support/config-error.js';
import { importConfig, parseJsonFile, triggerOf } from '../../what-if/replay/rules-file.js';
import { attempt } from './collect-problems.js';

/** Where secrets may be instead of in the file. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What a configuration says of a judge; the parts check their own values. */
export interface ControllerConfig {
  /** The file, for messages. */
  readonly path: string;
  readonly unleash: Fields;
  readonly clientToken: string | undefined;
  readonly redis: Fields;
  /** The options of a guard that are neither of the three above. */
  readonly guard: Fields;
  readonly problems: readonly ConfigProblem[];
}

export type Fields = Readonly<Record<string, unknown>>;

const CLIENT_TOKEN = 'a client token without white space, here or as UNLEASH_CLIENT_TOKEN';
const ADMIN_TOKEN = 'an admin token, here or as UNLEASH_ADMIN_TOKEN';
const REDIS_URL = 'a URL that begins with redis:// or rediss://, here or as REDIS_URL';

/** Whoever takes the value checks it. */
const checkedLater = z.unknown().optional();

const guardFields = {
  flagKey: checkedLater,
  rollback: checkedLater,
  review: checkedLater,
  stages: checkedLater,
  reviewCloseAfterMs: checkedLater,
  onRollback: checkedLater,
  advance: checkedLater,
  folder: checkedLater,
  dryRun: checkedLater,
  tickMs: checkedLater,
  recheckMs: checkedLater,
  outcomeTimeoutMs: checkedLater,
  notify: checkedLater,
  observers: checkedLater,
};

const fileSchema = z.strictObject({
  ...guardFields,
  unleash: z.strictObject({
    url: checkedLater,
    project: checkedLater,
    environment: checkedLater,
    timeoutMs: checkedLater,
    reportUrl: checkedLater,
    token: z.string({ error: ADMIN_TOKEN }),
    clientToken: z.string({ error: CLIENT_TOKEN }).regex(/^[\x21-\x7e]+$/, { error: CLIENT_TOKEN }),
  }),
  redis: z.strictObject({
    url: checkedLater,
    client: checkedLater,
    prefix: checkedLater,
    flushMs: checkedLater,
    evaluateMs: checkedLater,
    leaseMs: checkedLater,
    timeoutMs: checkedLater,
    retentionMs: checkedLater,
  }),
  // A preset may be spread: how operations behave and are logged is a matter of those who run them.
  operation: checkedLater,
  log: checkedLater,
});

/**
 * Reads what a judge is told: a JSON file, or a JavaScript module that exports the same as its default or by name. The
 * tokens and Redis' URL come from the environment where the file has none.
 *
 * @throws ConfigError when the file holds no object at all; what is wrong inside is in `problems`.
 * @throws when the file cannot be read, or the module throws.
 */
export async function readControllerConfig(
  path: string,
  environment: Environment,
): Promise<ControllerConfig> {
  const isJson = extname(path) === '.json';
  const told = isJson ? await parseJsonFile(path) : await importConfig(path);
  if (!isRecord(told)) parseConfig(z.record(z.string(), z.unknown(), { error: 'an object' }), told, path);
  const given = withSecrets(told as Fields, environment);
  const { problems } = attempt(() => parseConfig(fileSchema, given, path));
  const redis = fieldsOf(given.redis);
  const isWithoutRedis = redis.url === undefined && redis.client === undefined;
  const noRedis = { path: 'redis.url', expected: REDIS_URL, got: 'nothing' };
  const guard: Record<string, unknown> = {};
  for (const field of Object.keys(guardFields)) if (given[field] !== undefined) guard[field] = given[field];
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

function withSecrets(told: Fields, environment: Environment): Fields {
  const { unleash = {}, redis = {}, ...rest } = told;
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

/** The triggers that a JSON file names; those that cannot be are left out, and told. */
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
