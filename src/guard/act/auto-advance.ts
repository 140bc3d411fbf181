import type { Stage, StageProgress } from '../../model/stage.js';
import { retry } from '../../support/retry.js';
import type { UnleashAdminClient } from '../../unleash/admin-client.js';
import { ADMIN_RETRY } from '../../unleash/admin-error.js';
import type { GuardContext } from '../guard-context.js';

/**
 * Moves the percentage in Unleash to that of the next stage when a stage is met: one stage at a time, and only from the
 * percentage that the stage was evaluated at, so that an operator's change stands.
 */
export class AutoAdvance {
  readonly #context: GuardContext;
  readonly #admin: UnleashAdminClient;
  #moving: Promise<void> | undefined;
  #attempt: AbortController | undefined;
  /** The index of the stage that was left last. */
  #leftIndex: number | undefined;
  /** By the monotonic clock. */
  #nextAttemptAt = Number.NEGATIVE_INFINITY;

  constructor(context: GuardContext, admin: UnleashAdminClient) {
    this.#context = context;
    this.#admin = admin;
    // A request under way must not raise the percentage after a stop.
    context.records.listen(({ type }) => {
      if (type === 'decided') this.#attempt?.abort();
    });
  }

  /**
   * Called on every tick with the current stage.
   *
   * @param steppedBackFrom - The percentage that the guard stepped back from last: only an operator returns to it.
   */
  poll(progress: StageProgress | undefined, epoch: number, steppedBackFrom: number | undefined): void {
    if (progress?.index !== this.#leftIndex) this.#leftIndex = undefined;
    if (progress?.status !== 'met' || this.#leftIndex !== undefined || this.#moving !== undefined) return;
    const next = this.#context.stages[progress.index + 1];
    if (next === undefined || this.#context.clock.monotonic() < this.#nextAttemptAt) return;
    const from = progress.stage.percentage;
    if (steppedBackFrom !== undefined && from < steppedBackFrom && next.percentage >= steppedBackFrom) return;
    this.#moving = this.#move(progress, next, epoch).finally(() => {
      this.#moving = undefined;
    });
  }

  /** Ends the request under way; resolves when it has ended. */
  async close(): Promise<void> {
    this.#attempt?.abort();
    await this.#moving;
  }

  async #move({ stage, index }: StageProgress, next: Stage, epoch: number): Promise<void> {
    const { flagKey, records, clock, recheckMs } = this.#context;
    this.#attempt = new AbortController();
    const { signal } = this.#attempt;
    const step = { from: stage.percentage, to: next.percentage };
    try {
      const move = () => this.#admin.movePercentage(flagKey, step, { signal });
      const moved = (await retry(move, { ...ADMIN_RETRY, signal })) === 'moved';
      // The definition with the new percentage arrives with the provider's next poll.
      if (moved) this.#leftIndex = index;
      if (moved) records.emit({ type: 'advanced', at: clock.now(), epoch, ...step });
    } catch (error) {
      if (!signal.aborted) records.fault(`advancing to ${next.percentage} %`, error);
    }
    this.#nextAttemptAt = clock.monotonic() + recheckMs;
  }
}
