import { join } from 'node:path';
import { z } from 'zod';
import { healthSchema } from '../model/health.js';
import { VersionedFile, type WriteOptions } from '../support/files.js';

/** The name of the guard's own health within its folder. */
export const HEALTH_FILE = 'health.json';

const entrySchema = z.object({
  flagKey: z.string(),
  /** When it was written, milliseconds since 1970. */
  at: z.number(),
  pid: z.int(),
  health: healthSchema,
});

/** How a guard was when it wrote this. */
export type HealthEntry = z.infer<typeof entrySchema>;

/**
 * The health of a running guard on disk, for `status`: written every few seconds, so that a process that has crashed is
 * not taken for a running one. Its `load` and `save` are those of {@link VersionedFile}.
 */
export class HealthFile extends VersionedFile<HealthEntry> {
  /** How often a running guard writes it, in milliseconds; less often with a longer tick. */
  static readonly everyMs = 10_000;

  /** @param folder - Created if it does not exist. */
  constructor(folder: string, options?: WriteOptions) {
    super(join(folder, HEALTH_FILE), 1, entrySchema, options);
  }
}
