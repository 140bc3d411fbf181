import { z } from 'zod';
import { parseConfig } from '../../support/config-error.js';
import { durationMsSchema } from '../../support/config-schemas.js';
import type { FleetLink } from '../fleet-link.js';
import type { FleetTiming, SharedStore } from '../fleet-options.js';
import { isRedisClient, type RedisClient, RedisConnection } from './redis-client.js';
import { keysOf } from './redis-keys.js';
import { RedisLink } from './redis-link.js';

/** The options of {@link RedisOutcomeStore}: a client or a URL, and the timing. */
export interface RedisOutcomeStoreOptions {
  /**
   * Your own connected client: `createClient()` or `createCluster()` of the `redis` package, version 5 or later, with TLS
   * and all other settings of your own. It is not closed. A second connection is made from it, which receives stops.
   */
  readonly client?: RedisClient | undefined;
  /** `redis://` or, with TLS, `rediss://`: `rediss://user:password@redis.example.com:6379/0`. Never logged. */
  readonly url?: string | undefined;
  /** The prefix of every key. @default 'rollout-guard' */
  readonly prefix?: string | undefined;
  /**
   * The name of this service, where several services use the same flag and Redis and each is to be evaluated by itself: the
   * processes of one name are one fleet. @default none: all processes that use the flag are one fleet
   */
  readonly service?: string | undefined;
  /** How often each process sends what it recorded, in milliseconds. @default 1_000 */
  readonly flushMs?: number | undefined;
  /** How often the leader reads what was sent, in milliseconds. @default 200 */
  readonly evaluateMs?: number | undefined;
  /**
   * How long the leader may be silent before another process takes over, and Redis before each process evaluates its own
   * share, in milliseconds. At least twice `flushMs`. @default 3_000
   */
  readonly leaseMs?: number | undefined;
  /** How long a reply of Redis may take, in milliseconds. @default 2_000 */
  readonly timeoutMs?: number | undefined;
  /** How long keys live after the last write, in milliseconds. @default 30 days */
  readonly retentionMs?: number | undefined;
}

const PREFIX = 'a prefix of letters, digits and . _ : - (at most 64)';
const SERVICE = 'a name of letters, digits and . _ - (at most 64)';
const URL_TEXT = 'a URL that begins with redis:// or rediss://';

/** Which Redis, and under which names. */
export const connectionFields = {
  client: z
    .custom<RedisClient>(isRedisClient, { error: 'a client of the redis package, version 5 or later' })
    .optional(),
  url: z.url({ protocol: /^rediss?$/, error: URL_TEXT }).optional(),
  prefix: z
    .string({ error: PREFIX })
    .regex(/^[\w.:-]{1,64}$/, { error: PREFIX })
    .default('rollout-guard'),
};

/** One of the two, and only one. */
export function refineConnection(
  { client, url }: { readonly client?: RedisClient | undefined; readonly url?: string | undefined },
  context: z.core.$RefinementCtx,
): void {
  if ((client === undefined) !== (url === undefined)) return;
  context.addIssue({ code: 'custom', path: ['client'], message: 'either client or url' });
}

const optionsSchema = z
  .strictObject({
    ...connectionFields,
    service: z
      .string({ error: SERVICE })
      .regex(/^[\w.-]{1,64}$/, { error: SERVICE })
      .optional(),
    flushMs: durationMsSchema.default(1_000),
    evaluateMs: durationMsSchema.default(200),
    leaseMs: durationMsSchema.default(3_000),
    timeoutMs: durationMsSchema.default(2_000),
    retentionMs: durationMsSchema.default(30 * 86_400_000),
  })
  .superRefine(refineConnection)
  .superRefine(({ flushMs, leaseMs }, context) => {
    if (leaseMs < 2 * flushMs) {
      const message = `at least twice flushMs (${2 * flushMs})`;
      context.addIssue({ code: 'custom', path: ['leaseMs'], message });
    }
  });

/**
 * Makes the guards of many processes act as one: each sends what it recorded once per second, one of them (the leader)
 * evaluates the sum, and a stop reaches all at once. Give it to `new RolloutGuard({ store })` in each process; one may serve the guards
 * of several flags. Needs Redis 6.2 or later, or Valkey; see docs/fleet.md for the keys that it writes.
 */
export class RedisOutcomeStore implements SharedStore {
  /** How often processes send and the leader evaluates, as the options say. */
  readonly timing: FleetTiming;
  readonly #options: z.infer<typeof optionsSchema>;
  readonly #connection: RedisConnection;

  /** @throws ConfigError that lists everything that is wrong with the options. */
  constructor(options: RedisOutcomeStoreOptions) {
    this.#options = parseConfig(optionsSchema, options, 'RedisOutcomeStore');
    const { client, url, timeoutMs, flushMs, evaluateMs, leaseMs } = this.#options;
    this.#connection = new RedisConnection(client ?? url!, timeoutMs);
    this.timing = Object.freeze({ flushMs, evaluateMs, leaseMs });
  }

  /** @internal */
  link({ flagKey, environment, about }: Parameters<SharedStore['link']>[0]): FleetLink {
    const { prefix, service } = this.#options;
    return new RedisLink(
      this.#connection,
      keysOf(prefix, { environment, flagKey, service }),
      this.#options,
      about,
    );
  }
}
