import type { PercentageStep } from '../../model/control.js';
import type { Stage, StageProgress } from '../../model/stage.js';
import { retry } from '../../support/retry.js';
import type { UnleashAdminClient } from '../../unleash/admin-client.js';
import { ADMIN_RETRY } from '../../unleash/admin-error.js';
import type { GuardContext } from '../context/guard-context.js';
import type { ControlLedger } from '../control/control-state.js';
import { describeChangeWindows, isChangeWindowOpen } from '../options/change-windows.js';

/**
 * Moves the percentage in Unleash to that of the next stage when a stage is met, or when an operator asks for it: one stage at a
 * time, and only from the percentage that is expected, so that an operator's change stands.
 */
export class StageAdvance {
  readonly #context: GuardContext;
  readonly #ledger: ControlLedger;
  readonly #admin: UnleashAdminClient;
  #moving: Promise<unknown> | undefined;
  #attempt: AbortController | undefined;
  readonly #blind: () => readonly string[];
  /** The index of the stage that was left last. */
  #leftIndex: number | undefined;
  /** What automatic advance waits for, once it was reported. */
  #waiting: string | undefined;
  /** By the monotonic clock. */
  #nextAttemptAt = Number.NEGATIVE_INFINITY;

  /** @param blind - Why the guard is blind now: codes. */
  constructor(
    context: GuardContext,
    ledger: ControlLedger,
    admin: UnleashAdminClient,
    blind: () => readonly string[],
  ) {
    this.#blind = blind;
    this.#context = context;
    this.#ledger = ledger;
    this.#admin = admin;
    // A request under way must not raise the percentage after a stop.
    context.records.listen((event) => {
      if (event.type === 'decided' && !event.decision.dryRun) this.#attempt?.abort();
    });
  }

  /**
   * Called on every tick with the current stage.
   *
   * @param steppedBackFrom - The percentage that the guard stepped back from last: only an operator returns to it.
   */
  poll(progress: StageProgress | undefined, epoch: number, steppedBackFrom: number | undefined): void {
    const { advance, stages, clock } = this.#context;
    if (progress?.index !== this.#leftIndex) this.#leftIndex = undefined;
    if (advance !== 'automatic' || progress?.status !== 'met') return;
    if (this.#leftIndex !== undefined || this.#moving !== undefined) return;
    const next = stages[progress.index + 1];
    if (next === undefined || clock.monotonic() < this.#nextAttemptAt) return;
    const from = progress.stage.percentage;
    if (steppedBackFrom !== undefined && from < steppedBackFrom && next.percentage >= steppedBackFrom) return;
    if (this.#waits(progress, next, epoch)) return;
    const move = this.#moveToNext(progress, next, epoch).finally(() => {
      if (this.#moving === move) this.#moving = undefined;
    });
    this.#moving = move;
  }

  /**
   * Moves the percentage because an operator asks for it.
   *
   * @returns as `UnleashAdminClient.movePercentage`.
   * @throws AdminError, or the reason why it was cancelled: the flag is being stopped, or the guard closes.
   */
  async move(
    step: PercentageStep,
    epoch: number,
    by: string,
    index: number,
  ): Promise<'moved' | 'there' | 'refused'> {
    await this.#moving;
    const move = this.#send(step).finally(() => {
      if (this.#moving === move) this.#moving = undefined;
    });
    this.#moving = move.catch(() => {});
    const moved = await move;
    if (moved === 'moved') this.#advanced(step, epoch, index, by);
    return moved;
  }

  /** Ends the request under way; resolves when it has ended. */
  async close(): Promise<void> {
    this.#attempt?.abort();
    await this.#moving;
  }

  /** Reported once for a stage and cause: an operator may wonder why nothing happens. */
  #waits({ index, stage }: StageProgress, next: Stage, epoch: number): boolean {
    const reason = this.#reasonToWait();
    const key = reason && `${epoch} ${index} ${reason}`;
    if (reason !== undefined && this.#waiting !== key) {
      const { records, clock } = this.#context;
      const [from, to] = [stage.percentage, next.percentage];
      records.emit({ type: 'advance-waiting', at: clock.now(), epoch, from, to, reason });
    }
    this.#waiting = key;
    return reason !== undefined;
  }

  #reasonToWait(): string | undefined {
    const { changeWindows, clock } = this.#context;
    const { hold } = this.#ledger.inForce;
    if (hold !== undefined) return `${hold.by} has put automatic advance on hold: ${hold.reason}`;
    const blind = this.#blind();
    if (blind.length > 0) return `the guard is blind (${blind.join(', ')}).`;
    if (isChangeWindowOpen(changeWindows, clock.now())) return undefined;
    return `no change window is open: ${describeChangeWindows(changeWindows)}.`;
  }

  async #moveToNext({ stage, index }: StageProgress, next: Stage, epoch: number): Promise<void> {
    const { records, clock, recheckMs } = this.#context;
    const step = { from: stage.percentage, to: next.percentage };
    try {
      if ((await this.#send(step)) === 'moved') this.#advanced(step, epoch, index);
    } catch (error) {
      if (!this.#attempt?.signal.aborted) records.fault(`advancing to ${next.percentage} %`, error);
    }
    this.#nextAttemptAt = clock.monotonic() + recheckMs;
  }

  async #send(step: PercentageStep): Promise<'moved' | 'there' | 'refused'> {
    this.#attempt = new AbortController();
    const { signal } = this.#attempt;
    const move = () => this.#admin.movePercentage(this.#context.flagKey, step, { signal });
    return retry(move, { ...ADMIN_RETRY, signal });
  }

  #advanced(step: PercentageStep, epoch: number, index: number, by?: string): void {
    const { records, clock } = this.#context;
    // The definition with the new percentage arrives with the provider's next poll.
    this.#leftIndex = index;
    const byWhom = by === undefined ? {} : { by };
    records.emit({ type: 'advanced', at: clock.now(), epoch, ...step, ...byWhom });
  }
}
