import type { RolloutView, TriggerView } from '../../../model/rollout-view.js';
import {
  briefReason,
  formatSpan,
  NEXT_STEP,
  noOutcomeYet,
  notOffYet,
  verdictWord,
} from '../../../support/wording.js';
import { countText, percentageText, rateText } from './numbers.js';

/** How urgent something is. Each has a colour and a sign. */
export type Mood = 'good' | 'busy' | 'warn' | 'bad' | 'off';

/** Where a rollout stands, in a word and in a sentence. */
export interface Standing {
  readonly mood: Mood;
  readonly word: string;
  readonly sentence: string;
  /** The decision that the sentence is about. */
  readonly decisionId?: string;
}

/** What a reader must know first. The most urgent comes first. */
export function standingOf(view: RolloutView): Standing {
  const { state, flag } = view;
  if (state.status === 'stopping') return stopping(state);
  if (state.status === 'stopped') return stopped(state, view);
  if (view.isClosed) {
    return {
      mood: 'warn',
      word: 'Closed',
      sentence: 'The guard is closed: nothing protects the flag, and these numbers no longer change.',
    };
  }
  if (view.health.status === 'blind') {
    return {
      mood: 'bad',
      word: 'Blind',
      sentence: 'The guard cannot see, or cannot stop, what it guards. The reasons are below.',
    };
  }
  if (flag === undefined) {
    return {
      mood: 'warn',
      word: 'No flag',
      sentence: 'Unleash has no such flag: there is nothing to guard.',
    };
  }
  if (!flag.enabled) {
    return {
      mood: 'off',
      word: 'Off',
      sentence: 'The flag is off in Unleash: all users get the control. Turning it on begins a rollout.',
    };
  }
  return running(view);
}

function stopping(state: Extract<RolloutView['state'], { status: 'stopping' }>): Standing {
  const { decision, failure } = state;
  return {
    mood: 'bad',
    word: 'Stopping',
    sentence: `The service already gives all users the control. ${notOffYet(failure)} ${briefReason(decision)}`,
    decisionId: decision.id,
  };
}

function stopped(
  state: Extract<RolloutView['state'], { status: 'stopped' }>,
  { flag }: RolloutView,
): Standing {
  const { decision } = state;
  if (state.steppedBack) {
    return {
      mood: 'warn',
      word: 'Stepped back',
      sentence: `The guard went back to ${percentageText(decision.toPercentage ?? flag?.percentage)}. ${briefReason(decision)} ${NEXT_STEP.steppedBack}`,
      decisionId: decision.id,
    };
  }
  return {
    mood: 'bad',
    word: 'Stopped',
    sentence: `The flag is off, and all users get the control. ${briefReason(decision)} ${flag === undefined ? NEXT_STEP.gone : NEXT_STEP.stopped}`,
    decisionId: decision.id,
  };
}

function running(view: RolloutView): Standing {
  const where = atPercentage(view);
  const { state } = view;
  if (state.status === 'armed' && state.wouldHaveStopped !== undefined) {
    return {
      mood: 'warn',
      word: 'Would have stopped',
      sentence: `Dry run, nothing was changed: without it the flag would be off. ${briefReason(state.wouldHaveStopped)}`,
      decisionId: state.wouldHaveStopped.id,
    };
  }
  const reviews = view.openReviews.map(({ trigger }) => trigger);
  if (reviews.length > 0) {
    return {
      mood: 'warn',
      word: 'Needs review',
      sentence: `${where} An operator must check: ${reviews.join(', ')}. Nothing has been stopped. ${NEXT_STEP.review}`,
    };
  }
  if (view.problems.length > 0) {
    return {
      mood: 'warn',
      word: 'Needs attention',
      sentence: `${where} Something is wrong in Unleash, see below.`,
    };
  }
  const from = state.status === 'armed' ? state.steppedBackFrom : undefined;
  if (from !== undefined && view.flag?.percentage !== undefined && view.flag.percentage < from) {
    return {
      mood: 'warn',
      word: 'Stepped back',
      sentence: `${where} The guard took it back from ${percentageText(from)}. ${NEXT_STEP.steppedBack}`,
    };
  }
  if (view.isComplete) {
    return {
      mood: 'good',
      word: 'Complete',
      sentence: `${where} The last stage is met: the flag can be removed from the code.`,
    };
  }
  if (view.stage?.status === 'missed' || view.stage?.status === 'blocked') {
    const { status, message } = view.stage;
    return { mood: 'warn', word: `Stage ${status}`, sentence: `${where} ${view.stageText ?? message}` };
  }
  const missing = noOutcomeYet(view);
  if (missing !== undefined) {
    return { mood: 'busy', word: 'Waiting for data', sentence: `${where} ${missing}` };
  }
  if (view.stage?.status === 'met') {
    return { mood: 'good', word: 'Stage met', sentence: `${where} ${view.stage.message}` };
  }
  const muted = view.controls.mutes.length;
  const but = muted === 0 ? '' : ` ${muted === 1 ? 'One trigger is' : `${muted} triggers are`} muted.`;
  const need = stageNeedText(view);
  const next = need === '' ? '' : ` For the next stage: ${need.replace(/\.$/, '')}.`;
  const dryRuns = view.triggers
    .filter(({ dryRun, verdict }) => dryRun === true && verdict?.status === 'breach')
    .map(({ name }) => name);
  const found =
    dryRuns.length === 0
      ? 'No trigger is in breach.'
      : `No trigger that acts is in breach; in dry run: ${dryRuns.join(', ')}.`;
  return { mood: 'good', word: 'Running', sentence: `${where} ${found}${but}${next}` };
}

function atPercentage({ flag }: RolloutView): string {
  return flag?.percentage === undefined
    ? 'The flag is on, with no single percentage.'
    : `${percentageText(flag.percentage)} of users get the treatment.`;
}

/** `312 of 500 outcomes, about 40 min at this rate` */
export function stageNeedText({ stage, stageText, stageRemainingMs }: RolloutView): string {
  if (stageText !== undefined) return stageText;
  if (stage === undefined) return '';
  const { outcomes, successRate, status } = stage;
  const { minOutcomes, minSuccessRate } = stage.stage;
  const counted = `${countText(outcomes)} of ${countText(minOutcomes)} outcomes`;
  const rate = `${rateText(successRate)} succeed, ${rateText(minSuccessRate)} needed`;
  if (status === 'met' || status === 'missed' || status === 'blocked') return `${counted}, ${rate}`;
  return stageRemainingMs === undefined
    ? counted
    : `${counted}, about ${formatSpan(stageRemainingMs)} at this rate`;
}

/** A trigger's state, in a word. */
export function triggerStanding(
  trigger: TriggerView,
  mute: { until: number } | undefined,
): { mood: Mood; word: string } {
  const { verdict, severity, dryRun } = trigger;
  if (verdict?.status === 'breach') {
    const stops = severity === 'rollback' && dryRun !== true;
    return { mood: stops ? 'bad' : 'warn', word: 'breach' };
  }
  if (mute !== undefined) return { mood: 'off', word: 'muted' };
  if (verdict === undefined) return { mood: 'off', word: 'not enough data' };
  return { mood: verdict.status === 'ok' ? 'good' : 'off', word: verdictWord(verdict) };
}
