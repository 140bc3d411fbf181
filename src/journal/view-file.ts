import { join } from 'node:path';
import { type RolloutView, rolloutViewSchema, VIEW_VERSION } from '../model/rollout-view.js';
import { VersionedFile, type WriteOptions } from '../support/files.js';
import { formatAgo } from '../support/wording.js';

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

/** A running guard gives a sign of life every 10 seconds: a busy disk may be late. */
const SILENT_MS = 60_000;

/** The view as of now: a process that crashed wrote that all was well, and then nothing more. Pure. */
export function agedView(view: RolloutView, now: number): RolloutView {
  const { at, health, isClosed } = view;
  if (isClosed || now - at <= SILENT_MS) return view;
  const message = `The guard gave its last sign of life ${formatAgo(now - at)}: its process has ended without closing it, is frozen, or cannot write here. Until it runs again, it does not guard the flag.`;
  const reasons = [...health.reasons, { code: 'silent', message, since: at }];
  return { ...view, health: { status: 'blind', since: at, reasons } };
}
