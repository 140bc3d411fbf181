import { BEAT_MS } from '../journal/folder-lock.js';
import { GuardFolders, type OpenFolder, type PendingStop } from '../journal/guard-folder.js';
import type { JournalEntry } from '../journal/journal.js';
import type { GuardState } from '../model/state.js';
import { messageOf } from '../support/async/callbacks.js';
import { withDeadline } from '../support/deadline.js';
import type { GuardContext } from './context/guard-context.js';

const KEEPING = 'keeping the folder';
/** A folder that does not answer for so long is not waited for any more, in milliseconds. */
const TAKE_TIMEOUT_MS = 15_000;
const CLOSE_TIMEOUT_MS = 2_000;

/** What an earlier run left, and where this one writes. */
interface Storage {
  readonly left: JournalEntry | undefined;
  /** Undefined when the guard keeps nothing on disk. */
  readonly folder: OpenFolder | undefined;
}

/**
 * The guard's folder: takes it, or another one where it is in use; finds what this guard and others of the flag have not finished;
 * and keeps the folder while the guard runs. Whatever fails, the guard guards.
 */
export class GuardStorage {
  readonly #context: GuardContext;
  readonly #folders: GuardFolders | undefined;
  #folder: OpenFolder | undefined;
  #stopKeeping = () => {};
  #keeping: Promise<void> | undefined;

  constructor(context: GuardContext) {
    const { folder, flagKey, unleash, mode } = context;
    const { project, environment } = unleash;
    this.#context = context;
    if (folder !== false) this.#folders = new GuardFolders(folder, { flagKey, project, environment }, mode);
  }

  /** @param onStop - Called at once with a stop that has not been finished: taking a folder may need some seconds. */
  async open(onStop: (state: GuardState) => void): Promise<Storage> {
    const folders = this.#folders;
    if (folders === undefined) return { left: undefined, folder: undefined };
    const { records, dryRun } = this.#context;
    const stops = dryRun ? [] : await this.#pendingStops(folders);
    if (stops[0] !== undefined) onStop(stops[0].entry.state);
    this.#folder = await this.#take(folders);
    const own = this.#ours(await records.open(this.#folder));
    const others = stops.filter(({ folder }) => folder !== this.#folder?.path);
    const left = this.#takeOver(own, others);
    if (this.#folder !== undefined) {
      this.#stopKeeping = this.#context.resources.intervals.every(BEAT_MS, () => this.#keep());
      if (others.length > 0) void this.#settle(folders, others);
    }
    return { left, folder: this.#folder };
  }

  /** Frees the folder, once. */
  async close(): Promise<void> {
    this.#stopKeeping();
    const folder = this.#folder;
    this.#folder = undefined;
    const release = async () => {
      await this.#keeping;
      await folder?.close();
    };
    const { records } = this.#context;
    await withDeadline(CLOSE_TIMEOUT_MS, undefined, release).catch((error) => records.fault(KEEPING, error));
  }

  async #pendingStops(folders: GuardFolders): Promise<PendingStop[]> {
    try {
      return await withDeadline(TAKE_TIMEOUT_MS, undefined, () => folders.pendingStops());
    } catch (error) {
      this.#context.records.fault('reading the journal', error);
      return [];
    }
  }

  async #take(folders: GuardFolders): Promise<OpenFolder | undefined> {
    const { records, clock } = this.#context;
    try {
      const taking = folders.take();
      const folder = await withDeadline(TAKE_TIMEOUT_MS, undefined, () => taking).catch((error) => {
        // It may still come, and would not be used.
        taking.then((late) => late.close()).catch(() => {});
        throw error;
      });
      const { path, reason } = folder;
      if (reason !== undefined)
        records.emit({ type: 'folder-changed', at: clock.now(), folder: path, reason });
      if (!folder.isLocked) await folder.permit().catch((error) => records.fault(KEEPING, error));
      return folder;
    } catch (error) {
      const reason = messageOf(error);
      records.emit({ type: 'folder-changed', at: clock.now(), reason });
      return undefined;
    }
  }

  /** A folder that cannot be locked may have the journal of another guard. */
  #ours(entry: JournalEntry | undefined): JournalEntry | undefined {
    if (entry === undefined) return undefined;
    const { flagKey, unleash } = this.#context;
    const { project = unleash.project, environment = unleash.environment } = entry;
    const isOurs =
      entry.flagKey === flagKey && project === unleash.project && environment === unleash.environment;
    return isOurs ? entry : undefined;
  }

  /** The latest stop of another guard's becomes this one's, unless it has a later one. */
  #takeOver(own: JournalEntry | undefined, [latest]: readonly PendingStop[]): JournalEntry | undefined {
    if (latest === undefined || own?.state.status === 'stopping') return own;
    const { state, ...rest } = latest.entry;
    if (own?.state.status === 'stopped' && own.state.decision.at >= state.decision.at) return own;
    const { records, clock } = this.#context;
    const { folder } = latest;
    const left = { ...rest, ...own, state };
    records.emit({ type: 'stop-taken-over', at: clock.now(), decisionId: state.decision.id, folder });
    records.save(left);
    return left;
  }

  async #settle(folders: GuardFolders, stops: readonly PendingStop[]): Promise<void> {
    const { records } = this.#context;
    try {
      // Not before this guard has them on disk itself.
      for (let times = 0; times < 3 && !records.isSaved; times++) await records.saved();
      if (!records.isSaved) return;
      await this.#folder?.permit();
      await folders.settle(stops);
    } catch (error) {
      records.fault(KEEPING, error);
    }
  }

  #keep(): void {
    const { records } = this.#context;
    const keep = async () => {
      try {
        if (await this.#folder?.beat()) {
          records.fault(KEEPING, `${this.#folder?.path}, or the lock in it, was removed; it was made again.`);
        } else records.works(KEEPING);
        await records.upkeep();
      } catch (error) {
        records.fault(KEEPING, error);
      }
      this.#keeping = undefined;
    };
    // A network file system may not answer for minutes.
    this.#keeping ??= keep();
  }
}
