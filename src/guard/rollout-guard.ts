import type { AlertsOptions } from '../alerts/alert-options.js';
import type { AlertTarget } from '../alerts/alert-target.js';
import { type AlertsHandler, alertsHandler } from '../alerts/alerts-handler.js';
import type { DashboardOptions } from '../dashboard/dashboard-options.js';
import { type DashboardHandler, dashboardHandler } from '../dashboard/handler.js';
import { type MetricsHandler, metricsHandler } from '../dashboard/metrics-handler.js';
import { prometheusText } from '../dashboard/prometheus-text.js';
import type { RolloutSource } from '../dashboard/source.js';
import type { Control, ControlReply, ControlsInForce } from '../model/control.js';
import type { GuardListener } from '../model/event.js';
import type { ExposureSink, ProviderIdentity, Unsubscribe } from '../model/flags.js';
import type { Health } from '../model/health.js';
import type { GuardFigures } from '../model/observer.js';
import type { Evaluation, Exposure } from '../model/shapes.js';
import {
  type GuardedOperation,
  guardedOperation,
  type OperationHost,
  type OperationOptions,
} from '../operation/guarded-operation.js';
import { assembleGuard, checkOperationOptions, resolveOptions } from './assemble.js';
import type { GuardResources } from './context/guard-resources.js';
import { ControllableGuard } from './control/controllable-guard.js';
import type { GuardRun } from './guard-run.js';
import { type GuardState, type GuardStatus, shownState } from './guard-status.js';
import {
  type ComplaintReport,
  type TrackContext,
  type TrackDetails,
  trackedEvent,
} from './observe/tracked-outcomes.js';
import type { RolloutGuardOptions } from './options/options.js';
import type { ResolvedOptions } from './options/resolve-options.js';

/**
 * Guards the rollout of one flag: evaluates how the code behind it behaves, and turns the flag off when a trigger breaches, in
 * this process at once, then in Unleash. See {@link RolloutGuardOptions}.
 */
export class RolloutGuard extends ControllableGuard implements ExposureSink {
  /** The flag, as it is named in Unleash. */
  readonly flagKey: string;
  readonly #options: ResolvedOptions;
  readonly #shared: GuardResources | undefined;
  #run: GuardRun | undefined;

  /** @throws {@link ConfigError} that lists everything that is wrong with the options. */
  constructor(options: RolloutGuardOptions);
  /** @internal */
  constructor(options: ResolvedOptions, shared: GuardResources);
  constructor(options: RolloutGuardOptions | ResolvedOptions, shared?: GuardResources) {
    super();
    this.#options = shared === undefined ? resolveOptions(options) : (options as ResolvedOptions);
    this.#shared = shared;
    this.flagKey = this.#options.flagKey;
    // One of several is assembled when it starts, or is first used: a thousand at once would block the event loop.
    if (shared === undefined) this.assemble();
  }

  /** @internal */
  assemble(): GuardRun {
    this.#run ??= assembleGuard(this.#options, this.#shared);
    return this.#run;
  }

  get #parts() {
    return this.assemble().parts;
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
    const { context, machine, evaluator, fleet, tracked, problems } = this.#parts;
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
      problems: problems(),
      unattributedComplaints: tracked.unattributedComplaints,
      fleet: fleet.status(),
      snapshot: fleet.evaluated.snapshot(clock.now()),
    };
  }

  /**
   * The dashboard of this flag: `app.use('/rollouts', guard.dashboard())`. Without a `token`, the application restricts who may read.
   * `dashboard()` of `unleash-rollout-guard/dashboard` shows several flags.
   *
   * @throws {@link ConfigError} that lists everything that is wrong with the options.
   */
  dashboard(options?: DashboardOptions): DashboardHandler {
    return dashboardHandler(() => [this.rolloutSource], options);
  }

  /** This rollout for `dashboard()` of `unleash-rollout-guard/dashboard`. */
  get rolloutSource(): RolloutSource {
    return this.#parts.source;
  }

  /**
   * The endpoint where monitoring systems send alerts: `app.post('/alerts', guard.alerts({ token }))`. Takes what Alertmanager, Grafana
   * and Datadog send, and plain JSON. An alert opens a review, or stops the flag where a rule says so. In a fleet any process may have it.
   * `alerts()` of `guardFlags()` is for several flags.
   *
   * @throws {@link ConfigError} that lists everything that is wrong with the options.
   */
  alerts(options: AlertsOptions): AlertsHandler {
    return alertsHandler(() => [this.alertTarget], options);
  }

  /** Where the rollout stands, as metrics in Prometheus' text format. Their names begin with `rollout_guard_`; labels are bounded. */
  prometheus(): string {
    return prometheusText([this.figures]);
  }

  /** Serves {@link prometheus} to scrapes: `app.get('/metrics/rollout', guard.metrics())`. */
  metrics(): MetricsHandler {
    return metricsHandler(() => [this]);
  }

  /** @internal */
  get figures(): GuardFigures {
    return this.#parts.metrics.current;
  }

  /** @internal */
  get alertTarget(): AlertTarget {
    return { flagKey: this.flagKey, alert: (alert) => this.#parts.controls.alert(alert) };
  }

  override get controls(): ControlsInForce {
    return this.#parts.controls.inForce;
  }

  override control(control: Control): Promise<ControlReply> {
    return this.#parts.controls.control(control);
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
    return this.assemble().start();
  }

  /**
   * Ends the guard for good, and with it the flag's protection: timers and requests end, and a stop that Unleash has
   * not confirmed stays in the journal. The process can then exit. Resolves within 5 seconds: what hangs for longer is left
   * behind, and reported as a fault.
   */
  close(): Promise<void> {
    return this.assemble().close();
  }

  /**
   * Writes and sends what this process has recorded so far: log, audit log, the share in a fleet, notifications and the
   * provider's usage metrics. For a process that ends, or is frozen, between two requests. Resolves within 5 seconds and never
   * rejects: what could not be sent is reported as a fault, and stays for the next time.
   */
  flush(): Promise<void> {
    return this.assemble().flush();
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
    const { context, recorder, client, loop } = this.#parts;
    const { flags, flagKey, records } = context;
    const host: OperationHost = {
      ...context,
      sink: this,
      client: () => client.current,
      isOverridden: () => flags.isOverridden(flagKey) || loop.mayHaveMissedStop,
      toControl: (exposure) => recorder.toControl(exposure),
      record: (outcome) => recorder.record(outcome),
      fault: records.fault,
    };
    return guardedOperation(host, options, context.operation);
  }

  /** Whose evaluations the guard counts. */
  get provider(): ProviderIdentity | undefined {
    return this.#options.flags.metadata;
  }

  /** Reports that the flag is evaluated, and never through the guard's provider; the hook calls it. */
  onlyForeign(provider: ProviderIdentity): void {
    this.#parts.client.reportForeign(provider);
  }

  /** Captures an exposure; the hook calls it. */
  exposed(evaluation: Evaluation, targetingKey: string | undefined, isOperation = false): Exposure {
    return this.#parts.recorder.exposed(evaluation, targetingKey, isOperation);
  }

  /**
   * Counts an event for this guard's metrics, and outcomes and complaints, as `client.track()` does, which reaches the guards of all flags: for
   * code that has no OpenFeature client. Never throws.
   */
  track(event: string, context: TrackContext, details: TrackDetails = {}): void {
    const {
      context: { records },
      tracked,
    } = this.#parts;
    records.safely('track()', () => tracked.track(trackedEvent(event, context, details)));
  }

  /**
   * Counts a user's complaint for the arm that the user got; `client.track('<flag>.complaint', { targetingKey })` does the
   * same. Never throws: without a known evaluation for the user, a complaint is counted as unattributed.
   */
  reportComplaint(complaint: ComplaintReport): void {
    this.#parts.tracked.complaint(complaint);
  }
}
