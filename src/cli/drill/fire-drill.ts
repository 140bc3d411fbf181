import { OpenFeature } from '@openfeature/server-sdk';
import { OutcomeHook } from '../../../hooks/outcome-hook.js';
import { UnleashProvider } from '../../../providers/unleash/provider.js';
import { RolloutGuard } from '../../guard/rollout-guard.js';
import type { GuardEvent } from '../../model/event.js';
import { messageOf } from '../../support/async/callbacks.js';
import { systemClock } from '../../support/clock.js';
import { errorRateAbove } from '../../triggers/error-rate-above.js';
import type { AdminTarget } from '../../unleash/admin-writer.js';
import { DrillError, type DrillFlag, drillFlag } from './drill-flag.js';
import type { DrillListener, DrillResult, DrillStep, DrillStepName, DrillTimes } from './drill-steps.js';

/** Options of {@link fireDrill}. */
interface DrillOptions extends AdminTarget {
  readonly clientToken: string;
  /** An existing flag that is off. @default a scratch flag that is made and deleted */
  readonly flagKey?: string | undefined;
}

/** How often the drill's provider polls, in milliseconds. */
const REFRESH_MS = 1_000;
/** How long a step may wait for Unleash, in milliseconds, beyond the time for its requests. */
const WAIT_MS = 20_000;
const CALLS = 20;

/**
 * Serves a treatment that fails, through a provider, hook, operation and guard as a service has them, and proves that
 * it is off in Unleash in the end. Whatever fails, or when the signal is aborted, the flag is put back or deleted.
 */
export async function fireDrill(
  options: DrillOptions,
  signal: AbortSignal,
  listener: DrillListener = {},
): Promise<DrillResult> {
  const drill = new FireDrill(options, signal, listener);
  try {
    await drill.run();
  } catch (error) {
    if (!drill.hasFailed) throw error;
  } finally {
    await drill.end();
  }
  return drill.result;
}

class FireDrill {
  readonly #options: DrillOptions;
  readonly #signal: AbortSignal;
  readonly #listener: DrillListener;
  readonly #flag: DrillFlag;
  readonly #provider: UnleashProvider;
  readonly #steps: DrillStep[] = [];
  readonly #events: GuardEvent[] = [];
  #guard: RolloutGuard | undefined;
  #onEvent: () => void = () => {};
  #times: DrillTimes | undefined;

  constructor(options: DrillOptions, signal: AbortSignal, listener: DrillListener) {
    this.#options = options;
    this.#signal = signal;
    this.#listener = listener;
    this.#flag = drillFlag(options, options.flagKey);
    this.#provider = new UnleashProvider({
      url: options.url,
      appName: 'rollout-guard-drill',
      customHeaders: { Authorization: options.clientToken },
      http: options.http,
      refreshInterval: REFRESH_MS,
      // Its evaluations are not a service's.
      disableMetrics: true,
      storageProvider: { get: async () => undefined, set: async () => {} },
      initializationTimeoutMs: options.timeoutMs,
      closeTimeoutMs: 1_000,
      logger: false,
    });
  }

  get hasFailed(): boolean {
    return this.#steps.some(({ status }) => status === 'failed');
  }

  get result(): DrillResult {
    const ok = !this.hasFailed && this.#times !== undefined;
    const wasInterrupted = this.#signal.aborted;
    return {
      ok,
      wasInterrupted,
      flagKey: this.#flag.key,
      steps: this.#steps,
      times: ok ? this.#times : undefined,
    };
  }

  async run(): Promise<void> {
    const { environment } = this.#options;
    const { key } = this.#flag;
    const signal = this.#signal;
    const client = OpenFeature.getClient(key);
    await this.#step('client token', async () => {
      this.#checkEnvironment();
      await this.#unlessAborted(OpenFeature.setProviderAndWait(key, this.#provider));
      return 'Unleash accepts it, and has sent its flags.';
    });
    await this.#step('flag', () => this.#flag.prepare(signal));
    await this.#step('turn on', async () => {
      await this.#flag.turnOn();
      return `The admin token may toggle flags in ${environment}.`;
    });
    const guard = this.#newGuard();
    client.addHooks(new OutcomeHook(guard));
    await this.#step('delivery', async () => {
      await this.#until(() => this.#provider.flag(key)?.enabled === true, this.#notDelivered());
      await guard.start();
      return 'The provider has the flag, and it is on.';
    });
    let failedAt = 0;
    await this.#step('failure', async () => {
      failedAt = systemClock.monotonic();
      return this.#fail(guard);
    });
    const decidedAt = await this.#step('decision', async () => {
      await this.#until(() => this.#has('decided'), 'The guard did not decide, although every call failed.');
      const { value } = await client.getBooleanDetails(key, true, { targetingKey: 'drill-after' });
      if (value) throw new DrillError('The guard decided, and this process still serves the treatment.');
      return 'The guard decided; this process serves the control.';
    });
    const offAt = await this.#step('off', async () => {
      await this.#until(
        () => this.#has('stopped', 'action-required'),
        'Unleash did not turn the flag off in time.',
      );
      const refused = this.#events.find((event) => event.type === 'action-required');
      if (refused !== undefined) throw new DrillError(refused.message);
      return 'Unleash accepted "off", and showed it when it was read back.';
    });
    const seenAt = await this.#step('seen', async () => {
      await this.#until(
        () => this.#provider.flag(key)?.enabled === false,
        'The flag is off in Unleash, and the provider still has it on: what stands between serves old definitions.',
      );
      return 'The provider has the flag, and it is off.';
    });
    this.#times = { decidedMs: decidedAt - failedAt, offMs: offAt - failedAt, seenMs: seenAt - failedAt };
  }

  /** Ends everything, and puts the flag back. Does not reject. */
  async end(): Promise<void> {
    // First: its requests must not meet a flag that is being deleted.
    await this.#guard?.close().catch(() => {});
    await this.#provider.onClose().catch(() => {});
    const startedAt = systemClock.monotonic();
    this.#listener.onBegin?.('clean-up');
    try {
      const message = await this.#flag.cleanUp();
      if (message !== undefined) this.#add('clean-up', 'ok', message, startedAt);
    } catch (error) {
      this.#add('clean-up', 'failed', messageOf(error), startedAt);
    }
  }

  #newGuard(): RolloutGuard {
    const { url, project, environment, adminToken: token, timeoutMs, http } = this.#options;
    this.#guard = new RolloutGuard({
      flagKey: this.#flag.key,
      flags: this.#provider,
      client: OpenFeature.getClient(this.#flag.key),
      unleash: { url, token, project, environment, timeoutMs },
      http,
      rollback: [errorRateAbove(0.05, { minOutcomes: CALLS / 2 })],
      folder: false,
      logger: false,
      onEvent: (event) => {
        this.#events.push(event);
        this.#onEvent();
      },
    });
    return this.#guard;
  }

  async #fail(guard: RolloutGuard): Promise<string> {
    let failed = 0;
    const operation = guard.operation<undefined, string>({
      treatment: () => {
        failed += 1;
        throw new DrillError('a failure of the fire drill');
      },
      control: () => 'control',
      retries: 0,
    });
    const users = Array.from({ length: CALLS }, (_, user) =>
      operation({ targetingKey: `drill-${user}` }, undefined),
    );
    const answers = await Promise.all(users);
    if (failed < CALLS / 2) {
      throw new DrillError(
        `Only ${failed} of ${CALLS} users got the treatment: the flag's strategies must turn it on for every user.`,
      );
    }
    const served = answers.filter((answer) => answer === 'control').length;
    return `The treatment failed for ${failed} of ${CALLS} users, and ${served} got the control.`;
  }

  #has(...types: readonly GuardEvent['type'][]): boolean {
    return this.#events.some(({ type }) => types.includes(type));
  }

  /** The form of Unleash's own tokens shows what they read. */
  #checkEnvironment(): void {
    const { environment, clientToken } = this.#options;
    const [, ofToken] = /^[^:\s]+:([^.\s]+)\.\S/.exec(clientToken) ?? [];
    if (ofToken === undefined || ofToken === environment) return;
    throw new DrillError(
      `It reads the environment "${ofToken}", and the drill is in "${environment}": take a client token for "${environment}".`,
    );
  }

  #notDelivered(): string {
    const { environment, project } = this.#options;
    return `The flag is on in Unleash, and the provider has not seen it: the client token must read project "${project}" in "${environment}".`;
  }

  /** Runs a step. @returns when it ended, by the monotonic clock. @throws when it failed; that is among the steps then. */
  async #step(step: DrillStepName, run: () => Promise<string>): Promise<number> {
    const startedAt = systemClock.monotonic();
    this.#listener.onBegin?.(step);
    try {
      this.#signal.throwIfAborted();
      this.#add(step, 'ok', await run(), startedAt);
    } catch (error) {
      this.#add(step, 'failed', this.#signal.aborted ? 'Interrupted.' : messageOf(error), startedAt);
      throw error;
    }
    return systemClock.monotonic();
  }

  #add(step: DrillStepName, status: DrillStep['status'], message: string, startedAt: number): void {
    const ended = { step, status, message, tookMs: systemClock.monotonic() - startedAt };
    this.#steps.push(ended);
    this.#listener.onEnd?.(ended);
  }

  /** Resolves when the condition is met. @throws DrillError with `otherwise` after a while */
  async #until(condition: () => boolean, otherwise: string): Promise<void> {
    const waitMs = WAIT_MS + this.#options.timeoutMs;
    const unsubscribe: (() => void)[] = [];
    try {
      await this.#unlessAborted(
        new Promise<void>((resolve, reject) => {
          const check = () => {
            if (condition()) resolve();
          };
          this.#onEvent = check;
          unsubscribe.push(this.#provider.onChange(check));
          const timer = setTimeout(
            () => reject(new DrillError(withFailure(otherwise, this.#events))),
            waitMs,
          );
          unsubscribe.push(() => clearTimeout(timer));
          check();
        }),
      );
    } finally {
      for (const end of unsubscribe) end();
      this.#onEvent = () => {};
    }
  }

  async #unlessAborted<T>(waiting: Promise<T>): Promise<T> {
    const signal = this.#signal;
    let end = () => {};
    const aborted = new Promise<never>((_, reject) => {
      end = () => reject(signal.reason);
      signal.addEventListener('abort', end);
    });
    try {
      return await Promise.race([waiting, aborted]);
    } finally {
      signal.removeEventListener('abort', end);
      // It may reject later.
      waiting.catch(() => {});
    }
  }
}

/** With what the guard reported of its requests to Unleash last. */
function withFailure(message: string, events: readonly GuardEvent[]): string {
  const failed = events.findLast((event) => event.type === 'stop-failed');
  return failed === undefined ? message : `${message} ${failed.failure.message}`;
}
