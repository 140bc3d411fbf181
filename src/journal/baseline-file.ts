import { join } from 'node:path';
import { z } from 'zod';
import { type Baseline, baselineSchema } from '../model/baseline.js';
import { VersionedFile, type WriteOptions } from '../support/files.js';

/** The name of the recorded baseline within a guard's folder. */
export const BASELINE_FILE = 'baseline.json';

const entrySchema = z.lazy(() =>
  z.object({ flagKey: z.string(), ...baselineSchema.unwrap().unwrap().shape }),
);

/** What was normal, on disk. */
export class BaselineFile {
  readonly #file: VersionedFile<z.infer<typeof entrySchema>>;
  readonly #flagKey: string;

  /** @param folder - Created if it does not exist. */
  constructor(folder: string, flagKey: string, options?: WriteOptions) {
    this.#file = new VersionedFile(join(folder, BASELINE_FILE), 1, entrySchema, options);
    this.#flagKey = flagKey;
  }

  /**
   * What an earlier run recorded, or undefined without one.
   * @throws when the file cannot be read, is not a baseline, or belongs to another flag.
   */
  async load(): Promise<Baseline | undefined> {
    const entry = await this.#file.load();
    if (entry === undefined) return undefined;
    const { flagKey, ...baseline } = entry;
    if (flagKey !== this.#flagKey) {
      throw new Error(`${this.#file.path} is the baseline of the flag ${flagKey}.`);
    }
    return baseline;
  }

  /** Resolves when the baseline is on the disk itself. Calls are written in order. */
  save(baseline: Baseline): Promise<void> {
    return this.#file.save({ flagKey: this.#flagKey, ...baseline });
  }
}
