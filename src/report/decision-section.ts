import { ARMS, type Verdict } from '../model/shapes.js';
import { formatDuration, formatRate, formatThreshold } from '../support/wording.js';
import { formatCount, formatTime } from './format.js';
import type { DecisionReport, RolloutReport } from './rollout-report.js';
import { type Section, section } from './section.js';

/** Every decision with its evidence and what followed. */
export function decisionSection({ decisions }: RolloutReport): Section {
  const none = decisions.length === 0 ? ['No trigger has fired.'] : [];
  return {
    ...section('decisions', 'Decisions', none),
    parts: decisions.map((entry, index) => decisionPart(entry, index)),
  };
}

function decisionPart(entry: DecisionReport, index: number): Section {
  const { decision } = entry;
  const where =
    decision.rolloutPercentage === undefined
      ? ''
      : ` at ${formatThreshold(decision.rolloutPercentage / 100)}`;
  const title = `${actionWord(decision)}${where}, ${formatTime(decision.at)}`;
  const counts = ARMS.map((arm) => {
    const { successes, failures, critical, fallbacks, expected, aborted } = decision.counts[arm];
    return [
      arm,
      ...[successes, failures, critical, fallbacks, expected + aborted].map((value) => formatCount(value)),
    ];
  });
  return {
    ...section(`decision-${index + 1}`, title, [decision.reason, whatFollowed(entry)]),
    tables: [
      {
        caption: 'Evidence: what the triggers said',
        head: VERDICT_HEAD,
        rows: decision.verdicts.map(verdictRow),
      },
      {
        caption: `Counts since epoch ${decision.epoch} began`,
        head: ['', 'Successes', 'Failures', 'Critical', 'Fallbacks', 'Not judged'],
        rows: counts,
      },
    ],
  };
}

function actionWord({ dryRun, action }: DecisionReport['decision']): string {
  if (dryRun) return 'Dry run: would have stopped';
  return action === 'stop' ? 'Stopped' : 'Went back';
}

const VERDICT_HEAD = ['Trigger', 'Observed', 'Threshold', 'Treatment', 'Control', 'Window', 'Newest data'];

function verdictRow(verdict: Verdict): string[] {
  const { trigger, observed, threshold, sampleSize, windowMs, freshnessMs } = verdict;
  // A signal counts no outcomes, and whether it is a rate nobody knows.
  const isSignal = windowMs === 0 && sampleSize.treatment + sampleSize.control === 0;
  const isRate = !isSignal && /rate/.test(trigger);
  return [
    trigger,
    observed === undefined ? '–' : isRate ? formatRate(observed, threshold) : plain(observed),
    isRate ? formatThreshold(threshold) : plain(threshold),
    ...(isSignal ? ['–', '–'] : [formatCount(sampleSize.treatment), formatCount(sampleSize.control)]),
    isSignal ? '–' : windowMs === 0 ? 'epoch' : formatDuration(windowMs),
    freshnessMs === undefined ? '–' : `${formatDuration(freshnessMs)} old`,
  ];
}

function plain(value: number): string {
  return String(Number(value.toPrecision(4)));
}

/** Who acted, and when, in the order in which it happened. */
function whatFollowed(entry: DecisionReport): string {
  const { decision, stoppedHereAt, stoppedInUnleashAt, confirmedBy, failures, actionRequired } = entry;
  if (decision.dryRun) return 'It was a dry run: nothing was done.';
  const after = (at: number) => formatDuration(Math.max(0, at - decision.at));
  const sentences: string[] = [];
  if (stoppedHereAt !== undefined) {
    sentences.push(`The guard stopped the flag in its process after ${after(stoppedHereAt)}.`);
  }
  for (const { at, code, message } of failures) {
    sentences.push(`Unleash did not take it after ${after(at)} (${code}): ${message}`);
  }
  if (actionRequired !== undefined) sentences.push(`A person was asked: ${actionRequired}`);
  if (entry.steppedBackAt !== undefined) {
    sentences.push(`Unleash was back at ${decision.toPercentage} % after ${after(entry.steppedBackAt)}.`);
  } else if (stoppedInUnleashAt === undefined) sentences.push('It is not known to be off in Unleash.');
  else {
    const how = HOW[confirmedBy ?? 'definition'];
    sentences.push(`It was off in Unleash after ${after(stoppedInUnleashAt)} (${how}).`);
  }
  if (entry.turnedOffBy !== undefined) {
    sentences.push(`Unleash's history names who turned it off: ${entry.turnedOffBy}.`);
  }
  if (entry.reArmedAt !== undefined && entry.steppedBackAt === undefined) {
    const who = entry.turnedOnBy ?? 'A person';
    sentences.push(`${who} turned it on again on ${formatTime(entry.reArmedAt)}.`);
  }
  return sentences.join(' ');
}

const HOW = {
  'read-back': 'read back',
  definition: 'seen in its definition',
  fleet: 'as another process of the fleet said',
} as const;
