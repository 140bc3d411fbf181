import { BaselineFile } from '../../journal/baseline-file.js';
import type { OpenFolder } from '../../journal/guard-folder.js';
import type { MemoryOutcomeStore } from '../../measure/memory-outcome-store.js';
import type { FlagFacts } from '../../model/flags.js';
import type { GuardContext } from '../context/guard-context.js';
import type { GuardFleet } from '../guard-fleet.js';
import { BaselineRecorder } from './baseline-recorder.js';

/** How long a change may be in memory only, in milliseconds: the control's counts change with every outcome. */
const SAVE_AFTER_MS = 60_000;

/** Gives the baselines to the store, for the triggers, and saves them for the next run. */
export class Baselines {
  readonly #context: GuardContext;
  /** What this process records: the baseline and the memory are its own. */
  readonly #own: MemoryOutcomeStore;
  readonly #fleet: GuardFleet;
  /** Undefined before `load`, or without a folder. */
  #file: BaselineFile | undefined;
  #recorder = new BaselineRecorder();
  /** By the monotonic clock. */
  #unsavedSince: number | undefined;

  constructor(context: GuardContext, own: MemoryOutcomeStore, fleet: GuardFleet) {
    this.#context = context;
    this.#own = own;
    this.#fleet = fleet;
  }

  /** Resumes from what an earlier run recorded in the folder. An invalid file is reported and set aside. */
  async load(folder: OpenFolder | undefined): Promise<void> {
    const { flagKey } = this.#context;
    if (folder !== undefined) this.#file = new BaselineFile(folder.path, flagKey, folder);
    try {
      const earlier = await this.#file?.load();
      if (earlier === undefined) return;
      this.#recorder = new BaselineRecorder(earlier);
      this.#own.setBaseline(earlier);
    } catch (error) {
      this.#context.records.fault('reading the baseline', error);
    }
  }

  /** Called on every tick: samples the memory and the control. */
  sample(facts: FlagFacts | undefined, now: number): void {
    const memoryBytes = this.#sampleMemory(now);
    if (this.#recorder.sample({ snapshot: this.#fleet.evaluated.snapshot(now), facts, memoryBytes })) {
      this.#own.setBaseline(this.#recorder.baseline);
      this.#unsavedSince ??= this.#context.clock.monotonic();
    }
    if (this.#unsavedSince === undefined) return;
    if (this.#context.clock.monotonic() - this.#unsavedSince >= SAVE_AFTER_MS) void this.save();
  }

  /** Resolves when what has changed is on disk, or could not be written, which is reported. */
  async save(): Promise<void> {
    if (this.#unsavedSince === undefined) return;
    this.#unsavedSince = undefined;
    try {
      await this.#file?.save(this.#recorder.baseline);
      this.#context.records.works('writing the baseline');
    } catch (error) {
      this.#context.records.fault('writing the baseline', error);
    }
  }

  #sampleMemory(now: number): number | undefined {
    const { records, readMemoryBytes } = this.#context;
    if (readMemoryBytes === undefined) return undefined;
    try {
      const bytes = readMemoryBytes();
      this.#own.recordMemory(bytes, now);
      return bytes;
    } catch (error) {
      records.fault('reading the memory', error);
      return undefined;
    }
  }
}
