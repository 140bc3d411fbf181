import { join } from 'node:path';
import { z } from 'zod';
import { guardStateSchema, reportedStateSchema } from '../model/state.js';
import { KeptFile } from '../support/files.js';

const VERSION = 2;

const entrySchema = z.object({
  flagKey: z.string(),
  epoch: z.int(),
  /** The rollout (see `FlagFacts.revision`) that the epoch belongs to; undefined before the first definition. */
  revision: z.string().optional(),
  state: guardStateSchema,
  /** Whether the flag was on when it was polled last. */
  enabled: z.boolean().optional(),
  /** When the epoch began. */
  epochStartedAt: z.number().optional(),
  /** Outcomes of this epoch and later ones count in the windows. */
  oldestEpoch: z.int().optional(),
  // Matters less than the state beside it: if it cannot be read, it is reported again.
  reported: reportedStateSchema.optional().catch(undefined),
});

/** What a guard must know after a crash. */
export type JournalEntry = z.infer<typeof entrySchema>;

const fileSchema = z.object({ version: z.literal(VERSION), ...entrySchema.shape });

/** The guard's state on disk: one small file, replaced as a whole, so that a crash leaves the old or the new one. */
export class Journal {
  readonly #file: KeptFile;

  /** @param folder - Created if it does not exist. */
  constructor(folder: string) {
    this.#file = new KeptFile(join(folder, 'journal.json'));
  }

  /**
   * What the previous run left, or undefined without one.
   * @throws when the file cannot be read or is not a journal.
   */
  async load(): Promise<JournalEntry | undefined> {
    const text = await this.#file.load();
    if (text === undefined) return undefined;
    return fileSchema.parse(JSON.parse(text));
  }

  /** Resolves when the entry is on the disk itself. Calls are written in order. */
  save(entry: JournalEntry): Promise<void> {
    return this.#file.save(`${JSON.stringify({ version: VERSION, ...entry })}\n`);
  }

  /** Resolves when every `save` so far has ended. */
  settled(): Promise<void> {
    return this.#file.settled();
  }
}
