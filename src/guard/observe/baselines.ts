import { BaselineFile } from '../../journal/baseline-file.js';
import type { OutcomeStore } from '../../measure/outcome-store.js';
import type { FlagFacts } from '../../model/flags.js';
import type { GuardRecords } from '../records/guard-records.js';
import { BaselineRecorder } from './baseline-recorder.js';

/** How long a change may be in memory only, in milliseconds: the control's counts change with every outcome. */
const SAVE_AFTER_MS = 60_000;

/** What {@link Baselines} works with. */
export interface BaselinesOptions {
  readonly flagKey: string;
  readonly folder: string | false;
  /** What this process records: the baseline and the memory are its own. */
  readonly own: OutcomeStore;
  /** What this process evaluates. */
  readonly store: Pick<OutcomeStore, 'snapshot'>;
  readonly records: GuardRecords;
  readonly readMemoryBytes: () => number;
}

/** Keeps what is normal: from look to look, in the store for the triggers, and on disk for the next run. */
export class Baselines {
  readonly #options: BaselinesOptions;
  readonly #file: BaselineFile | undefined;
  #recorder = new BaselineRecorder();
  #unsavedSince: number | undefined;

  constructor(options: BaselinesOptions) {
    this.#options = options;
    this.#file = options.folder === false ? undefined : new BaselineFile(options.folder, options.flagKey);
  }

  /** Takes up what an earlier run recorded. A file that is none is told and ignored. */
  async load(): Promise<void> {
    try {
      const earlier = await this.#file?.load();
      if (earlier === undefined) return;
      this.#recorder = new BaselineRecorder(earlier);
      this.#options.own.setBaseline(earlier);
    } catch (error) {
      this.#options.records.fault('reading the baseline', error);
    }
  }

  /** Called on every tick: samples the memory, and looks at what the control did. */
  sample(facts: FlagFacts | undefined, now: number): void {
    const { own, store } = this.#options;
    const memoryBytes = this.#sampleMemory(now);
    if (this.#recorder.sample({ snapshot: store.snapshot(now), facts, memoryBytes })) {
      own.setBaseline(this.#recorder.baseline);
      this.#unsavedSince ??= now;
    }
    if (this.#unsavedSince !== undefined && now - this.#unsavedSince >= SAVE_AFTER_MS) void this.save();
  }

  /** Resolves when what has changed is on disk, or could not be written, which is told. */
  async save(): Promise<void> {
    if (this.#unsavedSince === undefined) return;
    this.#unsavedSince = undefined;
    try {
      await this.#file?.save(this.#recorder.baseline);
    } catch (error) {
      this.#options.records.fault('writing the baseline', error);
    }
  }

  #sampleMemory(now: number): number | undefined {
    const { own, records, readMemoryBytes } = this.#options;
    try {
      const bytes = readMemoryBytes();
      own.recordMemory(bytes, now);
      return bytes;
    } catch (error) {
      records.fault('reading the memory', error);
      return undefined;
    }
  }
}
