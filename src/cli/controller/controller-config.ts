import { z } from 'zod';
import type { RolloutGuardOptions } from '../../guard/options.js';
import { attempt, type ConfigProblem, isRecord, parseConfig } from '../../support/config-error.js';
import { readConfigFile } from '../../what-if/replay/rules-file.js';
import { type HealthOptions, healthOptionsSchema } from './health-server.js';

type Fields = Readonly<Record<string, unknown>>;

/** What a configuration file contains; the guard, the store and the provider check their own values. */
export interface ControllerConfig {
  readonly unleash: Fields;
  readonly clientToken: string | undefined;
  readonly redis: Fields;
  /** Where it answers `/health`; undefined: nowhere. */
  readonly health: HealthOptions | undefined;
  /** All other options of the guard. */
  readonly guard: Fields;
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
  'changeWindows',
  'holdAfterStops',
  'folder',
  'mode',
  'dryRun',
  'dashboardUrl',
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
  redis: z
    .record(z.string(), z.unknown())
    .refine(({ url, client }) => (url ?? client) !== undefined, { path: ['url'], error: REDIS_URL }),
  health: healthOptionsSchema.optional(),
  // A preset may be spread: how operations run and are logged is decided by the services.
  operation: anything,
  log: anything,
});

/**
 * Reads a controller's configuration: a JSON file, or a JavaScript module that exports the same as its default or by name.
 * The tokens and Redis' URL come from the environment where the file has none. A module is code: it is executed, with the
 * tokens in reach.
 *
 * @throws ConfigError when the file has no object at all; what is wrong inside is in `problems`.
 * @throws when the file cannot be read, or the module throws.
 */
export async function readControllerConfig(
  path: string,
  environment: NodeJS.ProcessEnv,
): Promise<ControllerConfig> {
  const file = await readConfigFile(path);
  const fields = parseConfig(z.record(z.string(), z.unknown(), { error: 'an object' }), file.given, path);
  const given = withSecrets(fields, environment);
  const { problems } = attempt(() => parseConfig(fileSchema, given, path));
  const { unleash, redis, health, operation: _, log: __, ...guard } = given;
  const { clientToken, ...admin } = isRecord(unleash) ? unleash : {};
  return {
    unleash: admin,
    clientToken: typeof clientToken === 'string' ? clientToken : undefined,
    redis: isRecord(redis) ? redis : {},
    // What is wrong with it is among the problems.
    health: healthOptionsSchema.safeParse(health).data,
    guard,
    problems: [...file.problems, ...problems],
  };
}

function withSecrets({ unleash = {}, redis = {}, ...rest }: Fields, environment: NodeJS.ProcessEnv): Fields {
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
