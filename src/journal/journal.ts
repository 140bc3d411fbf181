import { join } from 'node:path';
import { z } from 'zod';
import type { GuardState } from '../guard/decide/decide.js';
import { type ReportedState, reportedStateSchema } from '../guard/evaluate/reported-state.js';
import { KeptFile } from '../support/kept-file.js';

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
  /** What has been told of stages and reviews. */
  readonly judge?: ReportedState | undefined;
}

/** The guard's memory on disk: one small file, replaced as a whole, so that a crash leaves the old or the new one. */
export class Journal {
  readonly #file: KeptFile;

  /** @param folder - Made when it does not exist. */
  constructor(folder: string) {
    this.#file = new KeptFile(join(folder, 'journal.json'));
  }

  /**
   * What the previous run left, or undefined when there was none.
   * @throws when the file cannot be read or is not a journal.
   */
  async load(): Promise<JournalEntry | undefined> {
    const text = await this.#file.load();
    if (text === undefined) return undefined;
    return journalSchema.parse(JSON.parse(text)) as unknown as JournalEntry;
  }

  /** Resolves when the entry is on the disk itself. Calls are written in their order. */
  save(entry: JournalEntry): Promise<void> {
    return this.#file.save(`${JSON.stringify({ version: 1, ...entry })}\n`);
  }

  /** Resolves when every `save` so far has ended. */
  settled(): Promise<void> {
    return this.#file.settled();
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
  // Worth less than the state beside it: what cannot be read of it is told again.
  judge: reportedStateSchema.optional().catch(undefined),
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
