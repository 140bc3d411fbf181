import type {
  Alert,
  Control,
  ControlRequest,
  ControlState,
  ControlType,
  PercentageStep,
} from '../../model/control.js';
import type { GuardEvent } from '../../model/event.js';
import type { Decision } from '../../model/shapes.js';
import { countedIn } from '../../model/snapshot.js';
import { stageAt } from '../../model/stage.js';
import { ALERT_PREFIX, describeControl } from '../../model/words/control-events.js';
import { withDeadline } from '../../support/deadline.js';
import { formatDate } from '../../support/wording.js';
import type { GuardContext } from '../context/guard-context.js';
import { ControlError } from '../control/control-error.js';
import { replaced, withAlert, withHold, withMute, withoutMute } from '../control/control-state.js';
import { type Evaluator, SHARED_OUTAGE } from '../evaluate/evaluator.js';
import type { GuardFleet } from '../guard-fleet.js';
import type { GuardMachine } from '../guard-machine.js';
import type { EffectRunner } from './effect-runner.js';
import type { StageAdvance } from './stage-advance.js';

/** How long `stop` waits until Unleash has confirmed it, in milliseconds. */
const CONFIRMED_WITHIN_MS = 10_000;

/** What was done, and how it changes what is in force. */
interface Done {
  readonly message: string;
  readonly change?: (state: ControlState) => ControlState;
  /** What is reported of it; `undefined` for nothing. Absent for a request of an operator, which always is. */
  readonly event?: GuardEvent | undefined;
}

/** Notes what is about to be done. `false` when it is no longer to be done here. */
type Begin = (request: ControlRequest) => Promise<boolean>;

/** What each request does, and when it is refused. */
export class ControlActions {
  readonly #context: GuardContext;
  readonly #machine: GuardMachine;
  readonly #runner: EffectRunner;
  readonly #evaluator: Evaluator;
  readonly #fleet: GuardFleet;
  /** Undefined in a dry run, and in a process that has no admin token. */
  readonly #advance: StageAdvance | undefined;

  constructor(
    context: GuardContext,
    machine: GuardMachine,
    runner: EffectRunner,
    evaluator: Evaluator,
    fleet: GuardFleet,
    advance: StageAdvance | undefined,
  ) {
    this.#context = context;
    this.#machine = machine;
    this.#runner = runner;
    this.#evaluator = evaluator;
    this.#fleet = fleet;
    this.#advance = advance;
  }

  /** Whether this guard, or an earlier run of it, has begun with the request: it is finished then, however late it is. */
  hasBegun({ id, step }: ControlRequest): boolean {
    const { state } = this.#machine;
    return step !== undefined || (state.status !== 'armed' && state.decision.id === id);
  }

  /** @throws ControlError when it is refused, AdminError when Unleash does not accept it. */
  async perform(request: ControlRequest, state: ControlState, begin: Begin): Promise<Done> {
    const { control } = request;
    if (control.type === 'advance') return this.#moveOn(request, control, begin);
    if (control.type === 'alert') return this.#alert(request, control, state, begin);
    // Before anything is changed: what is begun is not withdrawn.
    const done = control.type === 'stop' ? {} : this.#check(control, state);
    if (!(await begin(request))) throw withdrawn();
    if (control.type === 'stop') return this.#stop(request.id, control);
    if (control.type === 'acknowledge') this.#acknowledge(control.trigger);
    return { ...done, message: `${describeControl(control)}${this.#remark(control, state)}` };
  }

  #check(
    control: Exclude<Control, { type: 'stop' | 'advance' }>,
    state: ControlState,
  ): Omit<Done, 'message'> {
    const check = this.#checks[control.type] as (
      control: Control,
      state: ControlState,
    ) => Omit<Done, 'message'>;
    return check(control, state);
  }

  readonly #checks: {
    readonly [Type in Exclude<ControlType, 'stop' | 'advance'>]: (
      control: Extract<Control, { type: Type }>,
      state: ControlState,
    ) => Omit<Done, 'message'>;
  } = {
    hold: ({ by, reason }) => {
      const since = this.#context.clock.now();
      return { change: (state) => withHold(state, { since, by, reason }) };
    },
    resume: (_, { hold }) => {
      if (hold === undefined) throw new ControlError('NOT_HELD', 'Automatic advance is not on hold.');
      return { change: (state) => withHold(state, undefined) };
    },
    acknowledge: ({ trigger }) => {
      // Another state, although nothing in it differs: so the fleet's next leader gets the reviews at once.
      if (this.#evaluator.openReviews.some((review) => review.trigger === trigger))
        return { change: (state) => ({ ...state }) };
      const open = this.#evaluator.openReviews.map((review) => review.trigger).join(', ') || 'none';
      throw new ControlError('NO_REVIEW', `${trigger} has no open review. Open: ${open}.`);
    },
    mute: ({ by, trigger, forMs, reason }, { alerts }) => {
      const { rollback, review, clock } = this.#context;
      const isOfAlert = (name: string) => alerts.some((alert) => alert.trigger === name);
      const names = [...rollback, ...review].map(({ name }) => name);
      if (!names.includes(trigger) && trigger !== SHARED_OUTAGE && !isOfAlert(trigger)) {
        throw new ControlError(
          'UNKNOWN_TRIGGER',
          `There is no trigger "${trigger}". The triggers: ${names.join(', ')}.`,
        );
      }
      const since = clock.now();
      return { change: (state) => withMute(state, { trigger, since, until: since + forMs, by, reason }) };
    },
    unmute: ({ trigger }, { mutes }) => {
      if (!mutes.some((mute) => mute.trigger === trigger)) {
        throw new ControlError('NOT_MUTED', `${trigger} is not muted.`);
      }
      return { change: (state) => withoutMute(state, trigger) };
    },
  };

  /** What an operator may not expect. */
  #remark(control: Control, state: ControlState): string {
    const { advance, rollback, clock } = this.#context;
    if (control.type === 'hold') {
      const manual =
        advance === 'manual' ? ' The guard moves no percentage anyway (advance is "manual").' : '';
      return `${replaced('hold', state.hold, clock.now())}${manual}`;
    }
    if (control.type !== 'mute') return '';
    const before = state.mutes.find(({ trigger }) => trigger === control.trigger);
    const until = ` It acts again from ${formatDate(clock.now() + control.forMs)} on.${replaced('mute', before, clock.now())}`;
    const isLast = rollback.every(
      ({ name, dryRun }) =>
        dryRun === true || name === control.trigger || this.#evaluator.isMuted(name, clock.now()),
    );
    return isLast ? `${until} Until then every rollback trigger is muted: nothing stops the flag.` : until;
  }

  // Alerts.

  /** The review is the evaluator's to open and to close. */
  async #alert(
    request: ControlRequest,
    alert: Alert,
    state: ControlState,
    begin: Begin,
  ): Promise<Done & { readonly event: GuardEvent | undefined }> {
    const { clock, dryRun } = this.#context;
    const at = clock.now();
    const { change } = withAlert(state, alert, at);
    const name = alert.trigger.slice(ALERT_PREFIX.length);
    if (change === 'full') {
      throw new ControlError('TOO_MANY_ALERTS', `Too many alerts fire at once: ${name} was not taken.`);
    }
    if (!(await begin(request))) throw withdrawn();
    const event: GuardEvent | undefined = change === 'known' ? undefined : { type: 'alert', at, alert };
    const changed = { event, change: (latest: ControlState) => withAlert(latest, alert, at).state };
    if (change === 'known')
      return { ...changed, message: `${name}: nothing has changed since it was reported.` };
    if (change === 'resolved') return { ...changed, message: `${name} is resolved.` };
    const isMuted = this.#evaluator.isMuted(alert.trigger, at);
    if (isMuted) return { ...changed, message: `${name} fires; it is muted, and does nothing.` };
    if (alert.action === 'review') {
      const does = alert.dryRun ? 'would open a review (dry run)' : 'opens a review';
      return { ...changed, message: `${name} fires: it ${does}.` };
    }
    const isDryRun = dryRun || alert.dryRun === true;
    const { message } = await this.#stop(request.id, stopOf(alert), isDryRun);
    return { ...changed, message: isDryRun ? message : `${name} fires. ${message}` };
  }

  #acknowledge(trigger: string): void {
    this.#evaluator.acknowledge(trigger);
    this.#machine.save();
  }

  // Stop.

  async #stop(
    id: string,
    { by, reason }: Pick<Extract<Control, { type: 'stop' }>, 'by' | 'reason'>,
    dryRun = this.#context.dryRun,
  ): Promise<Done> {
    const { state } = this.#machine;
    const { flagKey, clock } = this.#context;
    if (state.status !== 'armed' && state.decision.action === 'stop') {
      const how = state.status === 'stopped' ? 'is stopped' : 'is being stopped';
      return { message: `${flagKey} ${how} already: ${state.decision.reason}` };
    }
    const decision = this.#decision(id, by, reason, dryRun);
    const confirmed = this.#confirmed(id);
    this.#runner.dispatch({ type: 'stop-requested', at: clock.now(), decision });
    if (dryRun) return { message: `Dry run: the stop of ${flagKey} is recorded, and nothing was changed.` };
    return { message: await confirmed };
  }

  #decision(id: string, by: string, reason: string, dryRun: boolean): Decision {
    const { flagKey, flags, clock } = this.#context;
    const { total } = this.#fleet.evaluated.snapshot(clock.now());
    return {
      id,
      flagKey,
      action: 'stop',
      dryRun,
      at: clock.now(),
      epoch: this.#machine.epoch,
      rolloutPercentage: flags.flag(flagKey)?.rolloutPercentage,
      requestedBy: by,
      verdicts: [],
      ...countedIn(total),
      reason: `${by} stopped it: ${reason}`,
    };
  }

  /** How the stop stands when Unleash has confirmed or refused it, or after a while. */
  async #confirmed(id: string): Promise<string> {
    const { flagKey, records } = this.#context;
    const here = `${flagKey} is off in this process, and not in Unleash yet; the guard keeps trying.`;
    let stopListening = () => {};
    const answer = new Promise<string>((resolve) => {
      stopListening = records.listen((event) => {
        if (!('decisionId' in event) || event.decisionId !== id) return;
        if (event.type === 'stopped') resolve(`${flagKey} is off in Unleash.`);
        if (event.type === 'stop-failed') resolve(`${here} ${event.failure.message}`);
      });
    });
    return withDeadline(CONFIRMED_WITHIN_MS, undefined, () => answer)
      .catch(() => here)
      .finally(stopListening);
  }

  // Advance.

  async #moveOn(
    request: ControlRequest,
    control: Extract<Control, { type: 'advance' }>,
    begin: Begin,
  ): Promise<Done> {
    const { flagKey, stages } = this.#context;
    const step = request.step ?? this.#nextStep(control.force === true);
    if (!(await begin({ ...request, step }))) throw withdrawn();
    const index = stageAt(stages, step.from)?.index ?? -1;
    const moved = await this.#move(step, control.by, index);
    if (moved === 'refused') {
      throw new ControlError(
        'MOVED',
        `Unleash does not have ${flagKey} on at ${step.from} % with exactly one gradual rollout: nothing was changed.`,
      );
    }
    const before = moved === 'there' ? ' (it was there already)' : '';
    return { message: `${flagKey} is at ${step.to} % in Unleash${before}.` };
  }

  async #move(step: PercentageStep, by: string, index: number): Promise<'moved' | 'there' | 'refused'> {
    this.#checkArmed();
    const { epoch } = this.#machine;
    try {
      return await this.#advancing().move(step, epoch, by, index);
    } catch (error) {
      // A stop has ended the request.
      this.#checkArmed();
      throw error;
    }
  }

  /** @throws ControlError when there is none to go. */
  #nextStep(isForced: boolean): PercentageStep {
    const { flagKey, flags, stages, dryRun } = this.#context;
    if (dryRun) throw new ControlError('DRY_RUN', 'This is a dry run: the guard moves no percentage.');
    this.#checkArmed();
    if (stages.length === 0) throw new ControlError('NO_STAGES', 'The guard was given no stages.');
    this.#advancing();
    const flag = flags.flag(flagKey);
    if (flag === undefined) throw new ControlError('FLAG_OFF', `Unleash has no flag ${flagKey} here.`);
    if (!flag.enabled) throw new ControlError('FLAG_OFF', `${flagKey} is off in Unleash.`);
    const current = stageAt(stages, flag.rolloutPercentage);
    if (current === undefined) {
      const where =
        flag.rolloutPercentage === undefined ? 'no single percentage' : `${flag.rolloutPercentage} %`;
      const plan = stages.map(({ percentage }) => `${percentage} %`).join(', ');
      throw new ControlError(
        'NO_STAGE',
        `${flagKey} has ${where}, which is no stage's. The stages: ${plan}.`,
      );
    }
    const next = stages[current.index + 1];
    const from = current.stage.percentage;
    if (next === undefined) {
      throw new ControlError('LAST_STAGE', `${from} % is the last stage: there is no next one.`);
    }
    if (!isForced) this.#checkMet(current.index, from);
    return { from, to: next.percentage };
  }

  #checkMet(index: number, percentage: number): void {
    const { stage } = this.#evaluator;
    if (stage?.index === index && stage.status === 'met') return;
    const why = stage?.index === index ? stage.message : 'It has not been evaluated yet.';
    throw new ControlError('NOT_MET', `The stage at ${percentage} % is not met: ${why} It can be forced.`);
  }

  #checkArmed(): void {
    const { state } = this.#machine;
    if (state.status === 'armed') return;
    throw new ControlError('STOPPED', `${this.#context.flagKey} is stopped: ${state.decision.reason}`);
  }

  #advancing(): StageAdvance {
    if (this.#advance !== undefined) return this.#advance;
    throw new ControlError('NO_TOKEN', 'This process has no admin token, and cannot change Unleash.');
  }
}

function withdrawn(): ControlError {
  return new ControlError(
    'NO_REPLY',
    'The request was withdrawn, or another process leads the fleet by now.',
  );
}

/** An alert's stop. It blames no arm: an alert does not know of arms. */
export function stopOf({ by, reason }: Alert): { readonly by: string; readonly reason: string } {
  return { by: `An alert from ${by}`, reason };
}
