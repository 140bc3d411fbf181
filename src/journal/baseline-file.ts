import { join } from 'node:path';
import { z } from 'zod';
import type { Baseline } from '../model/shapes.js';
import { KeptFile } from '../support/files.js';

/** The name of the recorded baseline within a guard's folder. */
export const BASELINE_FILE = 'baseline.json';

const count = z.int().min(0);
const positive = z.number().positive();
const duration = z.number().min(0);

const fileSchema = z.object({
  version: z.literal(1),
  flagKey: z.string(),
  memory: z.object({ bytes: positive, samples: count, since: z.number(), until: z.number() }).optional(),
  control: z
    .object({
      during: z.enum(['flag-off', 'rollout']),
      since: z.number(),
      until: z.number(),
      successes: count,
      failures: count,
      complaints: count,
      latency: z
        .object({ count, meanMs: duration, p50Ms: duration, p95Ms: duration, p99Ms: duration })
        .optional(),
    })
    .optional(),
});

/** What was normal, on disk: one small file, replaced as a whole. */
export class BaselineFile {
  readonly #file: KeptFile;
  readonly #flagKey: string;

  /** @param folder - Made when it does not exist. */
  constructor(folder: string, flagKey: string) {
    this.#file = new KeptFile(join(folder, BASELINE_FILE));
    this.#flagKey = flagKey;
  }

  /**
   * What an earlier run recorded, or undefined when there is none.
   * @throws when the file cannot be read, is no baseline, or is another flag's.
   */
  async load(): Promise<Baseline | undefined> {
    const text = await this.#file.load();
    if (text === undefined) return undefined;
    const { flagKey, memory, control } = fileSchema.parse(JSON.parse(text));
    if (flagKey !== this.#flagKey)
      throw new Error(`${this.#file.path} is the baseline of the flag ${flagKey}.`);
    return { memory, control: control && { ...control, latency: control.latency } };
  }

  /** Resolves when the baseline is on the disk itself. Calls are written in their order. */
  save(baseline: Baseline): Promise<void> {
    return this.#file.save(`${JSON.stringify({ version: 1, flagKey: this.#flagKey, ...baseline })}\n`);
  }
}
