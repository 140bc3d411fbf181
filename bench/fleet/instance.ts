import { OpenFeatureEventEmitter } from '@openfeature/server-sdk';
import { LocalOverrides } from '../../providers/shared/local-overrides.js';
import { FleetMember } from '../../src/fleet/fleet-member.js';
import type { FleetState } from '../../src/fleet/fleet-shapes.js';
import type { RedisClient } from '../../src/fleet/redis/redis-client.js';
import { RedisOutcomeStore } from '../../src/fleet/redis/redis-outcome-store.js';
import type { MemoryOutcomeStore } from '../../src/measure/memory-outcome-store.js';
import type { Arm } from '../../src/model/shapes.js';
import { systemClock } from '../../src/support/clock.js';
import type { Intervals } from '../../src/support/intervals.js';
import { ENVIRONMENT, emptyStore, outcomeOf, REVISION, steadyMs, TRIGGERS } from './traffic.js';

/** What one flush cost. */
export interface Flush {
  readonly ms: number;
  /** Of the delta; 0 when there was nothing to send. */
  readonly bytes: number;
}

/**
 * One process of the fleet without its web server: a store of its own, a connection for commands and one that listens,
 * as a guard with a {@link RedisOutcomeStore} has them.
 */
export class SimulatedInstance {
  readonly member: FleetMember;
  readonly #own: MemoryOutcomeStore;
  readonly #flagKey: string;
  /** Those of its provider. */
  readonly #overrides = new LocalOverrides(new OpenFeatureEventEmitter(), () => undefined);
  #epoch = 1;
  #due = Math.random();
  #made = 0;
  /** The treatment is broken here. */
  isFailing = false;
  /** When a stop came here; undefined while there is none. */
  stoppedAt: number | undefined;

  /** @param redis - A URL; or a client that it shares, and then only the connection that listens is its own. */
  constructor(
    redis: string | RedisClient,
    flagKey: string,
    onFlush: (flush: Flush) => void,
    onProblem: (text: string) => void,
    intervals?: Intervals,
  ) {
    this.#flagKey = flagKey;
    const store = new RedisOutcomeStore(typeof redis === 'string' ? { url: redis } : { client: redis });
    const link = store.link({ flagKey, environment: ENVIRONMENT });
    const send = link.sync.bind(link);
    link.sync = async (request) => {
      const from = steadyMs();
      const reply = await send(request);
      onFlush({ ms: steadyMs() - from, bytes: request.delta?.text.length ?? 0 });
      return reply;
    };
    this.#own = emptyStore(flagKey);
    this.member = new FleetMember({
      own: this.#own,
      emptyStore: () => emptyStore(flagKey),
      link,
      clock: systemClock,
      timing: store.timing,
      intervals,
      mayLead: false,
      rules: TRIGGERS,
      revision: () => REVISION,
      reportedState: { get: () => ({ openReviews: [] }), set: () => {} },
      listener: {
        onStop: ({ reason }) => this.#stop(reason),
        onInvalidStop: () => onProblem('an invalid stop'),
        onState: (state) => this.#follow(state),
        onOutcomes: () => {},
        onEpoch: () => {},
        onConnection: (problem) => problem !== undefined && onProblem(problem),
        onFault: (what, error) => onProblem(`${what}: ${String(error)}`),
      },
    });
    this.member.beginEpoch(1, Date.now(), { keepWindows: true });
  }

  /** In the fleet's epoch, and not stopped. */
  isHealthyIn(epoch: number): boolean {
    return this.#epoch === epoch && this.stoppedAt === undefined;
  }

  /** Records what came in during a part of a second. */
  work(perSecond: number, seconds: number): number {
    this.#due += perSecond * seconds;
    const count = Math.floor(this.#due);
    this.#due -= count;
    for (let i = 0; i < count; i++) this.#record(this.#made++ % 2 === 0 ? 'treatment' : 'control');
    return count;
  }

  /** One critical error of the treatment, sent at once. @returns when it was recorded, and when Redis had it. */
  async sendCritical(): Promise<{ recordedAt: number; flushedAt: number }> {
    // A flush that is under way must not answer for the next one.
    await this.member.sync();
    const recordedAt = steadyMs();
    const outcome = outcomeOf(this.#flagKey, this.#epoch, { arm: 'treatment', isBroken: true });
    this.#own.record({ ...outcome, errorType: 'ENOSPC', critical: true });
    await this.member.sync();
    return { recordedAt, flushedAt: steadyMs() };
  }

  #record(wanted: Arm): void {
    const arm = this.stoppedAt === undefined ? wanted : 'control';
    const isBroken = this.isFailing && arm === 'treatment';
    const outcome = outcomeOf(this.#flagKey, this.#epoch, { arm, isBroken });
    this.#own.expose(outcome.exposure);
    this.#own.record(outcome);
  }

  #stop(reason: string): void {
    this.#overrides.set(this.#flagKey, reason);
    this.stoppedAt ??= steadyMs();
    this.isFailing = false;
  }

  #follow({ epoch, stop }: FleetState): void {
    if (stop !== undefined) {
      this.#stop(stop.decision.reason);
      return;
    }
    this.#overrides.clear(this.#flagKey);
    this.stoppedAt = undefined;
    if (epoch === this.#epoch) return;
    this.#epoch = epoch;
    this.member.beginEpoch(epoch, Date.now(), { keepWindows: false });
  }
}
