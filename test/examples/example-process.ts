import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import type { ReachableUnleash } from '../helpers/test-run.js';

/** Waits for what an example does; processes start slowly where many suites run at once. */
export function until<T>(condition: () => T | Promise<T>): Promise<T> {
  return eventually(condition);
}

/** What every example reads from its environment. */
export function unleashVariables(unleash: ReachableUnleash) {
  return {
    UNLEASH_URL: unleash.apiUrl,
    UNLEASH_ENVIRONMENT: unleash.environment,
    UNLEASH_CLIENT_TOKEN: unleash.clientToken,
    UNLEASH_ADMIN_TOKEN: unleash.adminToken,
  };
}

/** An example as a process of its own, in a folder of its own. */
export class ExampleProcess implements AsyncDisposable {
  /** Its working directory. */
  readonly folder: string;
  readonly child: ChildProcess;
  /** Everything that it wrote. */
  said = '';

  private constructor(child: ChildProcess, folder: string) {
    this.child = child;
    this.folder = folder;
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on('data', (data) => {
        this.said += data;
      });
    }
  }

  /** @param args - A compiled file and its arguments. */
  static async start(
    args: readonly string[],
    environment: Readonly<Record<string, string | undefined>>,
  ): Promise<ExampleProcess> {
    const folder = await mkdtemp(join(tmpdir(), 'example-'));
    const child = spawn(process.execPath, args, {
      cwd: folder,
      // Where unleash-client keeps its backup.
      env: { ...process.env, TMPDIR: folder, ...environment },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    process.once('exit', () => child.kill('SIGKILL'));
    return new ExampleProcess(child, folder);
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  async says(text: string): Promise<void> {
    await until(() => {
      expect(this.said).toContain(text);
    });
  }

  /** Sends a signal and waits for the end. @returns the exit code. */
  async ends(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.hasEnded) return this.child.exitCode;
    const ended = once(this.child, 'close');
    this.child.kill(signal);
    await ended;
    return this.child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.ends('SIGKILL');
    await rm(this.folder, { recursive: true, force: true });
  }
}
