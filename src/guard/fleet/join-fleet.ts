import { FleetMember } from '../../fleet/fleet-member.js';
import type { MemoryOutcomeStore } from '../../measure/memory-outcome-store.js';
import type { GuardMachine } from '../decide/guard-machine.js';
import type { Evaluator } from '../evaluate/evaluator.js';

import type { FleetStatus } from '../guard-status.js';
import type { ResolvedOptions } from '../options.js';
import type { GuardRecords } from '../records/guard-records.js';
import { storeFor } from '../records/outcome-recording.js';
import { FleetSync } from './fleet-sync.js';

/** What {@link joinFleet} needs of the guard. */
export interface FleetHost {
  /** What this process records. */
  readonly own: MemoryOutcomeStore;
  readonly records: GuardRecords;
  readonly machine: () => GuardMachine;
  readonly judge: Evaluator;
  readonly onOutcomes: () => void;
}

/** A guard's place in its fleet. */
export class GuardFleet {
  readonly member: FleetMember;
  readonly mirror: FleetSync;

  constructor(member: FleetMember, mirror: FleetSync) {
    this.member = member;
    this.mirror = mirror;
  }

  /** Whether this process speaks for the fleet, or, cut off, for itself. */
  get speaks(): boolean {
    return this.member.role !== 'follower';
  }

  /** Whether this process judges by all triggers: the fleet's outcomes, or, cut off, its own. */
  get judges(): boolean {
    const { role, isCurrent } = this.member;
    return role === 'standalone' || (role === 'leader' && isCurrent);
  }

  /** Whether the shared store answers. */
  get isConnected(): boolean {
    return this.member.role !== 'standalone';
  }

  /** Whether this process looks after stages and reviews: only with the whole fleet's outcomes, and of the definition it has. */
  get evaluatesStages(): boolean {
    return this.member.role === 'leader' && this.member.isCurrent && this.member.hasFleetDefinition;
  }

  status(): FleetStatus {
    const { instance, role, problem, lostDeltas, state } = this.member;
    return { instance, role, problem, lostDeltas, epoch: state?.epoch };
  }
}

/** Makes the guard's process a member of the fleet that shares the user's store; undefined when there is none. */
export function joinFleet(options: ResolvedOptions, host: FleetHost): GuardFleet | undefined {
  const { store, flagKey, flags, unleash, clock, dryRun } = options;
  if (store === undefined) return undefined;
  const { own, records, machine, judge, onOutcomes } = host;
  const member = new FleetMember({
    own,
    emptyStore: () => storeFor(options, clock.now()),
    link: store.link({ flagKey, environment: unleash.environment }),
    clock,
    timing: store.timing,
    mayLead: unleash.token !== undefined,
    revision: () => flags.flag(flagKey)?.revision,
    reportedState: {
      get: () => judge.memory,
      set: (state) => judge.restore(state),
    },
    listener: {
      onState: (state) => records.safely('following the fleet', () => mirror.reconcile(state)),
      onOutcomes: () => records.safely('judging', onOutcomes),
      onEpoch: (epoch) => records.safely('following the fleet', () => machine().skipTo(epoch)),
      onConnection: (problem) => records.emit({ type: 'fleet-connection', at: clock.now(), problem }),
      onFault: (what, error) => records.fault(what, error),
    },
  });
  const mirror = new FleetSync({
    member,
    dryRun,
    state: () => machine().state,
    dispatch: (input) => machine().dispatch(input),
    now: () => clock.now(),
  });
  return new GuardFleet(member, mirror);
}
