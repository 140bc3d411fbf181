import { z } from 'zod';
import { guardEventSchema } from '../../model/event.js';
import { rolloutViewSchema } from '../../model/rollout-view.js';
import { earlierBookSchema, SERIES, type SeriesName } from '../../rollups/book-state.js';
import { decodeHistory } from '../../rollups/history-reader.js';
import type { RolloutHistory, WantedHistory } from '../../rollups/rollup.js';
import { Limiter } from '../../support/async/limiter.js';
import { jsonText } from '../fleet-shapes.js';
import type { SharedRollout, SharedView } from '../shared-rollout.js';
import { parseReply } from './redis-client.js';
import type { RedisScript } from './script.js';
import { READ_EVENTS, READ_ROLLUPS, READ_VIEW } from './view-scripts.js';

/** Readers must leave room for what the fleet itself sends. */
const READS_AT_ONCE = 2;

const guardEventText = jsonText(guardEventSchema);
/** The leader writes for a version of the page that may be older or newer than this one. */
const viewSchema = z.tuple([jsonText(rolloutViewSchema), z.number()]);
const linesSchema = z.array(z.string());
const seriesSchema = z.tuple([linesSchema, z.string()]);
const rollupsSchema = z.tuple([z.string(), seriesSchema, seriesSchema, seriesSchema, seriesSchema]);

/** The rollout of one fleet in Redis. */
export class RedisRollout implements SharedRollout {
  readonly #run: (script: RedisScript, args: readonly string[]) => Promise<unknown>;
  readonly #limiter = new Limiter(READS_AT_ONCE);

  /** @param run - Runs a script with the keys of the flag. @throws FleetError */
  constructor(run: (script: RedisScript, args: readonly string[]) => Promise<unknown>) {
    this.#run = run;
  }

  async view(): Promise<SharedView | undefined> {
    const found = viewSchema.safeParse(await this.#read(READ_VIEW)).data;
    return found && { view: found[0], now: found[1] };
  }

  async history(wanted: WantedHistory = {}): Promise<RolloutHistory> {
    const from = Math.floor(Math.max(wanted.from ?? -1, -1));
    const [text, ...lists] = parseReply(rollupsSchema, await this.#read(READ_ROLLUPS, String(from)));
    const earlier = jsonText(earlierBookSchema).safeParse(text).data;
    const of = (name: SeriesName) => {
      const [newestFirst, removedUpTo] = lists[SERIES.findIndex((each) => each.name === name)]!;
      return {
        lines: newestFirst.reverse(),
        removedUpTo: removedUpTo === '' ? undefined : Number(removedUpTo),
      };
    };
    const series = {
      minutes: of('minutes'),
      'ten-minutes': of('ten-minutes'),
      hours: of('hours'),
      annotations: of('annotations'),
    };
    const running = earlier?.book.running ?? [];
    return decodeHistory({ series, running }, wanted, { pending: earlier?.pending ?? [], running });
  }

  async events() {
    const lines = parseReply(linesSchema, await this.#read(READ_EVENTS));
    // A request that was repeated, because its reply was lost, has added its events twice.
    const events = [...new Set(lines)].flatMap((line) => guardEventText.safeParse(line).data ?? []);
    return events.sort((a, b) => a.at - b.at);
  }

  #read(script: RedisScript, ...args: string[]): Promise<unknown> {
    return this.#limiter.run(() => this.#run(script, args));
  }
}
