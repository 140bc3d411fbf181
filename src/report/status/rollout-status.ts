import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { SharedRollout } from '../../fleet/shared-rollout.js';
import { AUDIT_FILE } from '../../journal/audit-log.js';
import { readAuditLog } from '../../journal/audit-reader.js';
import { foldersIn } from '../../journal/guard-folder.js';
import { JOURNAL_FILE, Journal, type JournalEntry } from '../../journal/journal.js';
import { agedView, VIEW_FILE, ViewFile } from '../../journal/view-file.js';
import type { RolloutChange } from '../../model/event-entry.js';
import type { Health } from '../../model/health.js';
import type { RolloutView } from '../../model/rollout-view.js';
import { ARMS } from '../../model/shapes.js';
import type { StageProgress } from '../../model/stage.js';
import type { GuardState } from '../../model/state.js';
import { messageOf } from '../../support/async/callbacks.js';
import { type Clock, systemClock } from '../../support/clock.js';
import { describeError, UnusableFileError, unlessMissing } from '../../support/files.js';
import { formatNames } from '../../support/wording.js';
import { AuditStory } from '../audit-story.js';
import { storyOfFleet } from '../read/rollout-records.js';
import type { DecisionReport, Note, ReviewReport } from '../rollout-report.js';

/** Where a rollout stands, as the folder of its guard shows it. Times are milliseconds since 1970. */
export interface RolloutStatus {
  /** Where the guard writes; of a fleet, its Redis. */
  readonly folder: string;
  readonly flagKey: string | undefined;
  readonly state: GuardState['status'];
  /** Since when; undefined when only the audit log is there. */
  readonly since: number | undefined;
  /** Whether the guard can do its work, as it wrote last. Silence for a minute is `blind`. */
  readonly health: Health | undefined;
  readonly epoch: number | undefined;
  /** What Unleash showed last. */
  readonly rollout: RolloutChange | undefined;
  /** How far the current stage has come, now; undefined after a stop. */
  readonly stage: StageProgress | undefined;
  readonly openReviews: readonly ReviewReport[];
  /** The last decision, if any, and what became of it. */
  readonly decision: DecisionReport | undefined;
  /** Everything of now, as the guard wrote it last; undefined when there is none, or of another version. */
  readonly view: RolloutView | undefined;
  readonly lastOutcomeAt: number | undefined;
  readonly lastEventAt: number | undefined;
  /** The guard was closed and has not been started since: nothing protects the flag. */
  readonly isClosed: boolean;
  /** What keeps the guard from its work now: the admin API or its token, or a flag that is missing. */
  readonly openProblems: readonly Note[];
  /** The last thing that did not work, beside the stop itself. */
  readonly lastFault: Note | undefined;
  /** Files that cannot be read, and why. */
  readonly problems: readonly string[];
}

/** A folder in which no guard has written. */
export class NoGuardError extends Error {
  override readonly name = 'NoGuardError';
  readonly code = 'NO_GUARD';
}

/** A folder whose guard's files cannot be read. */
class UnreadableGuardError extends Error {
  override readonly name = 'UnreadableGuardError';
  readonly code = 'UNREADABLE_GUARD';
}

/**
 * Reads where the guards of a folder stand: the guard that has the folder itself, and those that have folders within it. They may
 * be running.
 *
 * @returns at least one.
 * @throws as {@link readRolloutStatus}, when there is none that can be read.
 */
export async function readRolloutStatuses(folder: string): Promise<readonly RolloutStatus[]> {
  const read = await Promise.allSettled((await foldersIn(folder)).map((each) => readRolloutStatus(each)));
  const statuses = read.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
  const failures = read.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  const unreadable = failures.filter((error) => !(error instanceof NoGuardError));
  const [first, ...others] = statuses;
  if (first === undefined) throw unreadable[0] ?? failures[0];
  const problems = unreadable.map(messageOf);
  return [{ ...first, problems: [...first.problems, ...problems] }, ...others];
}

/**
 * Reads where a rollout stands. The guard may be running.
 *
 * @param clock - Shows how old the guard's last sign of life is.
 * @throws {@link NoGuardError} when the folder contains neither a journal nor an audit log;
 *   {@link UnreadableGuardError} when neither can be used and one of the files cannot be read.
 */
export async function readRolloutStatus(
  folder: string,
  clock: Pick<Clock, 'now'> = systemClock,
): Promise<RolloutStatus> {
  const problems: string[] = [];
  const attempt = async <T>(file: string, read: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await read();
    } catch (error) {
      const why = error instanceof UnusableFileError ? error.reason : describeError(error);
      problems.push(`${file}: ${why}`);
      return undefined;
    }
  };
  const journal = await attempt(JOURNAL_FILE, () => new Journal(folder).load());
  const story = new AuditStory();
  await attempt(AUDIT_FILE, async () => {
    for await (const event of readAuditLog(join(folder, AUDIT_FILE))) story.add(event);
  });
  const view = await attempt(VIEW_FILE, () => new ViewFile(folder).load());
  if (journal === undefined && story.events === 0 && view === undefined) {
    if (problems.length === 0) {
      throw new NoGuardError(await whyNoGuard(folder));
    }
    throw new UnreadableGuardError(
      `The files of the guard in ${folder} cannot be read: ${problems.join('; ')}.`,
    );
  }
  return statusOf({ folder, journal, story, view: view && agedView(view, clock.now()), problems });
}

/** Guards that a message names. */
const MAX_NAMED = 5;

/** An operator in a hurry gives the folder above, or a misspelled one. */
async function whyNoGuard(folder: string): Promise<string> {
  const entries = await unlessMissing(readdir(folder, { withFileTypes: true }));
  if (entries === undefined) return `There is no folder ${folder}.`;
  const below = entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(folder, name));
  const isGuards = await Promise.all(below.map(hasGuard));
  const guards = below.filter((_, index) => isGuards[index]).sort();
  return guards.length === 0
    ? `${folder} contains neither ${JOURNAL_FILE} nor ${AUDIT_FILE}.`
    : `No guard writes to ${folder} itself. Guards write to ${formatNames(guards, MAX_NAMED)}.`;
}

async function hasGuard(folder: string): Promise<boolean> {
  const names: readonly string[] = await readdir(folder).catch(() => []);
  return [JOURNAL_FILE, VIEW_FILE, AUDIT_FILE].some((file) => names.includes(file));
}

/**
 * Reads where the rollout of a fleet stands, as its leader saved it.
 *
 * @param name - Shown in place of the folder.
 * @throws {@link NoGuardError} when there is none; FleetError.
 */
export async function readFleetStatus(
  name: string,
  flagKey: string,
  rollout: SharedRollout,
): Promise<RolloutStatus> {
  const [shared, story] = await Promise.all([rollout.view(), storyOfFleet(flagKey, rollout)]);
  if (shared === undefined && story.events === 0) throw new NoGuardError(`No leader has written to ${name}.`);
  const view = shared && agedView(shared.view, shared.now);
  // A leader that has ended may have reported a problem whose end no other one reports.
  if (view?.problems.length === 0) story.problems.clear();
  return statusOf({ folder: name, journal: undefined, story, view, problems: [] });
}

/** What is known of a rollout. */
interface StatusFacts {
  readonly folder: string;
  readonly journal: JournalEntry | undefined;
  readonly story: AuditStory;
  /** As of now. */
  readonly view: RolloutView | undefined;
  readonly problems: readonly string[];
}

function statusOf({ folder, journal, story, view, problems }: StatusFacts): RolloutStatus {
  const decision = lastDecision(story, journal?.state ?? view?.state);
  const epoch = journal?.epoch ?? view?.epoch ?? story.rollout.at(-1)?.epoch;
  // After a crash, the journal may be of a later time than the view.
  const now = view?.epoch === epoch ? view : undefined;
  const state = journal?.state.status ?? view?.state.status ?? stateOf(decision);
  const stage =
    now === undefined ? story.stages.findLast((stage) => stage.epoch === epoch)?.progress : now.stage;
  return {
    folder,
    flagKey: journal?.flagKey ?? view?.flagKey ?? story.flagKey,
    state,
    since: journal?.state.since ?? view?.state.since,
    health: story.isClosed ? closedAt(story) : view === undefined ? story.health : view.health,
    epoch,
    rollout: now?.flag === undefined ? story.rollout.at(-1) : rolloutOf(now, now.flag),
    // While a flag is being stopped, no stage is evaluated.
    stage: state === 'armed' ? stage : undefined,
    openReviews:
      now?.openReviews.map(reviewOf(now)) ?? story.reviews.filter(({ closedAt }) => closedAt === undefined),
    decision,
    view,
    lastOutcomeAt: lastOutcomeOf(view),
    lastEventAt: story.lastEventAt,
    isClosed: story.isClosed,
    openProblems: [...story.problems.values()],
    lastFault: story.notes.findLast(({ type }) => type === 'fault'),
    problems,
  };
}

function closedAt({ lastEventAt: since = 0 }: AuditStory): Health {
  const message = 'The guard was closed: it no longer protects the flag.';
  return { status: 'blind', since, reasons: [{ code: 'closed', message, since }] };
}

/** The guard's state without a journal, from the audit log. */
function stateOf(decision: DecisionReport | undefined): GuardState['status'] {
  if (decision === undefined || decision.decision.dryRun || decision.reArmedAt !== undefined) return 'armed';
  return decision.stoppedInUnleashAt === undefined ? 'stopping' : 'stopped';
}

/** The journal, and in a fleet the view, is written before the audit log, and may have a decision that the log does not have yet. */
function lastDecision(story: AuditStory, state: GuardState | undefined): DecisionReport | undefined {
  const logged = story.decisions.findLast(({ supersededAt }) => supersededAt === undefined);
  if (state === undefined || state.status === 'armed') return logged;
  const { decision } = state;
  return logged?.decision.id === decision.id ? logged : { decision, failures: [] };
}

function rolloutOf({ at, epoch }: RolloutView, flag: NonNullable<RolloutView['flag']>): RolloutChange {
  return { at, epoch, enabled: flag.enabled, percentage: flag.percentage };
}

function reviewOf({ epoch }: RolloutView) {
  return ({ openedAt, verdict }: RolloutView['openReviews'][number]): ReviewReport => ({
    epoch,
    openedAt,
    closedAt: undefined,
    verdict,
  });
}

function lastOutcomeOf(view: RolloutView | undefined): number | undefined {
  const times = ARMS.flatMap((arm) => view?.arms[arm].lastOutcomeAt ?? []);
  return times.length === 0 ? undefined : Math.max(...times);
}
