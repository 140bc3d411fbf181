import { Notifications } from '../notify/notifications.js';
import { SignalPoller } from '../triggers/signals/signal-poller.js';
import { flagPageUrl } from '../unleash/admin-access.js';
import { UnleashAdminClient } from '../unleash/admin-client.js';
import { EffectRunner } from './act/effect-runner.js';
import { FlagWatch } from './act/flag-watch.js';
import { GuardMachine } from './act/guard-machine.js';
import { StageAdvance } from './act/stage-advance.js';
import { TokenWatch } from './act/token-watch.js';
import { UnleashMarks } from './act/unleash-marks.js';
import { ControlActions } from './control/control-actions.js';
import { ControlLedger } from './control/control-ledger.js';
import { OperatorControls } from './control/operator-controls.js';
import { storeFor } from './evaluate/evaluation-loop.js';
import { Evaluator } from './evaluate/evaluator.js';
import { GuardLoop } from './evaluate/guard-loop.js';
import { guardContext } from './guard-context.js';
import { type GuardFleet, SharedFleet, soloFleet } from './guard-fleet.js';
import { GuardStorage } from './guard-storage.js';
import { concernsOneProcess } from './health/checks.js';
import { GuardHealth } from './health/guard-health.js';
import { HealthProbe } from './health/health-probe.js';
import { Heartbeat } from './health/heartbeat.js';
import { Baselines } from './observe/baselines.js';
import { OutcomeRecorder } from './observe/outcome-recorder.js';
import { TrackedOutcomes } from './observe/tracked-outcomes.js';
import type { ResolvedOptions } from './options.js';

/** Makes the parts of a guard, from the bottom up: each is given those before it. */
export function wire(options: ResolvedOptions) {
  const context = guardContext(options);
  const { flagKey, unleash, rollback, review, dryRun, notify, fetch, clock, records } = context;
  const { dashboardUrl } = context;
  const own = storeFor(context, clock.now());
  context.runningTime.onGap(({ durationMs }) => own.lost(durationMs));
  const signals = new SignalPoller({ triggers: [...rollback, ...review], clock, onFault: records.outage });
  const ledger = new ControlLedger();
  const evaluator = new Evaluator(context, signals, (trigger, now) => ledger.isMuted(trigger, now));
  const fleet: GuardFleet =
    context.store === undefined ? soloFleet(own) : new SharedFleet(context, context.store, own, evaluator);
  const machine = new GuardMachine(context, fleet.evaluated, evaluator, ledger);
  const { token } = unleash;
  // A process without a token leaves Unleash to the others of its fleet.
  const onUnauthorized = () => tokenWatch?.onUnauthorized();
  const admin =
    token === undefined
      ? undefined
      : new UnleashAdminClient({ ...unleash, token, fetch, clock, onUnauthorized });
  const tokenWatch = admin && new TokenWatch(context, admin, machine);
  const watches =
    admin && tokenWatch
      ? [
          tokenWatch,
          new FlagWatch(context, admin),
          new UnleashMarks(context, machine, evaluator, fleet, admin),
        ]
      : [];
  const runner = new EffectRunner(context, machine, fleet, admin);
  const stageAdvance = admin && !dryRun ? new StageAdvance(context, ledger, admin) : undefined;
  const actions = new ControlActions(context, machine, runner, evaluator, fleet, stageAdvance);
  const controls = new OperatorControls(context, fleet, ledger, actions, () => machine.save());
  const loop = new GuardLoop(context, evaluator, fleet, machine, runner);
  const recorder = new OutcomeRecorder(context, own, fleet, loop);
  const tracked = new TrackedOutcomes(context, recorder, own);
  const baselines = new Baselines(context, own, fleet);
  const watched = {
    context,
    machine,
    evaluator,
    fleet,
    loop,
    recorder,
    signals,
    adminProblems: () => watches.flatMap(({ problems }) => problems),
  };
  const probe = new HealthProbe(watched);
  const health = new GuardHealth(context, () => probe.facts(), new Heartbeat(context));
  const { project, environment } = unleash;
  const subject = { flagKey, project, environment, flagUrl: flagPageUrl(unleash, flagKey), dashboardUrl };
  const notifications = new Notifications({ notify, subject, clock, onFault: records.outage });
  // In a fleet, the leader notifies for all, and every process of what it decided, and of what makes it alone blind.
  records.listen((event) => {
    // What an operator decided for all, perhaps by the command line, is the leader's to report.
    const isOperators = event.type === 'decided' && event.decision.requestedBy !== undefined;
    const isOwn =
      (event.type === 'decided' && event.by === undefined && !isOperators) ||
      (event.type === 'health' && concernsOneProcess(event));
    const isForAll = (event.type !== 'decided' || isOperators) && fleet.leads;
    if (isOwn || isForAll) notifications.listener(event);
  });
  return {
    context,
    storage: new GuardStorage(context),
    signals,
    evaluator,
    fleet,
    machine,
    runner,
    watches,
    stageAdvance,
    controls,
    loop,
    recorder,
    tracked,
    baselines,
    probe,
    health,
    notifications,
  };
}
