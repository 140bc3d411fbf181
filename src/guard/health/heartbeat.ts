import type { OpenFolder } from '../../journal/guard-folder.js';
import { HealthFile } from '../../journal/health-file.js';
import type { Health } from '../../model/health.js';
import type { GuardContext } from '../guard-context.js';

/** Writes the guard's health to its folder: when it changes, and every few seconds as a sign of life. */
export class Heartbeat {
  readonly #context: GuardContext;
  #file: HealthFile | undefined;
  #writtenAt = Number.NEGATIVE_INFINITY;
  #status: Health['status'] | undefined;
  #writing: Promise<void> | undefined;

  constructor(context: GuardContext) {
    this.#context = context;
  }

  /** @param folder - Undefined without one. */
  start(folder: OpenFolder | undefined): void {
    this.#file = folder === undefined ? undefined : new HealthFile(folder.path, folder);
  }

  /** Called on every tick. A disk that hangs delays nothing: nothing more is written meanwhile. */
  beat(health: Health): void {
    if (this.#writing !== undefined) return;
    const now = this.#context.clock.monotonic();
    if (health.status === this.#status && now - this.#writtenAt < HealthFile.everyMs) return;
    this.#write(health, now);
  }

  /** Writes how the guard ended. Resolves when that is on disk, or could not be written. */
  async close(health: Health): Promise<void> {
    // Nothing was written: the guard never ran.
    if (this.#status === undefined) return;
    await this.#writing;
    this.#write(health, this.#context.clock.monotonic());
    await this.#writing;
  }

  #write(health: Health, now: number): void {
    const { flagKey, clock, records } = this.#context;
    this.#status = health.status;
    this.#writtenAt = now;
    const entry = { flagKey, at: clock.now(), pid: process.pid, health };
    this.#writing = this.#file
      ?.save(entry)
      .catch((error) => records.fault('writing the health', error))
      .finally(() => {
        this.#writing = undefined;
      });
  }
}
