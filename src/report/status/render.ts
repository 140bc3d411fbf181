import { ARMS, type Verdict } from '../../model/shapes.js';
import type { StageProgress } from '../../model/stage.js';
import {
  briefReason,
  formatCount,
  formatSpan,
  NEXT_STEP,
  noOutcomeYet,
  notOffYet,
  STILL_ON,
  shownArms,
  verdictFigures,
  verdictWord,
} from '../../support/wording.js';
import { formatLatency, formatShare, formatTime, rolloutWord } from '../format.js';
import type { DecisionReport } from '../rollout-report.js';
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
  const isStillOn = status.state === 'stopping' && status.rollout?.enabled === true;
  const rows: [string, string][] = [
    ['Flag', flagText(status)],
    ['Guard', status.isClosed ? `closed: nothing protects the flag (it was ${state})` : state],
    ['Rollout', `${rolloutText(status)}${isStillOn ? ` (${STILL_ON})` : ''}`],
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
    const message = `${verdict.trigger}, open since ${formatTime(openedAt)}: ${verdict.message}`;
    rows.push(['Review', `${message} ${NEXT_STEP.review}`]);
  }
  for (const { at, text } of status.openProblems) rows.push(['Problem', `${text} (${ago(at)})`]);
  if (decision !== undefined) {
    const { dryRun, at, reason } = decision.decision;
    rows.push([dryRun ? 'Dry run' : 'Decision', `${formatTime(at)}: ${reason}`]);
    const sequel = sequelOf(status, decision);
    if (sequel !== undefined) rows.push(['', sequel]);
  }
  const missing = status.isClosed || status.view === undefined ? undefined : noOutcomeYet(status.view);
  if (missing !== undefined) rows.push(['Outcome', missing]);
  else if (lastOutcomeAt !== undefined) rows.push(['Outcome', `last ${ago(lastOutcomeAt)}`]);
  if (lastEventAt !== undefined) rows.push(['Event', `last ${ago(lastEventAt)}`]);
  if (lastFault !== undefined) rows.push(['Fault', `${formatTime(lastFault.at)}: ${lastFault.text}`]);
  for (const problem of status.problems) rows.push(['Problem', problem]);
  const lines = rows.map(([name, value]) => `${name.padEnd(10)}${printable(value)}`);
  return [...lines, ...armTable(status)].join('\n');
}

/** What became of the last decision, and what an operator does next. */
export function sequelOf(
  status: Pick<RolloutStatus, 'state' | 'view' | 'rollout' | 'epoch'>,
  decision: DecisionReport,
): string | undefined {
  const { state, view } = status;
  const { steppedBackAt, reArmedAt, turnedOnBy } = decision;
  if (decision.decision.dryRun) return 'Nothing was changed.';
  if (steppedBackAt !== undefined) return NEXT_STEP.steppedBack;
  if (state === 'armed') {
    const by = turnedOnBy === undefined ? '' : ` by ${turnedOnBy}`;
    const at = reArmedAt === undefined ? '' : ` on ${formatTime(reArmedAt)}`;
    return `It is over: the flag was turned on again${by}${at}.`;
  }
  if (state === 'stopped') return isFlagGone(status) ? NEXT_STEP.gone : NEXT_STEP.stopped;
  // The audit log has each cause once, and the guard's view the latest.
  const isSame = view?.state.status === 'stopping' && view.state.decision.id === decision.decision.id;
  return notOffYet(isSame ? view.state.failure : failureOf(decision));
}

/** The last of its failures, as far as it was recorded. */
function failureOf({ actionRequired, failures }: DecisionReport) {
  const last = failures.at(-1);
  if (actionRequired !== undefined) return { message: actionRequired, requiresAction: true };
  return last && { message: last.message, requiresAction: false };
}

/** A status in one line, which stays the same until something important changes. */
export function statusLine(status: RolloutStatus): string {
  const { stage, openReviews, openProblems, decision } = status;
  const problems = openProblems.map(({ type }) => type).join(', ');
  const open = openReviews.map(({ verdict }) => verdict.trigger).join(', ');
  const blind = status.health?.reasons.map(({ code }) => code).join(', ');
  const failure = status.state === 'stopping' ? decision?.failures.at(-1) : undefined;
  const parts = [
    `${status.flagKey ?? 'unknown flag'} ${stateWord(status)}`,
    rolloutText(status),
    !status.isClosed && blind && `blind: ${blind}`,
    stage && `stage ${stage.status}`,
    ...holdsOf(status).map(({ by }) => `on hold by ${by}`),
    open && `open reviews: ${open}`,
    problems && `problems: ${problems}`,
    status.isClosed && 'the guard is closed',
    failure && `not off in Unleash yet: ${failure.code}`,
    decision !== undefined && isCurrent(status, decision) && briefReason(decision.decision),
  ];
  return printable(parts.filter(Boolean).join(' | '));
}

/** A state in a word or two: that of a dry run would have another name without it. */
function stateWord({ state, view }: RolloutStatus): string {
  if (view?.dryRun !== true || state !== 'armed') return state;
  return view.state.status === 'armed' && view.state.wouldHaveStopped !== undefined
    ? 'would be stopped (dry run)'
    : 'armed (dry run)';
}

/** Whether a flag that was there is not sent to the service any more: no user gets it. */
export function isFlagGone({
  rollout,
  epoch,
  view,
}: Pick<RolloutStatus, 'rollout' | 'epoch' | 'view'>): boolean {
  return rollout !== undefined && view !== undefined && view.epoch === epoch && view.flag === undefined;
}

/** Whether the last decision is about the rollout as it is now. */
function isCurrent({ state, view }: RolloutStatus, { decision }: DecisionReport): boolean {
  if (state !== 'armed') return true;
  return view?.state.status === 'armed' && view.state.wouldHaveStopped?.id === decision.id;
}

/** The same flag may be guarded in several environments. */
function flagText({ flagKey = 'unknown', view }: RolloutStatus): string {
  return view === undefined ? flagKey : `${flagKey} (${view.environment}, project ${view.project})`;
}

function rolloutText(status: RolloutStatus): string {
  const { rollout, epoch } = status;
  if (isFlagGone(status)) return 'no such flag for the service, all users get the control';
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
  const { arms, decidedAt } = shownArms(view);
  const rows = ARMS.map((arm) => {
    const { counts, p50Ms, p95Ms } = arms[arm];
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
  if (decidedAt !== undefined) lines.unshift('When it was decided:');
  return ['', ...lines, ...(triggers.length === 0 ? [] : ['', ...triggers])];
}

/** `ok: 99.2 %, threshold 95 %` */
export function triggerText(verdict: Verdict | undefined): string {
  if (verdict === undefined) return 'not evaluated yet';
  const { observed, threshold } = verdictFigures(verdict);
  const word = verdictWord(verdict);
  return observed === undefined ? word : `${word}: ${observed}, threshold ${threshold}`;
}
