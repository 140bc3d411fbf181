import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { RolloutGuardOptions } from '../../src/guard/options/options.js';
import { RolloutGuard } from '../../src/guard/rollout-guard.js';
import { JOURNAL_FILE } from '../../src/journal/journal.js';
import type { GuardEvent } from '../../src/model/event.js';
import type { GuardNotification } from '../../src/notify/notifier.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { eventually } from './eventually.js';
import { FakeAdminApi } from './fake-admin-api.js';
import { FakeFlags } from './fake-flags.js';

/** Guards of one flag, one after another in one folder, between fake flags and a fake Unleash. */
export class GuardHarness {
  readonly folder: string;
  readonly unleash = new FakeAdminApi();
  flags = new FakeFlags();
  events: GuardEvent[] = [];
  readonly #guards: RolloutGuard[] = [];
  /** What a guard with {@link notify} has notified. */
  readonly notified: GuardNotification[] = [];
  readonly notify = [(notification: GuardNotification) => void this.notified.push(notification)];
  #ticks = 0;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async create(): Promise<GuardHarness> {
    return new GuardHarness(await mkdtemp(join(tmpdir(), 'guard-harness-')));
  }

  /** A guard that stops below 95 % of 20 outcomes. */
  guard(options: Partial<RolloutGuardOptions> = {}): RolloutGuard {
    const guard = new RolloutGuard({
      flagKey: 'async-upload',
      flags: this.flags,
      unleash: { url: 'http://unleash.test/api', token: '*:*.made-up', environment: 'production' },
      rollback: [successRateBelow(0.95, { minOutcomes: 20 })],
      folder: this.folder,
      logger: false,
      onEvent: (event) => this.events.push(event),
      fetch: this.unleash.fetch,
      random: () => 0,
      readMemoryBytes: () => {
        this.#ticks += 1;
        return process.memoryUsage.rss();
      },
      ...options,
    });
    this.#guards.push(guard);
    return guard;
  }

  /** A guard that is running. */
  async started(options?: Partial<RolloutGuardOptions>): Promise<RolloutGuard> {
    const guard = this.guard(options);
    await guard.start();
    return guard;
  }

  /** A folder with the journal as it is now: what is left of a guard that is killed. */
  async afterKill(): Promise<string> {
    const folder = join(this.folder, 'after-kill');
    await mkdir(folder);
    await copyFile(join(this.folder, JOURNAL_FILE), join(folder, JOURNAL_FILE));
    return folder;
  }

  /** As many failing uploads as stop the flag, unless the test needs fewer. */
  async fail(guard: RolloutGuard, uploads = 20): Promise<void> {
    const upload = guard.operation({
      treatment: () => Promise.reject(new Error('down')),
      control: () => 'old',
      retries: 0,
    });
    for (let user = 0; user < uploads; user++) await upload({ targetingKey: `user-${user}` }, undefined);
  }

  /** The events of one type so far. */
  reported<T extends GuardEvent['type']>(type: T): (GuardEvent & { type: T })[] {
    return this.events.filter((event): event is GuardEvent & { type: T } => event.type === type);
  }

  /** Resolves after as many further ticks of the guards that run. */
  async ticks(count: number): Promise<void> {
    const end = this.#ticks + count;
    await this.until(`${count} ticks`, () => this.#ticks >= end);
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    await eventually(() => expect(condition(), what).toBe(true));
  }

  async close(): Promise<void> {
    await Promise.all(this.#guards.map((guard) => guard.close()));
    await rm(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
}
