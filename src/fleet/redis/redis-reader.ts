import { z } from 'zod';
import type { RolloutView } from '../../model/rollout-view.js';
import type { RolloutHistory, TimeRange } from '../../rollups/rollup.js';
import { parseConfig } from '../../support/config-error.js';
import { withDeadline } from '../../support/deadline.js';
import type { SharedRollout } from '../shared-rollout.js';
import { parseReply, type RedisClient, RedisConnection } from './redis-client.js';
import { redisFailure } from './redis-failure.js';
import { flagOfName, flagsKey, keysOf, type RedisFlag } from './redis-keys.js';
import { connectionFields, refineConnection } from './redis-outcome-store.js';
import { RedisRollout } from './redis-rollout.js';
import type { RedisScript } from './script.js';
import { READ_FLAGS } from './view-scripts.js';

/** The options of {@link RedisReader}: a client or a URL, and where the guards keep their keys. */
export interface RedisReaderOptions {
  /** Your own connected client, as in `RedisOutcomeStoreOptions`. It is not closed. */
  readonly client?: RedisClient | undefined;
  /** `redis://` or, with TLS, `rediss://`. Never logged. */
  readonly url?: string | undefined;
  /** The prefix of the store whose fleets are read. @default 'rollout-guard' */
  readonly prefix?: string | undefined;
  /** How long a reply of Redis may take, in milliseconds. @default 10_000 */
  readonly timeoutMs?: number | undefined;
}

const { prefix, ...whichRedis } = connectionFields;
const optionsSchema = z
  .strictObject({ ...whichRedis, prefix, timeoutMs: z.number().positive().default(10_000) })
  .superRefine(refineConnection);

/**
 * Reads what fleets keep in Redis: which flags there are, where their rollouts stand, and how they went. For the dashboard, the report
 * and the terminal; it writes nothing, and may run anywhere.
 */
export class RedisReader {
  readonly #connection: RedisConnection;
  readonly #prefix: string;
  readonly #timeoutMs: number;

  /** @throws ConfigError that lists everything that is wrong with the options. */
  constructor(options: RedisReaderOptions) {
    const { client, url, prefix, timeoutMs } = parseConfig(optionsSchema, options, 'RedisReader');
    this.#connection = new RedisConnection(client ?? url!, timeoutMs);
    this.#connection.retain();
    this.#prefix = prefix;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * The flags that had a leader within the store's `retentionMs`, sorted.
   * @throws FleetError as all methods do, when Redis does not reply as it should.
   */
  async flags(): Promise<RedisFlag[]> {
    const reply = await this.#run(READ_FLAGS, [flagsKey(this.#prefix)], []);
    return parseReply(z.array(z.string()), reply)
      .sort()
      .flatMap((name) => flagOfName(name) ?? []);
  }

  /** Everything that one fleet keeps of its rollout. */
  rollout(flag: RedisFlag): SharedRollout {
    const keys = keysOf(this.#prefix, flag).all;
    return new RedisRollout((script, args) => this.#run(script, keys, [...args]));
  }

  /** Where a rollout stands, as its leader saved it last; undefined when it did not, or was of another version. */
  async view(flag: RedisFlag): Promise<RolloutView | undefined> {
    return (await this.rollout(flag).view())?.view;
  }

  /** A rollout as the whole fleet recorded it, in the finest rollups that are kept, the running minute included. */
  history(flag: RedisFlag, range: TimeRange = {}): Promise<RolloutHistory> {
    return this.rollout(flag).history(range);
  }

  /** Ends the connection, if it was made for a URL. */
  close(): void {
    this.#connection.release();
  }

  async #run(script: RedisScript, keys: string[], args: string[]): Promise<unknown> {
    try {
      const run = () => this.#connection.evaluate(script, keys, args);
      return await withDeadline(this.#timeoutMs, undefined, run);
    } catch (error) {
      throw redisFailure(error);
    }
  }
}
