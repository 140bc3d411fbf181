import { join } from 'node:path';
import { DEFAULT_ROTATION, RotatingFile, type RotationOptions } from '../log/rotating-file.js';
import type { GuardEvent } from '../model/event.js';

/** The name of the audit log within a guard's folder. */
export const AUDIT_FILE = 'audit.jsonl';

const MAX_WAITING = 10_000;

/** Called by an {@link AuditLog}. */
interface AuditLogListener {
  /** Lines could not be written; they stay queued, at most 10,000, for the next write. */
  onFault(error: unknown): void;
  /** All lines are on the disk. */
  onWritten(): void;
  /** The file was removed or moved away; a new one begins. */
  onGone(): void;
}

/** The append-only record of everything a guard did: {@link AUDIT_FILE}, one event a line, in order. */
export class AuditLog {
  readonly #file: RotatingFile;
  readonly #flagKey: string;
  readonly #listener: Partial<AuditLogListener>;
  #waiting: string[] = [];
  #writing: Promise<void> | undefined;
  #isClosed = false;

  constructor(
    folder: string,
    flagKey: string,
    listener: Partial<AuditLogListener> = {},
    options: Partial<RotationOptions> = {},
  ) {
    const rotation = { ...DEFAULT_ROTATION, ...options };
    this.#file = new RotatingFile(join(folder, AUDIT_FILE), '', rotation, () => listener.onGone?.());
    this.#flagKey = flagKey;
    this.#listener = listener;
  }

  /** Queues one event. Never throws, never waits. */
  append(event: GuardEvent): void {
    const header = { time: new Date(event.at).toISOString(), flagKey: this.#flagKey, pid: process.pid };
    try {
      this.#waiting.push(`${JSON.stringify({ ...header, ...event })}\n`);
    } catch (error) {
      // A user's own trigger may put anything into its verdict.
      this.#listener.onFault?.(error);
    }
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift();
    this.#begin();
  }

  /** Called about once a second: tries again what could not be written. Without that, the file is closed until the next event. */
  async upkeep(): Promise<void> {
    this.#begin();
    if (this.#writing === undefined) await this.#file.close();
  }

  /** Resolves when everything appended so far has been written, or could not be. */
  async flushed(): Promise<void> {
    await this.#writing;
  }

  /** Resolves when everything is written, or could not be, and the file is closed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#writing;
    await this.#file.close();
  }

  #begin(): void {
    if (this.#waiting.length > 0) this.#writing ??= this.#write();
  }

  async #write(): Promise<void> {
    // Events of one turn of the event loop go out together.
    await Promise.resolve();
    try {
      while (this.#waiting.length > 0) {
        const lines = this.#waiting;
        this.#waiting = [];
        try {
          await this.#file.append(lines.join(''));
        } catch (error) {
          this.#waiting = [...lines, ...this.#waiting];
          throw error;
        }
        await this.#file.sync();
      }
      this.#listener.onWritten?.();
    } catch (error) {
      this.#listener.onFault?.(error);
    } finally {
      this.#writing = undefined;
      // What is reported after the end is written too.
      if (this.#isClosed) await this.#file.close();
    }
  }
}
