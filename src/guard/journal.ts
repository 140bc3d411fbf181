import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { replaceFile } from '../files/replace-file.js';
import type { GuardState } from './decide.js';

/** What a guard must know again after a crash. */
export interface JournalEntry {
  readonly flagKey: string;
  readonly epoch: number;
  /** The rollout (see `FlagFacts.revision`) that the epoch belongs to; undefined before the first definition. */
  readonly revision: string | undefined;
  readonly state: GuardState;
  /** Whether the flag was on at the last look. */
  readonly enabled?: boolean | undefined;
  /** When the epoch began. */
  readonly epochStartedAt?: number | undefined;
  /** Outcomes of this epoch and later ones count in the windows. */
  readonly oldestEpoch?: number | undefined;
}

/** The guard's memory on disk: one small file, replaced as a whole, so that a crash leaves the old or the new one. */
export class Journal {
  readonly #path: string;
  #latest: Promise<void> = Promise.resolve();

  /** @param folder - Made when it does not exist. */
  constructor(folder: string) {
    this.#path = join(folder, 'journal.json');
  }

  /**
   * What the previous run left, or undefined when there was none.
   * @throws when the file cannot be read or is not a journal.
   */
  async load(): Promise<JournalEntry | undefined> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
    return journalSchema.parse(JSON.parse(text)) as unknown as JournalEntry;
  }

  /** Resolves when the entry is on the disk itself. Calls are written in their order. */
  save(entry: JournalEntry): Promise<void> {
    const text = `${JSON.stringify({ version: 1, ...entry })}\n`;
    const saved = this.#latest.then(() => replaceFile(this.#path, text));
    this.#latest = saved.catch(() => {});
    return saved;
  }

  /** Resolves when every `save` so far has ended. */
  async settled(): Promise<void> {
    await this.#latest;
  }
}

const decisionSchema = z.looseObject({
  id: z.string(),
  flagKey: z.string(),
  at: z.number(),
  reason: z.string(),
  verdicts: z.array(z.looseObject({ trigger: z.string(), message: z.string() })),
});

const journalSchema = z.object({
  version: z.literal(1),
  flagKey: z.string(),
  epoch: z.int(),
  revision: z.string().optional(),
  enabled: z.boolean().optional(),
  epochStartedAt: z.number().optional(),
  oldestEpoch: z.int().optional(),
  state: z.discriminatedUnion('status', [
    z.looseObject({
      status: z.literal('armed'),
      since: z.number(),
      wouldHaveStopped: decisionSchema.optional(),
    }),
    z.looseObject({ status: z.literal('stopping'), since: z.number(), decision: decisionSchema }),
    z.looseObject({
      status: z.literal('stopped'),
      since: z.number(),
      decision: decisionSchema,
      confirmedBy: z.enum(['read-back', 'definition', 'fleet']),
      seenOff: z.boolean(),
    }),
  ]),
});
