import { z } from 'zod';
import type { MemoryOutcomeStore } from '../measure/memory-outcome-store.js';
import { parseOutcomeDelta, parseStoreDump } from '../measure/outcome-delta.js';
import type { Baseline, Snapshot } from '../model/shapes.js';
import type { FleetEntry, FleetLink } from './fleet-link.js';

/** What {@link FleetView} works with. */
export interface FleetViewOptions {
  readonly link: FleetLink;
  readonly fence: number;
  readonly emptyStore: () => MemoryOutcomeStore;
  /** What the judge remembers beside the outcomes goes into the checkpoint, and comes back from the one before. */
  readonly reportedState: { readonly get: () => unknown; readonly set: (memory: unknown) => void };
  /** Told of what cannot be read. */
  readonly onFault: (what: string, error: unknown) => void;
}

/** Entries that are read at once. */
const BATCH = 500;
const CHECKPOINT_VERSION = 1;

const checkpointSchema = z.object({
  version: z.literal(CHECKPOINT_VERSION),
  upTo: z.string(),
  reportedState: z.unknown().optional(),
  dump: z.unknown().optional(),
});

/**
 * The whole fleet's outcomes, as the judge holds them: what the judge before had kept, and every delta since. It takes
 * nothing from this process but what this process has sent, so that nothing counts twice, whoever judges next.
 */
export class FleetView {
  readonly #options: FleetViewOptions;
  #store: MemoryOutcomeStore;
  #epoch = 0;
  #upTo = '';
  #kept: { readonly upTo: string; readonly told: string | undefined } = { upTo: '', told: undefined };
  #serverRun: string | undefined;

  private constructor(options: FleetViewOptions) {
    this.#options = options;
    this.#store = options.emptyStore();
  }

  /** Takes up what the judge before had kept. */
  static async take(options: FleetViewOptions, now: number): Promise<FleetView> {
    const view = new FleetView(options);
    await view.#resume(now);
    return view;
  }

  get epoch(): number {
    return this.#epoch;
  }

  setBaseline(baseline: Baseline): void {
    this.#store.setBaseline(baseline);
  }

  snapshot(now: number): Snapshot {
    return this.#store.snapshot(now);
  }

  /**
   * Reads what came since the last time.
   * @returns how many entries that were; undefined when this process no longer judges.
   */
  async advance(now: number): Promise<number | undefined> {
    const { link, fence } = this.#options;
    let read = 0;
    for (;;) {
      const found = await link.read(fence, this.#upTo, BATCH);
      if (found === undefined) return undefined;
      this.#serverRun ??= found.serverRun;
      if (found.serverRun !== this.#serverRun) {
        // It may have lost the last second, which its senders send again: what is here would count twice.
        this.#serverRun = found.serverRun;
        await this.#resume(now);
        continue;
      }
      for (const entry of found.entries) this.#apply(entry, now);
      read += found.entries.length;
      this.#upTo = found.entries.at(-1)?.id ?? this.#upTo;
      if (found.entries.length < BATCH) return read;
    }
  }

  /** Keeps what is here for the next judge. */
  async keep(now: number): Promise<void> {
    const { link, fence, reportedState } = this.#options;
    const upTo = this.#upTo;
    const memory = reportedState.get();
    // What the judge remembers changes without outcomes too: a review is closed because nothing more came.
    const told = JSON.stringify(memory);
    if (upTo === this.#kept.upTo && told === this.#kept.told) return;
    const dump = this.#store.dump(now);
    const checkpoint = { version: CHECKPOINT_VERSION, upTo, reportedState: memory, dump };
    if (await link.saveCheckpoint(fence, upTo, JSON.stringify(checkpoint))) this.#kept = { upTo, told };
  }

  async #resume(now: number): Promise<void> {
    const { link, emptyStore, reportedState, onFault } = this.#options;
    this.#store = emptyStore();
    this.#epoch = 0;
    this.#upTo = '';
    this.#kept = { upTo: '', told: undefined };
    const text = await link.loadCheckpoint();
    if (text === undefined) return;
    try {
      const { upTo, reportedState: memory, dump: given } = checkpointSchema.parse(JSON.parse(text));
      const dump = parseStoreDump(given);
      if (dump === undefined) throw new TypeError('it holds no outcomes of this version');
      const { epoch } = dump.contents;
      const { epochStartedAt, oldestEpoch } = dump;
      if (oldestEpoch !== undefined)
        this.#store.beginEpoch(oldestEpoch, epochStartedAt, { keepWindows: false });
      this.#store.beginEpoch(epoch, epochStartedAt, { keepWindows: true });
      this.#store.restore(dump, now);
      this.#epoch = epoch;
      this.#upTo = upTo;
      reportedState.set(memory);
    } catch (error) {
      onFault('reading what the judge before had kept', error);
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
