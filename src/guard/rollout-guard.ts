import { randomUUID } from 'node:crypto';
import type { FleetMember } from '../fleet/fleet-member.js';
import { armOf } from '../measure/arm.js';
import { ExposureLedger } from '../measure/exposure-ledger.js';
import type { MemoryOutcomeStore } from '../measure/memory-outcome-store.js';
import type { GuardListener } from '../model/event.js';
import type { ExposureSink, FlagClient, Unsubscribe } from '../model/flags.js';
import type { Evaluation, Exposure, Outcome } from '../model/shapes.js';
import type { GuardState } from '../model/state.js';
import type { Notifications } from '../notify/notifications.js';
import {
  type GuardedOperation,
  guardedOperation,
  type OperationHost,
  type OperationOptions,
} from '../operation/guarded-operation.js';
import { oncePerTurn } from '../support/once-per-turn.js';
import { SignalPoller } from '../triggers/signals/signal-poller.js';
import { type UnleashSide, unleashSide } from './act/unleash-side.js';
import { makeDecision } from './decide/decide.js';
import { GuardMachine } from './decide/guard-machine.js';
import { Evaluator } from './evaluate/evaluator.js';
import { type GuardFleet, joinFleet } from './fleet/join-fleet.js';
import type { GuardStatus } from './guard-status.js';
import { Baselines } from './observe/baselines.js';
import { type ComplaintReport, Feedback } from './observe/feedback.js';
import {
  checkOperationOptions,
  type ResolvedOptions,
  type RolloutGuardOptions,
  resolveOptions,
} from './options.js';
import { GuardRecords } from './records/guard-records.js';
import { notifyOperators } from './records/notify-operators.js';
import { OutcomeRecording, storeFor } from './records/outcome-recording.js';

/**
 * Watches how the code behind a flag behaves, and turns the flag off when a trigger breaches: in this process at
 * once, then in Unleash. See {@link RolloutGuardOptions}.
 */
export class RolloutGuard implements ExposureSink {
  readonly flagKey: string;
  readonly #options: ResolvedOptions;
  readonly #fleet: GuardFleet | undefined;
  /** What this process records. */
  readonly #own: MemoryOutcomeStore;
  /** What this process evaluates: in a fleet's leader, what all recorded. */
  readonly #evaluated: FleetMember | MemoryOutcomeStore;
  readonly #log: OutcomeRecording;
  readonly #ledger: ExposureLedger;
  readonly #feedback: Feedback;
  readonly #records: GuardRecords;
  readonly #unleash: UnleashSide | undefined;
  readonly #machine: GuardMachine;
  readonly #signals: SignalPoller;
  readonly #judge: Evaluator;
  readonly #baselines: Baselines;
  readonly #notifications: Notifications;
  /** What triggers call critical beyond the defaults. */
  readonly #criticalErrorTypes: ReadonlySet<string>;
  readonly #evaluateSoon = oncePerTurn(() => {
    if (this.#watching) this.#records.safely('judging', () => this.#evaluateOutcomes());
  });
  #client: FlagClient | undefined;
  #running: Promise<void> | undefined;
  #ending: Promise<void> | undefined;
  #watching = false;
  #ticker: NodeJS.Timeout | undefined;
  #subscriptions: Unsubscribe[] = [];

  /** @throws {@link ConfigError} that lists everything that is wrong with the options. */
  constructor(options: RolloutGuardOptions) {
    this.#options = resolveOptions(options);
    const { clock, flagKey, flags, dryRun, rollback, review } = this.#options;
    const triggers = [...rollback, ...review];
    const speaks = () => this.#fleet?.speaks !== false;
    this.flagKey = flagKey;
    const own = storeFor(this.#options, clock.now());
    const records = new GuardRecords({ ...this.#options, listener: this.#options.onEvent });
    this.#records = records;
    this.#log = new OutcomeRecording(this.#options, own, records);
    this.#signals = new SignalPoller({ triggers, clock, onFault: records.fault.bind(records) });
    this.#judge = new Evaluator({ ...this.#options, records, signals: this.#signals });
    this.#fleet = joinFleet(this.#options, {
      own,
      records,
      machine: () => this.#machine,
      judge: this.#judge,
      onOutcomes: () => this.#evaluateOutcomes(),
    });
    this.#own = own;
    const store = this.#fleet?.member ?? own;
    this.#evaluated = store;
    this.#baselines = new Baselines({ ...this.#options, own, store, records });
    this.#criticalErrorTypes = new Set(
      triggers.flatMap(({ criticalErrorTypes }) => criticalErrorTypes ?? []),
    );
    this.#ledger = new ExposureLedger({ maxUsers: this.#options.maxTrackedUsers });
    this.#feedback = new Feedback({
      flagKey,
      ledger: this.#ledger,
      clock,
      records,
      criticalErrorTypes: this.#criticalErrorTypes,
      onOutcome: (outcome) => this.#record(outcome),
      onComplaint: (exposure, at) => own.recordComplaint(exposure, at),
    });
    this.#unleash = unleashSide(this.#options, records, (answer) => this.#machine.dispatch(answer));
    this.#notifications = notifyOperators(this.#options, records, speaks);
    // A person who turns the flag on again has looked.
    records.listen(({ type }) => {
      if (type === 're-armed') this.#judge.forgetReviews();
    });
    this.#machine = new GuardMachine({
      flagKey,
      dryRun,
      flags,
      store,
      records,
      unleash: this.#unleash?.stop,
      speaksToUnleash: speaks,
      mirror: () => this.#fleet?.mirror,
      reportedState: () => this.#judge.memory,
      clock,
    });
  }

  /** What the guard is doing. */
  get state(): GuardState {
    return this.#machine.state;
  }

  /** Where the rollout stands, as plain data. */
  status(): GuardStatus {
    const { flags, clock, dryRun } = this.#options;
    const { state, epoch } = this.#machine;
    const flag = flags.flag(this.flagKey);
    return {
      flagKey: this.flagKey,
      dryRun,
      state,
      epoch,
      flag,
      verdicts: this.#judge.verdicts,
      openReviews: this.#judge.openReviews,
      // Nothing is judged while the flag is off: the stage of before would look as if it went on.
      stage: flag?.enabled && state.status === 'armed' ? this.#judge.stage : undefined,
      unattributedComplaints: this.#feedback.unattributedComplaints,
      fleet: this.#fleet?.status(),
      snapshot: this.#evaluated.snapshot(clock.now()),
    };
  }

  /** Adds a listener for everything that the guard does; the returned function removes it. */
  onEvent(listener: GuardListener): Unsubscribe {
    return this.#records.listen(listener);
  }

  /**
   * Begins to watch: reads what the previous run left (a stop that was decided but not finished is finished now),
   * then judges outcomes as they come, and on every tick. Call it after the provider is set.
   *
   * @throws when the folder belongs to the guard of another flag, or the guard has ended.
   */
  start(): Promise<void> {
    if (this.#ending !== undefined)
      return Promise.reject(new Error(`The guard of ${this.flagKey} has ended; make a new one.`));
    this.#running ??= this.#start();
    return this.#running;
  }

  /** Ends the watch for good: timers and requests end, what is pending stays on disk. The process can then exit. */
  close(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  /**
   * Wraps the new and the old code path in one function: it evaluates the flag, runs the arm, retries, times out,
   * falls back to the control, and records exactly one outcome.
   *
   * @throws {@link ConfigError} when an option cannot be used.
   */
  operation<Input, Value>(options: OperationOptions<Input, Value>): GuardedOperation<Input, Value> {
    checkOperationOptions(options);
    const { clock, flags, random, operation } = this.#options;
    const host: OperationHost = {
      flagKey: this.flagKey,
      clock,
      random,
      criticalErrorTypes: this.#criticalErrorTypes,
      sink: this,
      client: () => this.#evaluationClient(),
      isOverridden: () => flags.isOverridden(this.flagKey),
      toControl: (exposure) => {
        this.#own.settle(exposure);
        return this.#awaitOutcome({ ...exposure, arm: 'control', reason: 'DISABLED' });
      },
      record: (outcome) => this.#record(outcome),
      fault: (what, error) => this.#records.fault(what, error),
    };
    return guardedOperation(host, options, operation);
  }

  /** Captures an exposure; the hook calls it. */
  exposed(evaluation: Evaluation, targetingKey: string | undefined): Exposure {
    return this.#awaitOutcome({
      flagKey: this.flagKey,
      arm: armOf(evaluation),
      variant: evaluation.variant,
      reason: evaluation.reason,
      errorCode: evaluation.errorCode,
      targetingKey,
      epoch: this.#machine.epoch,
      at: this.#options.clock.now(),
    });
  }

  /**
   * Counts a user's complaint for the arm that the user got; `client.track('<flag>.complaint', { targetingKey })` does the
   * same. Never throws: a complaint of a user of whom no evaluation is known is counted as unattributed.
   */
  reportComplaint(complaint: ComplaintReport): void {
    this.#feedback.complaint(complaint);
  }

  #awaitOutcome(exposure: Exposure): Exposure {
    this.#ledger.remember(exposure);
    this.#own.expose(exposure);
    return exposure;
  }

  async #start(): Promise<void> {
    const { clock, flags, tickMs, folder } = this.#options;
    const left = await this.#records.load();
    if (left !== undefined && left.flagKey !== this.flagKey) {
      throw new Error(
        `The folder ${folder} belongs to the flag ${left.flagKey}; give ${this.flagKey} its own.`,
      );
    }
    // A stop of an earlier run holds before anything else is read.
    if (left !== undefined) this.#machine.applyStop(left.state);
    await this.#baselines.load();
    await this.#log.open(left, this.#machine.epoch);
    const { status } = left?.state ?? this.#machine.state;
    this.#records.emit({
      type: 'started',
      at: clock.now(),
      epoch: left?.epoch ?? this.#machine.epoch,
      status,
    });
    if (left?.reported !== undefined) this.#judge.restore(left.reported);
    if (left !== undefined) this.#machine.restore(left);
    // From the journal's epoch to the log's first line nothing may come between.
    this.#log.start(this.#machine.epoch);
    this.#subscriptions = [
      flags.onChange((key) => {
        if (key === this.flagKey) this.#machine.pollDefinition();
      }),
      flags.onTrack((event) => this.#feedback.track(event)),
    ];
    this.#watching = true;
    await this.#fleet?.member.start();
    const tick = () => this.#records.safely('the tick', () => this.#tick());
    this.#ticker = setInterval(tick, tickMs).unref();
    tick();
  }

  async #end(): Promise<void> {
    await this.#running?.catch(() => {});
    if (!this.#watching) return;
    this.#watching = false;
    clearInterval(this.#ticker);
    for (const unsubscribe of this.#subscriptions.splice(0)) unsubscribe();
    this.#signals.close();
    await Promise.all([this.#unleash?.close(), this.#fleet?.member.close()]);
    this.#records.emit({ type: 'closed', at: this.#options.clock.now() });
    await Promise.all([
      this.#log.close(),
      this.#baselines.save(),
      this.#records.settled(),
      this.#notifications.close(),
    ]);
  }

  /** Without being asked: so that silence, memory and an unanswered question are noticed too. */
  #tick(): void {
    const { clock, flags } = this.#options;
    this.#machine.pollDefinition();
    this.#baselines.sample(flags.flag(this.flagKey), clock.now());
    if (this.#machine.isWatching && this.#fleet?.judges !== false) this.#signals.poll();
    this.#evaluateOutcomes();
    if (this.#machine.isWatching && this.#fleet?.evaluatesStages !== false) {
      const snapshot = this.#evaluated.snapshot(clock.now());
      if (this.#judge.review(snapshot, flags.flag(this.flagKey), snapshot.at)) this.#machine.save();
      const { state, epoch } = this.#machine;
      const steppedBackFrom = state.status === 'armed' ? state.steppedBackFrom : undefined;
      this.#unleash?.autoAdvance?.poll(this.#judge.stage, epoch, steppedBackFrom);
    }
    if (this.#fleet?.speaks === false) return;
    this.#machine.resumeStop();
    this.#unleash?.stop.recheck(this.#machine.state);
  }

  #record(outcome: Outcome): void {
    this.#records.safely('recording an outcome', () => {
      this.#own.record(outcome);
      if (outcome.critical && outcome.exposure.arm === 'treatment') this.#fleet?.member.flushSoon();
      this.#log.record(outcome);
    });
    this.#records.outcome(outcome);
    // In a fleet, the outcomes of all are judged, when they have arrived.
    if (this.#watching && !this.#fleet?.isConnected) this.#evaluateSoon();
  }

  #evaluateOutcomes(): void {
    if (!this.#machine.isEvaluating) return;
    const { clock, flags } = this.#options;
    const now = clock.now();
    const snapshot = this.#evaluated.snapshot(now);
    const scope = this.#fleet?.judges === false ? 'instance' : 'all';
    const breaches = this.#judge.breaches(snapshot, snapshot.at, scope);
    if (breaches.length === 0) return;
    const facts = flags.flag(this.flagKey);
    const decision = makeDecision({ ...this.#options, id: randomUUID(), breaches, snapshot, facts });
    this.#machine.dispatch({ type: 'breached', at: now, decision });
  }

  #evaluationClient(): FlagClient {
    const { client, flags } = this.#options;
    this.#client ??= client ?? flags.defaultClient();
    return this.#client;
  }
}
