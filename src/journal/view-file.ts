import { join } from 'node:path';
import { type RolloutView, rolloutViewSchema, VIEW_VERSION } from '../model/rollout-view.js';
import { VersionedFile, type WriteOptions } from '../support/files.js';

/** The name of the view within a guard's folder. */
export const VIEW_FILE = 'view.json';

/**
 * Where the rollout of a running guard stands, on disk, for whoever shows it. It is also the guard's sign of life, so that a process that
 * has crashed is not taken for a running one. Its `load` and `save` are those of {@link VersionedFile}.
 */
export class ViewFile extends VersionedFile<RolloutView> {
  /** A running guard writes it at least so often, in milliseconds; less often with a longer tick. */
  static readonly everyMs = 10_000;

  /** @param folder - Created if it does not exist. */
  constructor(folder: string, options: WriteOptions = {}) {
    // After a power cut nothing runs, and the view says nothing that matters.
    super(join(folder, VIEW_FILE), VIEW_VERSION, rolloutViewSchema, { ...options, isDurable: false });
  }
}
