import { Notifications } from '../notify/notifications.js';
import { SignalPoller } from '../triggers/signals/signal-poller.js';
import { flagPageUrl } from '../unleash/admin-access.js';
import { ControlActions } from './act/control-actions.js';
import { DefinitionWatch } from './act/definition-watch.js';
import { EffectRunner } from './act/effect-runner.js';
import { FlagWatch } from './act/flag-watch.js';
import { OperatorControls } from './act/operator-controls.js';
import { StageAdvance } from './act/stage-advance.js';
import { TokenWatch } from './act/token-watch.js';
import { UnleashMarks } from './act/unleash-marks.js';
import { guardContext } from './context/guard-context.js';
import type { GuardResources } from './context/guard-resources.js';
import { ControlLedger } from './control/control-state.js';
import { Evaluator } from './evaluate/evaluator.js';
import { type GuardFleet, SharedFleet, soloFleet } from './guard-fleet.js';
import { GuardLoop } from './guard-loop.js';
import { GuardMachine } from './guard-machine.js';
import { GuardStorage } from './guard-storage.js';
import { concernsOneProcess } from './health/checks.js';
import { GuardHealth } from './health/guard-health.js';
import { HealthProbe } from './health/health-probe.js';
import { Baselines } from './observe/baselines.js';
import { EvaluationClient } from './observe/evaluation-client.js';
import { OutcomeRecorder } from './observe/outcome-recorder.js';
import { RollupKeeper } from './observe/rollup-keeper.js';
import { TrackedOutcomes } from './observe/tracked-outcomes.js';
import type { ResolvedOptions } from './options/resolve-options.js';
import { storeFor } from './options/rules.js';
import { GuardMetrics } from './view/guard-metrics.js';
import { GuardSource } from './view/guard-source.js';
import { GuardView } from './view/guard-view.js';

/** What a guard consists of. */
export type GuardParts = ReturnType<typeof guardParts>;

/**
 * Makes the parts from the bottom up: each is given those before it.
 *
 * @param shared - What it shares with other guards. @default resources of its own
 */
export function guardParts(options: ResolvedOptions, shared?: GuardResources) {
  const context = guardContext(options, shared);
  const { flagKey, unleash, dashboardUrl, rollback, review, dryRun, notify, clock, records, resources } =
    context;
  const own = storeFor(context, clock.now());
  context.runningTime.onGap(({ durationMs }) => own.lost(durationMs));
  const signals = new SignalPoller({
    triggers: [...rollback, ...review],
    clock,
    fetch: resources.fetch.ofOthers,
    onFault: records.outage,
  });
  const ledger = new ControlLedger();
  const evaluator = new Evaluator(
    context,
    signals,
    (trigger, now) => ledger.isMuted(trigger, now),
    () => ledger.firingAlerts,
    () => blind(),
  );
  const fleet: GuardFleet =
    context.store === undefined ? soloFleet(own) : new SharedFleet(context, context.store, own, evaluator);
  const machine = new GuardMachine(context, fleet.evaluated, evaluator, ledger);
  // A process without a token leaves Unleash to the others of its fleet.
  const { admin } = resources;
  const tokenWatch = admin && new TokenWatch(context, admin, evaluator, () => machine.save());
  const flagWatch = admin && new FlagWatch(context, admin, machine);
  const marks = admin && new UnleashMarks(context, admin, machine, evaluator, fleet);
  const watches = [tokenWatch, flagWatch, marks].filter((watch) => watch !== undefined);
  const problems = () => [tokenWatch, flagWatch].flatMap((watch) => watch?.problems ?? []);
  const runner = new EffectRunner(context, machine, fleet, admin);
  const definition = new DefinitionWatch(context, machine, fleet, runner);
  // After a freeze, a guard evaluates nothing before it knows where it is: that is no reason to wait beside it.
  const blind = () =>
    health.current.reasons.flatMap(({ code }) => (code === 'event-loop-blocked' ? [] : [code]));
  const stageAdvance = admin && !dryRun ? new StageAdvance(context, ledger, admin.client, blind) : undefined;
  const actions = new ControlActions(context, machine, runner, evaluator, fleet, stageAdvance);
  const controls = new OperatorControls(context, fleet, ledger, actions, () => machine.save());
  const loop = new GuardLoop(context, evaluator, fleet, machine, runner);
  const recorder = new OutcomeRecorder(context, own, fleet, machine, loop);
  const tracked = new TrackedOutcomes(context, recorder, own);
  const baselines = new Baselines(context, own, fleet);
  const rollups = new RollupKeeper({ context, own, machine, evaluator, recorder });
  const client = new EvaluationClient(context);
  const probe = new HealthProbe({
    context,
    client,
    machine,
    evaluator,
    fleet,
    loop,
    recorder,
    signals,
    adminProblems: problems,
  });
  const health = new GuardHealth(context, () => probe.facts());
  const { project, environment } = unleash;
  const flagUrl = flagPageUrl(unleash, flagKey);
  const view = new GuardView({
    context,
    machine,
    evaluator,
    fleet,
    health,
    tokenWatch,
    problems,
    flagUrl,
    controls: () => controls.inForce,
  });
  const metrics = new GuardMetrics(context, view, ledger, fleet);
  const source = new GuardSource(context, view, rollups, controls, fleet);
  const subject = { flagKey, project, environment, flagUrl, dashboardUrl };
  const notifications = new Notifications({
    notify,
    queues: resources.queues,
    subject,
    process: fleet.status()?.instance,
    clock,
    fetch: resources.fetch.ofOthers,
    onOpen: (incidents) => {
      machine.incidents = incidents;
      machine.save();
    },
    onFault: records.outage,
  });
  // In a fleet, the leader notifies for all, and every process of what it decided, and of what makes it alone blind.
  records.listen((event) => {
    // What an operator decided for all, perhaps by the command line, is the leader's to report.
    const isOperators = event.type === 'decided' && event.decision.requestedBy !== undefined;
    const isOwn =
      (event.type === 'decided' && event.by === undefined && !isOperators) ||
      (event.type === 'superseded' && fleet.isOwn(event.decisionId)) ||
      (event.type === 'health' && concernsOneProcess(event));
    const isForAll = (event.type !== 'decided' || isOperators) && fleet.leads;
    notifications.listener(event, isOwn || isForAll);
    fleet.mark(event);
  });
  return {
    context,
    client,
    storage: new GuardStorage(context),
    signals,
    evaluator,
    fleet,
    machine,
    runner,
    definition,
    watches,
    problems,
    stageAdvance,
    controls,
    loop,
    recorder,
    tracked,
    baselines,
    rollups,
    probe,
    health,
    view,
    source,
    metrics,
    notifications,
  };
}
