import { appendFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { GuardEvent } from '../model/event.js';

/** The name of the audit log within a guard's folder. */
export const AUDIT_FILE = 'audit.jsonl';

const MAX_WAITING = 10_000;

/** The append-only record of everything a guard did: {@link AUDIT_FILE}, one event a line, in order. */
export class AuditLog {
  readonly #folder: string;
  readonly #flagKey: string;
  readonly #onFault: (error: unknown) => void;
  #waiting: string[] = [];
  #writing: Promise<void> | undefined;

  /** @param onFault - Called when lines could not be written; they stay queued, at most 10,000, for the next write. */
  constructor(folder: string, flagKey: string, onFault: (error: unknown) => void) {
    this.#folder = folder;
    this.#flagKey = flagKey;
    this.#onFault = onFault;
  }

  /** Queues one event. Never throws, never waits. */
  append(event: GuardEvent): void {
    const header = { time: new Date(event.at).toISOString(), flagKey: this.#flagKey, pid: process.pid };
    try {
      this.#waiting.push(`${JSON.stringify({ ...header, ...event })}\n`);
    } catch (error) {
      // A user's own trigger may put anything into its verdict.
      this.#onFault(error);
    }
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift();
    this.#writing ??= this.#write();
  }

  /** Resolves when everything appended so far has been written, or could not be. */
  async flushed(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    // Events of one turn of the event loop go out together.
    await Promise.resolve();
    try {
      await mkdir(this.#folder, { recursive: true });
      while (this.#waiting.length > 0) {
        const lines = this.#waiting;
        this.#waiting = [];
        try {
          await appendFile(join(this.#folder, AUDIT_FILE), lines.join(''), { flush: true });
        } catch (error) {
          this.#waiting = [...lines, ...this.#waiting];
          throw error;
        }
      }
    } catch (error) {
      this.#onFault(error);
    } finally {
      this.#writing = undefined;
    }
  }
}
