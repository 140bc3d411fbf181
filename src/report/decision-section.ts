import { ARMS, type Verdict } from '../model/shapes.js';
import { formatDuration, formatQuantity } from '../support/wording.js';
import { formatCount, formatPercentage, formatTime } from './format.js';
import type { DecisionReport, RolloutReport } from './rollout-report.js';
import type { Section } from './section.js';

/** Every decision with its evidence and what followed. */
export function decisionSection({ decisions }: RolloutReport): Section {
  return {
    id: 'decisions',
    title: 'Decisions',
    paragraphs: decisions.length === 0 ? ['No trigger has fired.'] : [],
    parts: decisions.map(decisionPart),
  };
}

function decisionPart(entry: DecisionReport, index: number): Section {
  const { at, epoch, rolloutPercentage, reason, verdicts, counts } = entry.decision;
  const where = rolloutPercentage === undefined ? '' : ` at ${formatPercentage(rolloutPercentage)}`;
  const countRows = ARMS.map((arm) => {
    const { successes, failures, critical, fallbacks, expected, aborted } = counts[arm];
    return [arm, ...[successes, failures, critical, fallbacks, expected + aborted].map(formatCount)];
  });
  return {
    id: `decision-${index + 1}`,
    title: `${actionWord(entry.decision)}${where}, ${formatTime(at)}`,
    paragraphs: [reason, whatFollowed(entry)],
    tables: [
      {
        caption: 'Evidence: the triggers that breached',
        head: ['Trigger', 'Observed', 'Threshold', 'Treatment', 'Control', 'Window', 'Newest data'],
        rows: verdicts.map(verdictRow),
      },
      {
        caption: `Counts since epoch ${epoch} began`,
        head: ['', 'Successes', 'Failures', 'Critical', 'Fallbacks', 'Not counted'],
        rows: countRows,
      },
    ],
  };
}

function actionWord({ dryRun, action }: DecisionReport['decision']): string {
  if (dryRun) return 'Dry run: would have stopped';
  return action === 'stop' ? 'Stopped' : 'Stepped back';
}

function verdictRow(verdict: Verdict): string[] {
  const { trigger, observed, threshold, unit, sampleSize, windowMs, freshnessMs } = verdict;
  // A signal has no window and counts no outcomes.
  const isSignal = windowMs === 0;
  return [
    trigger,
    observed === undefined ? '–' : formatQuantity(observed, unit, threshold),
    formatQuantity(threshold, unit),
    ...(isSignal
      ? ['–', '–', '–']
      : [formatCount(sampleSize.treatment), formatCount(sampleSize.control), formatDuration(windowMs)]),
    freshnessMs === undefined ? '–' : `${formatDuration(freshnessMs)} old`,
  ];
}

/** Who acted, and when, in the order in which it happened. */
function whatFollowed(entry: DecisionReport): string {
  const { decision, stoppedHereAt, stoppedInUnleashAt, confirmedBy, failures, actionRequired } = entry;
  if (decision.dryRun) return 'It was a dry run: nothing was changed.';
  const after = (at: number) => formatDuration(Math.max(0, at - decision.at));
  const sentences: string[] = [];
  if (stoppedHereAt !== undefined) {
    sentences.push(`The flag was off in the guard's process after ${after(stoppedHereAt)}.`);
  }
  for (const { at, code, message } of failures) {
    sentences.push(`A request to Unleash failed after ${after(at)} (${code}): ${message}`);
  }
  if (actionRequired !== undefined) sentences.push(`Action was required: ${actionRequired}`);
  if (entry.steppedBackAt !== undefined) {
    sentences.push(
      `The rollout was back at ${decision.toPercentage} % in Unleash after ${after(entry.steppedBackAt)}.`,
    );
  } else if (stoppedInUnleashAt === undefined) {
    sentences.push('It has not been confirmed that the flag is off in Unleash.');
  } else {
    const how = HOW[confirmedBy ?? 'definition'];
    sentences.push(`The flag was off in Unleash after ${after(stoppedInUnleashAt)} (${how}).`);
  }
  if (entry.turnedOffBy !== undefined) {
    sentences.push(`Turned off by, in Unleash's history: ${entry.turnedOffBy}.`);
  }
  if (entry.reArmedAt !== undefined && entry.steppedBackAt === undefined) {
    const who = entry.turnedOnBy ?? 'An operator';
    sentences.push(`${who} turned the flag on again on ${formatTime(entry.reArmedAt)}.`);
  }
  return sentences.join(' ');
}

const HOW = {
  'read-back': 'read back from Unleash',
  definition: "seen in the provider's definition",
  fleet: 'reported by another process of the fleet',
} as const;
