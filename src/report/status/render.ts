import { ARMS, type Verdict } from '../../model/shapes.js';
import type { StageProgress } from '../../model/stage.js';
import { formatQuantity, formatSpan, verdictWord } from '../../support/wording.js';
import { formatCount, formatLatency, formatShare, formatTime, rolloutWord } from '../format.js';
import { padded, printable, widthOf } from '../terminal/text.js';
import type { RolloutStatus } from './rollout-status.js';

/** The guards of one folder for a terminal, one after the other. */
export function renderStatuses(statuses: readonly RolloutStatus[], now: number): string {
  const [only] = statuses;
  if (only !== undefined && statuses.length === 1) return renderStatus(only, now);
  return statuses
    .map((status) => `${'Folder'.padEnd(10)}${printable(status.folder)}\n${renderStatus(status, now)}`)
    .join('\n\n');
}

/** The guards of one folder in one line. */
export function statusLineOf(statuses: readonly RolloutStatus[]): string {
  return statuses.map(statusLine).join(' || ');
}

/** A status as a table for a terminal; nothing in it can control the terminal. */
export function renderStatus(status: RolloutStatus, now: number): string {
  const { since, stage, openReviews, decision, lastOutcomeAt, lastEventAt, lastFault } = status;
  const ago = (at: number) => `${formatSpan(Math.max(0, now - at))} ago`;
  const state = `${status.state}${since === undefined ? '' : ` since ${formatTime(since)}, ${ago(since)}`}`;
  const rows: [string, string][] = [
    ['Flag', status.flagKey ?? 'unknown'],
    ['Guard', status.isClosed ? `closed: nothing protects the flag (it was ${state})` : state],
    ['Rollout', rolloutText(status)],
  ];
  if (!status.isClosed) {
    for (const { code, message, since: at } of status.health?.reasons ?? []) {
      rows.push(['Blind', `${code} since ${formatTime(at)}, ${ago(at)}: ${message}`]);
    }
  }
  if (stage !== undefined) rows.push(['Stage', `${stage.status}: ${stageTextOf(status, stage)}`]);
  for (const { since: at, by, reason } of holdsOf(status))
    rows.push(['Hold', `by ${by} (${ago(at)}): ${reason}`]);
  for (const { verdict, openedAt } of openReviews) {
    rows.push(['Review', `${verdict.trigger}: ${verdict.message} (open since ${formatTime(openedAt)})`]);
  }
  for (const { at, text } of status.openProblems) rows.push(['Problem', `${text} (${ago(at)})`]);
  if (decision !== undefined) {
    const { dryRun, at, reason } = decision.decision;
    rows.push([dryRun ? 'Dry run' : 'Decision', `${formatTime(at)}: ${reason}`]);
    if (status.state === 'stopping') {
      const failure = decision.actionRequired ?? decision.failures.at(-1)?.message;
      rows.push(['', failure ?? 'Waiting for Unleash to confirm.']);
    }
  }
  if (lastOutcomeAt !== undefined) rows.push(['Outcome', `last ${ago(lastOutcomeAt)}`]);
  if (lastEventAt !== undefined) rows.push(['Event', `last ${ago(lastEventAt)}`]);
  if (lastFault !== undefined) rows.push(['Fault', `${formatTime(lastFault.at)}: ${lastFault.text}`]);
  for (const problem of status.problems) rows.push(['Problem', problem]);
  const lines = rows.map(([name, value]) => `${name.padEnd(10)}${printable(value)}`);
  return [...lines, ...armTable(status)].join('\n');
}

/** A status in one line, which stays the same until something important changes. */
export function statusLine(status: RolloutStatus): string {
  const { stage, openReviews, openProblems, decision } = status;
  const problems = openProblems.map(({ type }) => type).join(', ');
  const open = openReviews.map(({ verdict }) => verdict.trigger).join(', ');
  const blind = status.health?.reasons.map(({ code }) => code).join(', ');
  const parts = [
    `${status.flagKey ?? 'unknown flag'} ${status.state}`,
    rolloutText(status),
    !status.isClosed && blind && `blind: ${blind}`,
    stage && `stage ${stage.status}`,
    open && `open reviews: ${open}`,
    problems && `problems: ${problems}`,
    status.isClosed && 'the guard is closed',
    status.state !== 'armed' && decision?.decision.reason,
  ];
  return printable(parts.filter(Boolean).join(' | '));
}

function rolloutText({ rollout, epoch }: RolloutStatus): string {
  const word = rollout === undefined ? 'not known yet' : rolloutWord(rollout);
  return epoch === undefined ? word : `${word}, epoch ${epoch}`;
}

/** What the stage still needs now, where the guard says so. */
export function stageTextOf({ view }: Pick<RolloutStatus, 'view'>, stage: StageProgress): string {
  const isSame = view?.stage?.index === stage.index && view.stage.status === stage.status;
  return (isSame ? view.stageText : undefined) ?? stage.message;
}

function holdsOf({ view, isClosed }: RolloutStatus) {
  return view?.controls.hold === undefined || isClosed ? [] : [view.controls.hold];
}

/** Both arms since the epoch began, and what each trigger observed. */
function armTable({ view }: RolloutStatus): string[] {
  if (view === undefined) return [];
  const rows = ARMS.map((arm) => {
    const { counts, p50Ms, p95Ms } = view.arms[arm];
    const trials = counts.successes + counts.failures;
    const rate = trials === 0 ? undefined : counts.successes / trials;
    return [arm, formatCount(trials), formatShare(rate), formatLatency(p50Ms), formatLatency(p95Ms)];
  });
  const lines = [['', 'outcomes', 'success', 'p50', 'p95'], ...rows].map(([name = '', ...cells]) =>
    [name.padEnd(10), ...cells.map((cell) => cell.padStart(12))].join(''),
  );
  const width = Math.max(10, ...view.triggers.map(({ name }) => widthOf(printable(name))));
  const triggers = view.triggers.map(
    ({ name, verdict, evidence, dryRun }) =>
      `${padded(printable(name), width)}  ${printable(triggerText(verdict))}${dryRun ? ', dry run' : ''}${evidence === undefined ? '' : `, evidence ${Math.floor(evidence * 100)} %`}`,
  );
  return ['', ...lines, ...(triggers.length === 0 ? [] : ['', ...triggers])];
}

/** `ok: 99.2 %, threshold 95 %` */
export function triggerText(verdict: Verdict | undefined): string {
  if (verdict === undefined) return 'not evaluated yet';
  const { observed, threshold, unit } = verdict;
  const word = verdictWord(verdict);
  if (observed === undefined) return word;
  return `${word}: ${formatQuantity(observed, unit, threshold)}, threshold ${formatQuantity(threshold, unit)}`;
}
