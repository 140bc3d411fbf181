import { z } from 'zod';
import { type RolloutView, rolloutViewSchema } from '../../model/rollout-view.js';
import { earlierBookSchema, SERIES, type SeriesName } from '../../rollups/book-state.js';
import { historyOf } from '../../rollups/history.js';
import type { RolloutHistory } from '../../rollups/rollup.js';
import type { TimeRange } from '../../rollups/rollup-line.js';
import { parseConfig } from '../../support/config-error.js';
import { withDeadline } from '../../support/deadline.js';
import { jsonText } from '../fleet-shapes.js';
import { parseReply, type RedisClient, RedisConnection } from './redis-client.js';
import { redisFailure } from './redis-failure.js';
import { flagOfName, flagsKey, keysOf, type RedisFlag } from './redis-keys.js';
import { connectionFields, refineConnection } from './redis-outcome-store.js';
import type { RedisScript } from './script.js';
import { READ_FLAGS, READ_ROLLUPS, READ_VIEW } from './view-scripts.js';

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

/** The leader writes for a version of the page that may be older or newer than this one. */
const viewSchema = jsonText(rolloutViewSchema);
const seriesSchema = z.tuple([z.array(z.string()), z.string()]);
const rollupsSchema = z.tuple([z.string(), seriesSchema, seriesSchema, seriesSchema, seriesSchema]);

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

  /** Where a rollout stands, as its leader saved it last; undefined when it did not, or was of another version. */
  async view(flag: RedisFlag): Promise<RolloutView | undefined> {
    const reply = await this.#run(READ_VIEW, keysOf(this.#prefix, flag).all, []);
    return viewSchema.safeParse(reply).data;
  }

  /** A rollout as the whole fleet recorded it, in the finest rollups that are kept, the running minute included. */
  async history(flag: RedisFlag, range: TimeRange = {}): Promise<RolloutHistory> {
    const from = Math.floor(Math.max(range.from ?? -1, -1));
    const reply = await this.#run(READ_ROLLUPS, keysOf(this.#prefix, flag).all, [String(from)]);
    const [text, ...lists] = parseReply(rollupsSchema, reply);
    const earlier = jsonText(earlierBookSchema).safeParse(text).data;
    const of = (name: SeriesName) => {
      const [newestFirst, removedUpTo] = lists[SERIES.findIndex((each) => each.name === name)]!;
      const waiting = (earlier?.pending ?? []).filter(({ series }) => series === name);
      return {
        lines: [...newestFirst.reverse(), ...waiting.map(({ line }) => line)],
        removedUpTo: removedUpTo === '' ? undefined : Number(removedUpTo),
      };
    };
    const series = {
      minutes: of('minutes'),
      'ten-minutes': of('ten-minutes'),
      hours: of('hours'),
      annotations: of('annotations'),
    };
    return historyOf({ series, running: earlier?.book.running ?? [] }, range);
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
