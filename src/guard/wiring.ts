import { Notifications } from '../notify/notifications.js';
import { SignalPoller } from '../triggers/signals/signal-poller.js';
import { flagPageUrl } from '../unleash/admin-access.js';
import { UnleashAdminClient } from '../unleash/admin-client.js';
import { AutoAdvance } from './act/auto-advance.js';
import { EffectRunner } from './act/effect-runner.js';
import { GuardMachine } from './act/guard-machine.js';
import { storeFor } from './evaluate/evaluation-loop.js';
import { Evaluator } from './evaluate/evaluator.js';
import { GuardLoop } from './evaluate/guard-loop.js';
import { type GuardContext, guardContext } from './guard-context.js';
import { type GuardFleet, SharedFleet, soloFleet } from './guard-fleet.js';
import { Baselines } from './observe/baselines.js';
import { OutcomeRecorder } from './observe/outcome-recorder.js';
import { TrackedOutcomes } from './observe/tracked-outcomes.js';
import type { ResolvedOptions } from './options.js';

/** Makes the parts of a guard, from the bottom up: each is given those before it. */
export function wire(options: ResolvedOptions) {
  const context = guardContext(options);
  const { flagKey, unleash, rollback, review, notify, clock, records } = context;
  const own = storeFor(context, clock.now());
  const onFault = (what: string, error: unknown) => records.fault(what, error);
  const signals = new SignalPoller({ triggers: [...rollback, ...review], clock, onFault });
  const evaluator = new Evaluator(context, signals);
  const fleet: GuardFleet =
    context.store === undefined ? soloFleet(own) : new SharedFleet(context, context.store, own, evaluator);
  const machine = new GuardMachine(context, fleet.evaluated, evaluator);
  const admin = adminClient(context);
  const runner = new EffectRunner(context, machine, fleet, admin);
  const autoAdvance = autoAdvanceOf(context, admin);
  const loop = new GuardLoop(context, evaluator, fleet, machine, runner);
  const recorder = new OutcomeRecorder(context, own, fleet, loop);
  const tracked = new TrackedOutcomes(context, recorder);
  const baselines = new Baselines(context, own, fleet);
  const { project, environment } = unleash;
  const subject = { flagKey, project, environment, flagUrl: flagPageUrl(unleash, flagKey) };
  const notifications = new Notifications({ notify, subject, clock, onFault });
  // In a fleet, the leader notifies for all, and every process of what it decided itself.
  records.listen((event) => {
    if (event.type === 'decided' ? event.by === undefined : fleet.leads) notifications.listener(event);
  });
  return {
    context,
    signals,
    evaluator,
    fleet,
    machine,
    runner,
    autoAdvance,
    loop,
    recorder,
    tracked,
    baselines,
    notifications,
  };
}

/** Undefined in a process without an admin token. */
function adminClient({ unleash, fetch, clock }: GuardContext): UnleashAdminClient | undefined {
  const { token } = unleash;
  return token === undefined ? undefined : new UnleashAdminClient({ ...unleash, token, fetch, clock });
}

/** Undefined where an operator moves the percentage. */
function autoAdvanceOf(
  context: GuardContext,
  admin: UnleashAdminClient | undefined,
): AutoAdvance | undefined {
  const { advance, dryRun, records } = context;
  if (admin === undefined || advance === 'manual' || dryRun) return undefined;
  const autoAdvance = new AutoAdvance(context, admin);
  records.listen(({ type }) => {
    if (type === 'decided') autoAdvance.cancel();
  });
  return autoAdvance;
}
