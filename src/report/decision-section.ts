import { ERROR_TYPE } from '../model/concentration.js';
import { ARMS, type Concentration, type Verdict } from '../model/shapes.js';
import {
  formatCount,
  formatDuration,
  formatEvidence,
  verdictFigures,
  whySuperseded,
} from '../support/wording.js';
import { formatPercentage, formatShare, formatTime } from './format.js';
import type { DecisionReport, RolloutReport } from './rollout-report.js';
import type { Section, Table } from './section.js';

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
      // An operator needs no evidence.
      ...(verdicts.length === 0 ? [] : [breachTable(verdicts), ...evidenceTables(verdicts)]),
      {
        caption: `Counts since epoch ${epoch} began`,
        head: ['', 'Successes', 'Failures', 'Critical', 'Fallbacks', 'Not counted'],
        rows: countRows,
      },
    ],
  };
}

function breachTable(verdicts: readonly Verdict[]): Table {
  return {
    caption: 'Evidence: the triggers that breached',
    head: ['Trigger', 'Observed', 'Threshold', 'Treatment', 'Control', 'Window', 'Newest data'],
    rows: verdicts.map(verdictRow),
  };
}

/** What the sequential tests rest on, and where the treatment fails; nothing for point rules. */
function evidenceTables(verdicts: readonly Verdict[]): Table[] {
  const tested = verdicts.flatMap(({ trigger, evidence }) =>
    evidence === undefined ? [] : [{ trigger, evidence }],
  );
  const failing = verdicts.find((verdict) => (verdict.failing?.length ?? 0) > 0)?.failing ?? [];
  return [
    ...(tested.length === 0
      ? []
      : [
          {
            caption: 'Since the harm most likely began',
            head: ['Trigger', 'Since', 'Treatment', 'Control', 'Counted by', 'E', 'Limit of E'],
            rows: tested.map(({ trigger, evidence: { since, treatment, control, basis, e, threshold } }) => [
              trigger,
              since === undefined ? 'the rollout began' : formatTime(since),
              shareOf(treatment.failures, treatment.trials),
              shareOf(control.failures, control.trials),
              basis,
              formatEvidence(e),
              formatEvidence(threshold),
            ]),
          },
        ]),
    ...(failing.length === 0 ? [] : [concentrationTable(failing)]),
  ];
}

/** Values that failing users have more often than others. */
export function concentrationTable(failing: readonly Concentration[]): Table {
  return {
    caption: 'Where the treatment fails',
    head: ['Of failing units', 'Treatment', 'Control', 'Other outcomes'],
    rows: failing.map(({ attribute, value, treatment, control, others }) => [
      `${attribute}: ${value}`,
      shareOf(treatment.count, treatment.of),
      shareOf(control.count, control.of),
      attribute === ERROR_TYPE ? '–' : shareOf(others.count, others.of),
    ]),
  };
}

/** `14.06 % (9 of 64)` */
function shareOf(part: number, whole: number): string {
  return whole === 0 ? '–' : `${formatShare(part / whole)} (${formatCount(part)} of ${formatCount(whole)})`;
}

function actionWord({ dryRun, action }: DecisionReport['decision']): string {
  if (dryRun) return 'Dry run: would have stopped';
  return action === 'stop' ? 'Stopped' : 'Stepped back';
}

function verdictRow(verdict: Verdict): string[] {
  const { trigger, sampleSize, windowMs, freshnessMs } = verdict;
  const { observed = '–', threshold } = verdictFigures(verdict);
  // A signal has no window and counts no outcomes.
  const isSignal = windowMs === 0;
  return [
    trigger,
    observed,
    threshold,
    ...(isSignal
      ? ['–', '–', '–']
      : [formatCount(sampleSize.treatment), formatCount(sampleSize.control), formatDuration(windowMs)]),
    freshnessMs === undefined ? '–' : `${formatDuration(freshnessMs)} old`,
  ];
}

/** Who acted, and when, in the order in which it happened. */
function whatFollowed(entry: DecisionReport): string {
  const { decision, stoppedHereAt, stoppedInUnleashAt, failures } = entry;
  const { actionRequired, steppedBackAt, turnedOffBy, reArmedAt, supersededAt, replacedBy } = entry;
  if (decision.dryRun) return 'It was a dry run: nothing was changed.';
  const after = (at: number) => `after ${formatDuration(Math.max(0, at - decision.at))}`;
  const sentences = [
    stoppedHereAt !== undefined && `The flag was off in the guard's process ${after(stoppedHereAt)}.`,
    ...failures.map(({ at, code, message }) => {
      const what = `A request to Unleash failed ${after(at)} (${code})`;
      return message === actionRequired ? `${what}.` : `${what}: ${message}`;
    }),
    actionRequired !== undefined &&
      `${stoppedInUnleashAt === undefined ? 'An operator must act' : 'An operator had to act'}: ${actionRequired}`,
    supersededAt === undefined || steppedBackAt !== undefined || stoppedInUnleashAt !== undefined
      ? howItEnded(entry, after)
      : false,
    supersededAt !== undefined && `It ended ${after(supersededAt)}. ${whySuperseded(replacedBy)}`,
    turnedOffBy !== undefined && `Turned off by, in Unleash's history: ${turnedOffBy}.`,
    reArmedAt !== undefined &&
      supersededAt === undefined &&
      steppedBackAt === undefined &&
      `${entry.turnedOnBy ?? 'An operator'} turned the flag on again on ${formatTime(reArmedAt)}.`,
  ];
  return sentences.filter((sentence) => sentence !== false).join(' ');
}

function howItEnded(
  { decision, steppedBackAt, stoppedInUnleashAt, confirmedBy = 'definition' }: DecisionReport,
  after: (at: number) => string,
): string {
  if (steppedBackAt !== undefined) {
    return `The rollout was back at ${decision.toPercentage} % in Unleash ${after(steppedBackAt)}.`;
  }
  return stoppedInUnleashAt === undefined
    ? 'It has not been confirmed that the flag is off in Unleash.'
    : `The flag was off in Unleash ${after(stoppedInUnleashAt)} (${HOW[confirmedBy]}).`;
}

const HOW = {
  'read-back': 'read back from Unleash',
  definition: "seen in the provider's definition",
  fleet: 'reported by another process of the fleet',
  removed: 'archived or deleted',
} as const;
