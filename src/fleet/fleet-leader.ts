import type { MemoryOutcomeStore } from '../measure/memory-outcome-store.js';
import { parseOutcomeDelta } from '../measure/outcome-delta.js';
import type { Snapshot } from '../model/shapes.js';
import { parseJson } from '../support/json.js';
import { isFleetError } from './fleet-link.js';
import type { FleetMemberOptions } from './fleet-options.js';
import { checkpointSchema, type FleetEntry } from './fleet-shapes.js';

/** Entries that are read at once. */
const BATCH = 500;
/** How often the leader saves a checkpoint, in milliseconds. */
const CHECKPOINT_MS = 2_000;

/**
 * The whole fleet's outcomes, from the moment at which this process becomes the leader: the checkpoint of the last leader, and
 * every delta since. It contains nothing of this process but what this process has sent, so that nothing counts twice,
 * whichever process leads next.
 */
export class FleetLeader {
  readonly #options: FleetMemberOptions;
  readonly #fence: number;
  readonly #serverNow: () => number;
  #store: MemoryOutcomeStore;
  #epoch = 0;
  #upTo = '';
  #serverRun: string | undefined;
  /** The checkpoint that was saved last: its last entry, and what was reported by then. */
  #saved = { upTo: '', reported: '' };
  #savedAt = Number.NEGATIVE_INFINITY;
  #status: 'new' | 'current' | 'over' = 'new';
  #reading: Promise<void> | undefined;
  /** When everything had been read last, or this process became the leader; of the monotonic clock. */
  #readAt: number;

  /**
   * @param fence - The number by which this process is the leader.
   * @param serverNow - The time by the server's clock.
   */
  constructor(options: FleetMemberOptions, fence: number, serverNow: () => number) {
    this.#options = options;
    this.#fence = fence;
    this.#serverNow = serverNow;
    this.#store = options.emptyStore();
    this.#readAt = options.clock.monotonic();
  }

  /** For how long it has not read everything that was sent, in milliseconds. */
  get unreadMs(): number {
    return this.#options.clock.monotonic() - this.#readAt;
  }

  /** The number by which this process is the leader; undefined when another one is. */
  get fence(): number | undefined {
    return this.#status === 'over' ? undefined : this.#fence;
  }

  /** The epoch of what has been read; undefined before everything has been, and when another process is the leader. */
  get epoch(): number | undefined {
    return this.#status === 'current' ? this.#epoch : undefined;
  }

  snapshot(now: number): Snapshot {
    return this.#store.snapshot(now);
  }

  /** Another process is the leader, or the server's data is no longer what was read. */
  end(): void {
    this.#status = 'over';
  }

  /** Reads what was sent since the last time, unless a read is under way. */
  poll(): void {
    if (this.#status === 'over') return;
    this.#reading ??= this.#read()
      .catch((error) => {
        // The next sync reports a connection that was lost.
        if (isFleetError(error) && !error.requiresAction) return;
        this.#options.listener.onFault("evaluating the fleet's outcomes", error);
      })
      .finally(() => {
        this.#reading = undefined;
      });
  }

  /** Saves a last checkpoint for the next leader. */
  async close(): Promise<void> {
    await this.#reading;
    if (this.#status === 'current') await this.#saveCheckpoint().catch(() => {});
  }

  async #read(): Promise<void> {
    const { clock, listener } = this.#options;
    const isFirst = this.#status === 'new';
    if (isFirst) await this.#loadCheckpoint();
    const read = await this.#readEntries();
    // Meanwhile another process may have become the leader, or the server may have lost its data.
    if (read === undefined) this.end();
    if (read === undefined || this.#status === 'over') return;
    this.#status = 'current';
    this.#readAt = clock.monotonic();
    if (isFirst || read > 0) listener.onOutcomes();
    if (clock.monotonic() - this.#savedAt < CHECKPOINT_MS) return;
    this.#savedAt = clock.monotonic();
    await this.#saveCheckpoint();
  }

  /** @returns how many entries were read; undefined when this process is no longer the leader. */
  async #readEntries(): Promise<number | undefined> {
    let read = 0;
    for (;;) {
      const found = await this.#options.link.read(this.#fence, this.#upTo, BATCH);
      if (found === undefined) return undefined;
      this.#serverRun ??= found.serverRun;
      if (found.serverRun !== this.#serverRun) {
        // It may have lost the last second, which its senders send again: what is here would count twice.
        this.#serverRun = found.serverRun;
        await this.#loadCheckpoint();
        continue;
      }
      for (const entry of found.entries) this.#apply(entry);
      read += found.entries.length;
      this.#upTo = found.entries.at(-1)?.id ?? this.#upTo;
      if (found.entries.length < BATCH) return read;
    }
  }

  #apply(entry: FleetEntry): void {
    if (entry.type === 'epoch') {
      if (entry.epoch <= this.#epoch) return;
      this.#epoch = entry.epoch;
      this.#store.beginEpoch(entry.epoch, entry.at, { keepWindows: entry.keepWindows });
      return;
    }
    const delta = parseOutcomeDelta(parseJson(entry.text));
    if (delta !== undefined) this.#store.merge(delta, this.#serverNow());
    else this.#options.listener.onFault('reading a delta', new TypeError('it is of another version'));
  }

  async #loadCheckpoint(): Promise<void> {
    const { link, emptyStore, reportedState, listener } = this.#options;
    this.#store = emptyStore();
    this.#epoch = 0;
    this.#upTo = '';
    this.#saved = { upTo: '', reported: '' };
    const text = await link.loadCheckpoint();
    if (text === undefined) return;
    try {
      const checkpoint = checkpointSchema.parse(text);
      const { contents, epochStartedAt, oldestEpoch } = checkpoint.dump;
      if (oldestEpoch !== undefined)
        this.#store.beginEpoch(oldestEpoch, epochStartedAt, { keepWindows: false });
      this.#store.beginEpoch(contents.epoch, epochStartedAt, { keepWindows: true });
      this.#store.restore(checkpoint.dump, this.#serverNow());
      this.#epoch = contents.epoch;
      this.#upTo = checkpoint.upTo;
      if (checkpoint.reportedState !== undefined) reportedState.set(checkpoint.reportedState);
    } catch (error) {
      listener.onFault("reading the last leader's checkpoint", error);
    }
  }

  /** Saves what is here for the next leader, unless nothing has changed. */
  async #saveCheckpoint(): Promise<void> {
    const upTo = this.#upTo;
    const reportedState = this.#options.reportedState.get();
    // It changes without outcomes too: a review is closed because nothing more came.
    const reported = JSON.stringify(reportedState);
    if (upTo === this.#saved.upTo && reported === this.#saved.reported) return;
    const dump = this.#store.dump(this.#serverNow());
    const text = JSON.stringify({ version: 1, upTo, reportedState, dump });
    const isSaved = await this.#options.link.saveCheckpoint(this.#fence, upTo, text);
    if (isSaved) this.#saved = { upTo, reported };
  }
}
