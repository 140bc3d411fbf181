import type { OpenFolder } from '../../journal/guard-folder.js';
import { ViewFile } from '../../journal/view-file.js';
import type { RolloutView } from '../../model/rollout-view.js';
import type { GuardContext } from '../context/guard-context.js';

const WRITING = 'writing view.json';
/** Between two writes, in milliseconds. */
const MIN_PAUSE_MS = 900;

/** Writes the guard's view to its folder: when it has changed, at most about once a second, and every few seconds as a sign of life. */
export class ViewWriter {
  readonly #context: Pick<GuardContext, 'clock' | 'records'>;
  #file: ViewFile | undefined;
  #writtenAt = Number.NEGATIVE_INFINITY;
  #written: string | undefined;
  #writing: Promise<void> | undefined;

  constructor(context: Pick<GuardContext, 'clock' | 'records'>) {
    this.#context = context;
  }

  /** Whether there is a folder to write into. */
  get isOpen(): boolean {
    return this.#file !== undefined;
  }

  /** @param folder - Undefined without one. */
  start(folder: OpenFolder | undefined): void {
    this.#file = folder === undefined ? undefined : new ViewFile(folder.path, folder);
  }

  /**
   * Called on every tick. A disk that hangs delays nothing: nothing more is written meanwhile.
   *
   * @param key - Differs when the view has changed.
   */
  poll(view: RolloutView, key: string): void {
    if (this.#writing !== undefined || this.#file === undefined) return;
    const pauseMs = this.#context.clock.monotonic() - this.#writtenAt;
    if (pauseMs < (key === this.#written ? ViewFile.everyMs : MIN_PAUSE_MS)) return;
    this.#write(view, key);
  }

  /** Writes how the guard ended. Resolves when that is on disk, or could not be written. */
  async close(view: RolloutView): Promise<void> {
    // Nothing was written: the guard never ran.
    if (this.#written === undefined) return;
    await this.#writing;
    this.#write(view, 'closed');
    await this.#writing;
  }

  #write(view: RolloutView, key: string): void {
    const { clock, records } = this.#context;
    this.#written = key;
    this.#writtenAt = clock.monotonic();
    const save = async () => {
      try {
        await this.#file?.save(view);
        records.works(WRITING);
      } catch (error) {
        records.fault(WRITING, error);
      }
      this.#writing = undefined;
    };
    this.#writing = save();
  }
}
