import { FleetMember } from '../../src/fleet/fleet-member.js';
import { RedisOutcomeStore } from '../../src/fleet/redis/redis-outcome-store.js';
import type { Decision, Verdict } from '../../src/model/shapes.js';
import { systemClock } from '../../src/support/clock.js';
import { ENVIRONMENT, emptyStore, quantile, REVISION, steadyMs, TRIGGERS } from './traffic.js';

/** The leader, in the bench's own process: it applies all rules whenever the fleet's outcomes change. */
export class FleetLeader {
  readonly member: FleetMember;
  readonly faults: string[] = [];
  readonly #flagKey: string;
  #oldestUnread = 0;
  #read = 0;
  #readBytes = 0;
  #lagsMs: number[] = [];
  #cpu = process.cpuUsage();
  #decision: Decision | undefined;
  #onVerdict: ((at: number) => void) | undefined;

  constructor(url: string, flagKey: string) {
    this.#flagKey = flagKey;
    const store = new RedisOutcomeStore({ url });
    const link = store.link({ flagKey, environment: ENVIRONMENT });
    const read = link.read.bind(link);
    link.read = async (...args) => {
      const found = await read(...args);
      const [first] = found?.entries ?? [];
      if (first !== undefined && this.#oldestUnread === 0) this.#oldestUnread = Number.parseInt(first.id, 10);
      for (const entry of found?.entries ?? []) {
        if (entry.type !== 'delta') continue;
        this.#read++;
        this.#readBytes += entry.text.length;
      }
      return found;
    };
    this.member = new FleetMember({
      own: emptyStore(flagKey),
      emptyStore: () => emptyStore(flagKey),
      link,
      clock: systemClock,
      timing: store.timing,
      mayLead: true,
      rules: TRIGGERS,
      revision: () => REVISION,
      reportedState: { get: () => ({ openReviews: [] }), set: () => {} },
      listener: {
        onStop: () => {},
        onInvalidStop: () => {},
        onState: () => {},
        onOutcomes: () => this.#leader(),
        onEpoch: () => {},
        onConnection: (problem) => problem !== undefined && this.faults.push(problem),
        onFault: (what, error) => this.faults.push(`${what}: ${String(error)}`),
      },
    });
    this.member.beginEpoch(1, Date.now(), { keepWindows: true });
  }

  /** What happened since the last call. */
  usage() {
    const { user, system } = process.cpuUsage(this.#cpu);
    const usage = {
      deltas: this.#read,
      deltaBytes: this.#readBytes / Math.max(1, this.#read),
      cpuMs: (user + system) / 1e3,
      /** How old the oldest delta was when its verdict was given. */
      lagP50Ms: quantile(this.#lagsMs, 0.5),
      lagMaxMs: Math.max(0, ...this.#lagsMs),
    };
    this.#read = 0;
    this.#readBytes = 0;
    this.#lagsMs = [];
    this.#cpu = process.cpuUsage();
    return usage;
  }

  /** When the next breach is seen. */
  nextVerdict(): Promise<number> {
    return new Promise((resolve) => {
      this.#onVerdict = resolve;
    });
  }

  /** Clears the stop, in a new epoch with empty windows. @returns that epoch. */
  async clearStop(): Promise<number> {
    if (this.#decision !== undefined) await this.member.clearStop(this.#decision.id);
    this.#decision = undefined;
    const epoch = this.member.state?.epoch ?? 1;
    this.member.beginEpoch(epoch, Date.now(), { keepWindows: false });
    return epoch;
  }

  #leader(): void {
    const now = Date.now();
    if (this.#oldestUnread > 0) this.#lagsMs.push(now - this.#oldestUnread);
    this.#oldestUnread = 0;
    const snapshot = this.member.snapshot(now);
    const verdicts = TRIGGERS.map((trigger) => trigger.evaluate(snapshot, now) as Verdict);
    const breaches = verdicts.filter(({ status }) => status === 'breach');
    // While costs are measured, the rollout is healthy and no breach is expected.
    if (breaches.length === 0 || this.#decision !== undefined || this.#onVerdict === undefined) return;
    const at = steadyMs();
    this.#decision = {
      id: `decision-${at}`,
      flagKey: this.#flagKey,
      action: 'stop',
      dryRun: false,
      at: now,
      epoch: snapshot.epoch,
      rolloutPercentage: 50,
      verdicts: breaches,
      counts: snapshot.total,
      reason: breaches[0]!.message,
    };
    void this.member.stopFleet(this.#decision);
    this.#onVerdict(at);
    this.#onVerdict = undefined;
  }
}
