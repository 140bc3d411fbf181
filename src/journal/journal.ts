import { join } from 'node:path';
import { z } from 'zod';
import { controlStateSchema } from '../model/control.js';
import { guardStateSchema, reportedStateSchema } from '../model/state.js';
import { VersionedFile, type WriteOptions } from '../support/files.js';

/** Its name in the guard's folder. */
export const JOURNAL_FILE = 'journal.json';

const entrySchema = z.lazy(() =>
  z.object({
    flagKey: z.string(),
    /** Where in Unleash. */
    project: z.string().optional(),
    environment: z.string().optional(),
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
    // As before: better without mutes than without the state beside them.
    controls: controlStateSchema.optional().catch(undefined),
    /** What this process has open at receivers such as PagerDuty, and nobody else resolves. */
    incidents: z
      .array(z.object({ key: z.string(), title: z.string() }).readonly())
      .readonly()
      .optional()
      .catch(undefined),
  }),
);

/** What a guard must know after a crash. */
export type JournalEntry = z.infer<typeof entrySchema>;

/** The guard's state on disk. Its `load` and `save` are those of {@link VersionedFile}. */
export class Journal extends VersionedFile<JournalEntry> {
  /** @param folder - Created if it does not exist. */
  constructor(folder: string, options?: WriteOptions) {
    super(join(folder, JOURNAL_FILE), 2, entrySchema, options);
  }
}
