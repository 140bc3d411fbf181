import { armOf } from '../measure/exposure-ledger.js';
import type { GuardListener } from '../model/event.js';
import {
  cameThrough,
  type ExposureSink,
  type FlagClient,
  type ProviderIdentity,
  type Unsubscribe,
} from '../model/flags.js';
import type { Health } from '../model/health.js';
import type { Evaluation, Exposure } from '../model/shapes.js';
import {
  type GuardedOperation,
  guardedOperation,
  type OperationHost,
  type OperationOptions,
} from '../operation/guarded-operation.js';
import { allWithin, withDeadline } from '../support/deadline.js';
import { type GuardState, type GuardStatus, shownState } from './guard-status.js';
import type { ComplaintReport } from './observe/tracked-outcomes.js';
import { checkOperationOptions, type RolloutGuardOptions, resolveOptions } from './options.js';
import { wire } from './wiring.js';

/**
 * How long the end of a guard waits for what was started, for its requests and for its files, in milliseconds: together less
 * than 5 s, whatever hangs.
 */
const CLOSE_MS = { start: 500, requests: 1_500, records: 2_500 };

/** How long `flush()` waits for each of what it sends, in milliseconds. */
const FLUSH_MS = 4_000;

/**
 * Guards the rollout of one flag: evaluates how the code behind it behaves, and turns the flag off when a trigger breaches, in
 * this process at once, then in Unleash. See {@link RolloutGuardOptions}.
 */
export class RolloutGuard implements ExposureSink {
  readonly flagKey: string;
  readonly #parts: ReturnType<typeof wire>;
  #client: FlagClient | undefined;
  #running: Promise<void> | undefined;
  #ending: Promise<void> | undefined;
  #ticker: NodeJS.Timeout | undefined;
  #subscriptions: Unsubscribe[] = [];

  /** @throws {@link ConfigError} that lists everything that is wrong with the options. */
  constructor(options: RolloutGuardOptions) {
    this.#parts = wire(resolveOptions(options));
    this.flagKey = this.#parts.context.flagKey;
  }

  /** What the guard is doing. */
  get state(): GuardState {
    return shownState(this.#parts.machine.state);
  }

  /** Whether the guard can do its work; a guard that has not been started, or was closed, is `blind`. Cheap, and never throws. */
  get health(): Health {
    return this.#parts.health.current;
  }

  /** Where the rollout stands, as plain data. */
  status(): GuardStatus {
    const { context, machine, evaluator, fleet, tracked, watches } = this.#parts;
    const { flags, clock, dryRun, flagKey } = context;
    const { epoch } = machine;
    const { state } = this;
    const flag = flags.flag(flagKey);
    return {
      flagKey,
      dryRun,
      state,
      health: this.health,
      epoch,
      flag,
      verdicts: evaluator.verdicts,
      openReviews: evaluator.openReviews,
      // Nothing is evaluated while the flag is off: the stage from before would seem to continue.
      stage: flag?.enabled && state.status === 'armed' ? evaluator.stage : undefined,
      problems: watches.flatMap(({ problems }) => problems),
      unattributedComplaints: tracked.unattributedComplaints,
      fleet: fleet.status(),
      snapshot: fleet.evaluated.snapshot(clock.now()),
    };
  }

  /** Adds a listener for everything that the guard does; the returned function removes it. */
  onEvent(listener: GuardListener): Unsubscribe {
    return this.#parts.context.records.listen(listener);
  }

  /**
   * Starts the guard: reads what the previous run left (a stop that was decided but not finished is finished now), then
   * evaluates outcomes as they arrive, and on every tick. Call it after the provider is set.
   *
   * @throws when the guard was closed.
   * @throws `FleetError` when only an operator can fix the shared store: a wrong password, a server too old, foreign keys.
   */
  start(): Promise<void> {
    if (this.#ending !== undefined) return Promise.reject(this.#closedError());
    this.#running ??= this.#start().catch((error) => {
      this.#parts.probe.startFailed(error);
      throw error;
    });
    return this.#running;
  }

  /**
   * Ends the guard for good, and with it the flag's protection: timers and requests end, and a stop that Unleash has
   * not confirmed stays in the journal. The process can then exit. Resolves within 5 seconds: what hangs for longer is left
   * behind, and reported as a fault.
   */
  close(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  /**
   * Writes and sends what this process has recorded so far: log, audit log, the share in a fleet, notifications and the
   * provider's usage metrics. For a process that ends, or is frozen, between two requests. Resolves within 5 seconds and never
   * rejects: what could not be sent is reported as a fault, and stays for the next time.
   */
  async flush(): Promise<void> {
    const { context, loop, recorder, fleet, notifications } = this.#parts;
    if (!loop.isRunning) return;
    await allWithin(FLUSH_MS, context.records.fault, {
      'writing the log': recorder.flush(),
      // The first may have been under way before the latest outcomes.
      'sending to the fleet': fleet.sync().then(() => fleet.sync()),
      'writing the audit log': context.records.flush(),
      'sending usage metrics': Promise.resolve().then(() => context.flags.flush?.()),
      'sending notifications': notifications.flush(FLUSH_MS),
    });
  }

  /**
   * Wraps the new and the old code path in one function: it evaluates the flag, runs the arm, retries, times out,
   * falls back to the control, and records exactly one outcome.
   *
   * @throws {@link ConfigError} when an option is invalid.
   */
  operation<Given, Input, Value>(
    options: OperationOptions<Input, Value, Given> & {
      readonly input: (given: Given) => Promise<Input> | Input;
    },
  ): GuardedOperation<Given, Value>;
  operation<Input, Value>(options: OperationOptions<Input, Value>): GuardedOperation<Input, Value>;
  operation<Given, Input, Value>(
    options: OperationOptions<Input, Value, Given>,
  ): GuardedOperation<Given, Value> {
    checkOperationOptions(options);
    const { context, recorder } = this.#parts;
    const { flags, flagKey, records } = context;
    const host: OperationHost = {
      ...context,
      sink: this,
      client: () => {
        this.#client ??= this.#firstClient();
        return this.#client;
      },
      isOverridden: () => flags.isOverridden(flagKey),
      toControl: (exposure) => recorder.toControl(exposure),
      record: (outcome) => recorder.record(outcome),
      fault: records.fault,
    };
    return guardedOperation(host, options, context.operation);
  }

  /** Whose evaluations the guard counts. */
  get provider(): ProviderIdentity | undefined {
    return this.#parts.context.flags.metadata;
  }

  /** Reports that the flag is evaluated, and never through the guard's provider; the hook calls it. */
  onlyForeign({ name }: ProviderIdentity): void {
    const { flagKey } = this;
    this.#parts.context.records.fault(
      'evaluations through another provider',
      `${flagKey} is evaluated through the provider "${name}" only, which is not the one that this guard was given as ` +
        '"flags", so it counts nothing. A provider that wraps another one must have the same "metadata" object.',
    );
  }

  /** Captures an exposure; the hook calls it. */
  exposed(evaluation: Evaluation, targetingKey: string | undefined, isOperation = false): Exposure {
    const { context, machine, recorder } = this.#parts;
    const { chance, contextId } = evaluation.flagMetadata ?? {};
    return recorder.expose({
      flagKey: this.flagKey,
      arm: armOf(evaluation),
      variant: evaluation.variant,
      reason: evaluation.reason,
      errorCode: evaluation.errorCode,
      targetingKey,
      chance: typeof chance === 'number' && chance > 0 && chance < 1 ? chance : undefined,
      unit: typeof contextId === 'string' && contextId !== '' ? contextId : undefined,
      isOperation,
      epoch: machine.epoch,
      at: context.clock.now(),
    });
  }

  /**
   * Counts a user's complaint for the arm that the user got; `client.track('<flag>.complaint', { targetingKey })` does the
   * same. Never throws: without a known evaluation for the user, a complaint is counted as unattributed.
   */
  reportComplaint(complaint: ComplaintReport): void {
    this.#parts.tracked.complaint(complaint);
  }

  #closedError(): Error {
    return new Error(`The guard of ${this.flagKey} was closed; make a new one.`);
  }

  #firstClient(): FlagClient {
    const { client, flags } = this.#parts.context;
    const first = client ?? flags.defaultClient();
    const provider = first.metadata?.providerMetadata;
    if (provider !== undefined && !cameThrough(this.provider, provider)) this.onlyForeign(provider);
    return first;
  }

  async #start(): Promise<void> {
    const { context, machine, runner, evaluator, fleet, loop, recorder, tracked, baselines, storage } =
      this.#parts;
    const { clock, flags, flagKey, tickMs, records } = context;
    const { left, folder } = await storage.open((state) => runner.applyStop(state));
    if (this.#ending !== undefined) throw this.#closedError();
    // A stop of an earlier run applies before anything else is read.
    if (left !== undefined) runner.applyStop(left.state);
    await baselines.load(folder);
    await recorder.open(left, machine.epoch, folder);
    if (this.#ending !== undefined) throw this.#closedError();
    const { status } = left?.state ?? machine.state;
    records.emit({ type: 'started', at: clock.now(), epoch: left?.epoch ?? machine.epoch, status });
    if (left?.reported !== undefined) evaluator.restore(left.reported);
    if (left !== undefined) runner.restore(left);
    // In the turn in which the epoch was restored: no outcome may be recorded in between.
    recorder.start(machine.epoch);
    this.#subscriptions = [
      flags.onChange((key) => {
        if (key === flagKey) runner.pollDefinition();
      }),
      flags.onTrack((event) => tracked.track(event)),
    ];
    context.runningTime.start();
    loop.isRunning = true;
    await fleet.start({
      state: () => machine.state,
      dispatch: (input) => runner.dispatch(input),
      skipTo: (epoch) => machine.skipTo(epoch),
      evaluate: () => loop.evaluate(),
    });
    if (this.#ending !== undefined) throw this.#closedError();
    const { probe, health } = this.#parts;
    probe.started();
    health.start(folder);
    const tick = () => {
      records.safely('the tick', () => probe.tick(() => this.#tick()));
      records.safely('checking the health', () => health.poll());
    };
    this.#ticker = setInterval(tick, tickMs).unref();
    tick();
  }

  async #end(): Promise<void> {
    await withDeadline(CLOSE_MS.start, undefined, async () => this.#running).catch(() => {});
    this.#parts.probe.closed();
    const healthSaved = this.#parts.health.close();
    const {
      context,
      loop,
      signals,
      runner,
      watches,
      storage,
      autoAdvance,
      fleet,
      recorder,
      baselines,
      notifications,
    } = this.#parts;
    if (!loop.isRunning) return;
    loop.isRunning = false;
    const { records, clock } = context;
    clearInterval(this.#ticker);
    context.runningTime.stop();
    for (const unsubscribe of this.#subscriptions.splice(0)) unsubscribe();
    signals.close();
    await allWithin(CLOSE_MS.requests, records.fault, {
      'closing the requests to Unleash': runner.close(),
      'closing the checks of Unleash': Promise.all(watches.map((watch) => watch.close())).then(() => {}),
      'closing an advance': autoAdvance?.close(),
      'closing the fleet': fleet.close(),
    });
    records.emit({ type: 'closed', at: clock.now() });
    const saved = Promise.all([recorder.close(), baselines.save(), records.close(), healthSaved]);
    await allWithin(CLOSE_MS.records, records.fault, {
      // The lock goes last.
      'closing the folder': saved.then(() => storage.close()),
      // It reports itself what it could not deliver.
      'closing the notifiers': notifications.close(CLOSE_MS.records - 500),
    });
  }

  #tick(): void {
    const { context, machine, runner, evaluator, fleet, loop, signals, autoAdvance, baselines, watches } =
      this.#parts;
    runner.pollDefinition();
    baselines.sample(context.flags.flag(this.flagKey), context.clock.now());
    if (machine.isWatching && fleet.evaluates) signals.poll();
    loop.tick();
    if (machine.isWatching && fleet.evaluatesStages) {
      const { state, epoch } = machine;
      const steppedBackFrom = state.status === 'armed' ? state.steppedBackFrom : undefined;
      autoAdvance?.poll(evaluator.stage, epoch, steppedBackFrom);
    }
    runner.recheck();
    if (fleet.leads) for (const watch of watches) watch.poll();
  }
}
