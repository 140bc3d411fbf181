import { FleetError, type FleetLink } from '../../src/fleet/fleet-link.js';
import { FleetMember } from '../../src/fleet/fleet-member.js';
import type { FleetProcesses, FleetState } from '../../src/fleet/fleet-shapes.js';
import { RedisOutcomeStore } from '../../src/fleet/redis/redis-outcome-store.js';
import { MemoryOutcomeStore } from '../../src/measure/memory-outcome-store.js';
import type { GuardEvent } from '../../src/model/event.js';
import type { Clock } from '../../src/support/clock.js';
import type { Trigger } from '../../src/triggers/trigger.js';
import { outcomeOf } from '../measure/outcomes.js';

export const WINDOWS_MS = [60_000, 300_000];
export const RULES = [
  { name: 'one-minute', windowMs: 60_000 },
  { name: 'five-minutes', windowMs: 300_000 },
  {
    name: 'regression',
    windowMs: 0,
    evidence: { test: 'event', event: 'failure', alpha: 0.05, ratio: 1, minDifference: 0 },
  },
] as const;

/** What a trigger needs of the store. */
export type MemberRule = Pick<Trigger, 'name' | 'windowMs' | 'evidence'>;

/** A process of a fleet that sends when the test says so: its timers are as good as off. */
export class MemberProcess {
  readonly member: FleetMember;
  readonly own: MemoryOutcomeStore;
  readonly states: FleetState[] = [];
  readonly problems: (string | undefined)[] = [];
  readonly faults: string[] = [];
  readonly epochs: number[] = [];
  revision: string | undefined = 'ten';
  evaluations = 0;
  openSince: number | undefined;
  /** What the fleet's store was given. */
  readonly settledUpTo: number[] = [];
  readonly link: FleetLink;
  /** What the process is to mark in the rollups, and shows as its view. */
  readonly events: GuardEvent[] = [];
  view: string | undefined;
  processes: FleetProcesses = { listed: [], groups: [] };
  /** What happens around each sync. */
  onSync: {
    before?: (() => unknown) | undefined;
    after?: (() => unknown) | undefined;
    isUnanswered?: boolean;
  } = {};

  constructor(
    url: string,
    flagKey: string,
    {
      mayLead = true,
      aheadMs = 0,
      leaseMs = 20_000,
      timeoutMs = 5_000,
      evaluateMs = 20,
      rules = RULES as readonly MemberRule[],
      serviceVersion = undefined as string | undefined,
      now = Date.now,
      monotonic = () => performance.now(),
    } = {},
  ) {
    const clock: Clock = { now: () => now() + aheadMs, monotonic };
    const store = new RedisOutcomeStore({
      url,
      flushMs: 1_000,
      leaseMs,
      evaluateMs,
      timeoutMs,
    });
    const emptyStore = () => {
      const made = new MemoryOutcomeStore({
        flagKey,
        windowsMs: rules.map(({ windowMs }) => windowMs),
        evidenceFor: rules,
        now: clock.now(),
      });
      const settleUpTo = made.settleUpTo.bind(made);
      made.settleUpTo = (time) => {
        this.settledUpTo.push(time);
        return settleUpTo(time);
      };
      return made;
    };
    this.own = emptyStore();
    this.link = store.link({
      flagKey,
      environment: 'production',
      about: { version: '1', serviceVersion, rules: 'these' },
    });
    const sync = this.link.sync.bind(this.link);
    this.link.sync = async (request) => {
      const { before, after, isUnanswered } = this.onSync;
      await before?.();
      const reply = await sync(request);
      await after?.();
      if (isUnanswered) throw new FleetError('TIMEOUT', 'Redis does not reply.');
      return reply;
    };
    this.member = new FleetMember({
      own: this.own,
      emptyStore,
      link: this.link,
      clock,
      timing: { ...store.timing, flushMs: 3_600_000 },
      mayLead,
      serviceVersion,
      events: this.events,
      view: () => (this.view === undefined ? undefined : { key: this.view, view: JSON.parse(this.view) }),
      observed: { percentage: () => 10, verdicts: () => [] },
      rules,
      openSince: () => this.openSince,
      revision: () => this.revision,
      reportedState: { get: () => ({ openReviews: [] }), set: () => {} },
      listener: {
        onStop: () => {},
        onInvalidStop: () => {},
        onState: (state) => this.states.push(state),
        onOutcomes: () => this.evaluations++,
        onEpoch: (epoch) => this.epochs.push(epoch),
        onConnection: (problem) => this.problems.push(problem),
        onProcesses: (processes) => {
          this.processes = processes;
        },
        onFault: (what, error) => this.faults.push(`${what}: ${String(error)}`),
      },
    });
    this.member.beginEpoch(1, clock.now(), { keepWindows: true });
  }

  record(outcome: Partial<Parameters<typeof outcomeOf>[0]> = {}): void {
    this.own.record(outcomeOf({ at: Date.now(), epoch: 1, ...outcome }));
  }

  totals() {
    const { treatment, control } = this.member.snapshot(Date.now()).total;
    return { treatment, control };
  }
}
