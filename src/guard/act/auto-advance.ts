import type { Stage, StageProgress } from '../../model/stage.js';
import type { Clock } from '../../support/clock.js';
import { retry } from '../../support/retry.js';
import type { UnleashAdminClient } from '../../unleash/admin-client.js';
import { ADMIN_RETRY } from '../../unleash/admin-error.js';
import type { GuardRecords } from '../guard-records.js';

/** Options of {@link AutoAdvance}. */
export interface AutoAdvanceOptions {
  readonly flagKey: string;
  readonly admin: UnleashAdminClient;
  readonly stages: readonly Stage[];
  readonly records: GuardRecords;
  readonly clock: Clock;
  /** The pause after an attempt, in milliseconds. */
  readonly recheckMs: number;
}

/**
 * Moves the percentage in Unleash to that of the next stage when a stage is met: one stage at a time, and only from the
 * percentage that the stage was evaluated at, so that an operator's change stands.
 */
export class AutoAdvance {
  readonly #options: AutoAdvanceOptions;
  readonly #closing = new AbortController();
  #moving: Promise<void> | undefined;
  #attempt: AbortController | undefined;
  /** The index of the stage that was left last. */
  #leftIndex: number | undefined;
  #nextAttemptAt = Number.NEGATIVE_INFINITY;

  constructor(options: AutoAdvanceOptions) {
    this.#options = options;
  }

  /**
   * Called on every tick with the current stage.
   *
   * @param steppedBackFrom - The percentage that the guard stepped back from last: only an operator returns to it.
   */
  poll(progress: StageProgress | undefined, epoch: number, steppedBackFrom: number | undefined): void {
    if (progress?.index !== this.#leftIndex) this.#leftIndex = undefined;
    if (progress?.status !== 'met' || this.#leftIndex !== undefined || this.#moving !== undefined) return;
    const next = this.#options.stages[progress.index + 1];
    if (next === undefined || this.#options.clock.now() < this.#nextAttemptAt) return;
    const from = progress.stage.percentage;
    if (steppedBackFrom !== undefined && from < steppedBackFrom && next.percentage >= steppedBackFrom) return;
    this.#moving = this.#move(progress, next, epoch).finally(() => {
      this.#moving = undefined;
    });
  }

  /** The guard stops the flag: a request under way must not raise the percentage after that. */
  cancel(): void {
    this.#attempt?.abort();
  }

  /** Ends the request under way; resolves when it has ended. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#moving;
  }

  async #move({ stage, index }: StageProgress, next: Stage, epoch: number): Promise<void> {
    const { admin, flagKey, records, clock, recheckMs } = this.#options;
    this.#attempt = new AbortController();
    const signal = AbortSignal.any([this.#attempt.signal, this.#closing.signal]);
    const step = { from: stage.percentage, to: next.percentage };
    try {
      const move = () => admin.movePercentage(flagKey, step, { signal });
      const moved = (await retry(move, { ...ADMIN_RETRY, signal })) === 'moved';
      // The definition with the new percentage arrives with the provider's next poll.
      if (moved) this.#leftIndex = index;
      if (moved) records.emit({ type: 'advanced', at: clock.now(), epoch, ...step });
    } catch (error) {
      if (!signal.aborted) records.fault(`advancing to ${next.percentage} %`, error);
    }
    this.#nextAttemptAt = clock.now() + recheckMs;
  }
}
