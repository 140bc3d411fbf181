import { join } from 'node:path';
import { z } from 'zod';
import { type Baseline, baselineSchema } from '../model/baseline.js';
import { KeptFile } from '../support/files.js';

/** The name of the recorded baseline within a guard's folder. */
export const BASELINE_FILE = 'baseline.json';

const VERSION = 1;

const headerSchema = z.object({ version: z.literal(VERSION), flagKey: z.string() });

/** What was normal, on disk: one small file, replaced as a whole. */
export class BaselineFile {
  readonly #file: KeptFile;
  readonly #flagKey: string;

  /** @param folder - Created if it does not exist. */
  constructor(folder: string, flagKey: string) {
    this.#file = new KeptFile(join(folder, BASELINE_FILE));
    this.#flagKey = flagKey;
  }

  /**
   * What an earlier run recorded, or undefined without one.
   * @throws when the file cannot be read, is not a baseline, or belongs to another flag.
   */
  async load(): Promise<Baseline | undefined> {
    const text = await this.#file.load();
    if (text === undefined) return undefined;
    const file: unknown = JSON.parse(text);
    const { flagKey } = headerSchema.parse(file);
    if (flagKey !== this.#flagKey) {
      throw new Error(`${this.#file.path} is the baseline of the flag ${flagKey}.`);
    }
    return baselineSchema.parse(file);
  }

  /** Resolves when the baseline is on the disk itself. Calls are written in order. */
  save(baseline: Baseline): Promise<void> {
    return this.#file.save(`${JSON.stringify({ version: VERSION, flagKey: this.#flagKey, ...baseline })}\n`);
  }
}
