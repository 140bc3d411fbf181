import type { MemoryOutcomeStore } from '../measure/memory-outcome-store.js';
import { parseOutcomeDelta } from '../measure/outcome-delta.js';
import type { Snapshot } from '../model/shapes.js';
import type { FleetLink } from './fleet-link.js';
import type { ReportedStateAccess } from './fleet-options.js';
import { checkpointSchema, type FleetEntry } from './fleet-shapes.js';

/** What {@link FleetView} needs. */
export interface FleetViewOptions {
  readonly link: FleetLink;
  readonly fence: number;
  readonly emptyStore: () => MemoryOutcomeStore;
  /** What the leader has reported goes into the checkpoint, and comes back from the last one. */
  readonly reportedState: ReportedStateAccess;
  /** Called with what cannot be read. */
  readonly onFault: (what: string, error: unknown) => void;
}

/** Entries that are read at once. */
const BATCH = 500;

/**
 * The whole fleet's outcomes in the leader: the checkpoint of the last leader, and every delta since. It contains
 * nothing of this process but what this process has sent, so that nothing counts twice, whichever process leads next.
 */
export class FleetView {
  readonly #options: FleetViewOptions;
  #store: MemoryOutcomeStore;
  #epoch = 0;
  #upTo = '';
  /** The checkpoint that was saved last. */
  #saved: { readonly upTo: string; readonly reported: string | undefined } = {
    upTo: '',
    reported: undefined,
  };
  #serverRun: string | undefined;

  private constructor(options: FleetViewOptions) {
    this.#options = options;
    this.#store = options.emptyStore();
  }

  /** Loads the checkpoint of the last leader. */
  static async load(options: FleetViewOptions, now: number): Promise<FleetView> {
    const view = new FleetView(options);
    await view.#loadCheckpoint(now);
    return view;
  }

  get epoch(): number {
    return this.#epoch;
  }

  snapshot(now: number): Snapshot {
    return this.#store.snapshot(now);
  }

  /**
   * Reads what was sent since the last time.
   * @returns how many entries that were; undefined when this process is no longer the leader.
   */
  async readEntries(now: number): Promise<number | undefined> {
    const { link, fence } = this.#options;
    let read = 0;
    for (;;) {
      const found = await link.read(fence, this.#upTo, BATCH);
      if (found === undefined) return undefined;
      this.#serverRun ??= found.serverRun;
      if (found.serverRun !== this.#serverRun) {
        // It may have lost the last second, which its senders send again: what is here would count twice.
        this.#serverRun = found.serverRun;
        await this.#loadCheckpoint(now);
        continue;
      }
      for (const entry of found.entries) this.#apply(entry, now);
      read += found.entries.length;
      this.#upTo = found.entries.at(-1)?.id ?? this.#upTo;
      if (found.entries.length < BATCH) return read;
    }
  }

  /** Saves what is here for the next leader, unless nothing has changed. */
  async saveCheckpoint(now: number): Promise<void> {
    const { link, fence, reportedState: access } = this.#options;
    const upTo = this.#upTo;
    const reportedState = access.get();
    // It changes without outcomes too: a review is closed because nothing more came.
    const reported = JSON.stringify(reportedState);
    if (upTo === this.#saved.upTo && reported === this.#saved.reported) return;
    const dump = this.#store.dump(now);
    const text = JSON.stringify({ version: 1, upTo, reportedState, dump });
    if (await link.saveCheckpoint(fence, upTo, text)) this.#saved = { upTo, reported };
  }

  async #loadCheckpoint(now: number): Promise<void> {
    const { link, emptyStore, reportedState, onFault } = this.#options;
    this.#store = emptyStore();
    this.#epoch = 0;
    this.#upTo = '';
    this.#saved = { upTo: '', reported: undefined };
    const text = await link.loadCheckpoint();
    if (text === undefined) return;
    try {
      const checkpoint = checkpointSchema.parse(text);
      const { contents, epochStartedAt, oldestEpoch } = checkpoint.dump;
      if (oldestEpoch !== undefined)
        this.#store.beginEpoch(oldestEpoch, epochStartedAt, { keepWindows: false });
      this.#store.beginEpoch(contents.epoch, epochStartedAt, { keepWindows: true });
      this.#store.restore(checkpoint.dump, now);
      this.#epoch = contents.epoch;
      this.#upTo = checkpoint.upTo;
      if (checkpoint.reportedState !== undefined) reportedState.set(checkpoint.reportedState);
    } catch (error) {
      onFault("reading the last leader's checkpoint", error);
    }
  }

  #apply(entry: FleetEntry, now: number): void {
    if (entry.type === 'epoch') {
      if (entry.epoch <= this.#epoch) return;
      this.#epoch = entry.epoch;
      this.#store.beginEpoch(entry.epoch, entry.at, { keepWindows: entry.keepWindows });
      return;
    }
    const delta = parseOutcomeDelta(parseJson(entry.text));
    if (delta !== undefined) this.#store.merge(delta, now);
    else this.#options.onFault('reading a delta', new TypeError('it is of another version'));
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
