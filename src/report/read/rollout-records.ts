import { basename, join } from 'node:path';
import type { SharedRollout } from '../../fleet/shared-rollout.js';
import { AUDIT_FILE } from '../../journal/audit-log.js';
import { type AuditProblem, readAuditLog } from '../../journal/audit-reader.js';
import { foldersIn } from '../../journal/guard-folder.js';
import { VIEW_FILE, ViewFile } from '../../journal/view-file.js';
import type { RolloutView } from '../../model/rollout-view.js';
import { mergeHistories } from '../../rollups/history.js';
import { readHistory } from '../../rollups/read-history.js';
import type { RolloutHistory } from '../../rollups/rollup.js';
import { ConfigError } from '../../support/config-error.js';
import { describeError, UnusableFileError } from '../../support/files.js';
import { AuditStory } from '../audit-story.js';

/** What one guard, or the leader of a fleet, left about its rollout. */
interface GuardRecord {
  readonly name: string;
  readonly history: RolloutHistory;
  readonly story: AuditStory;
  /** Undefined when there is none. */
  readonly view: RolloutView | undefined;
}

/** What several guards left about one rollout. */
export interface RolloutRecords {
  readonly flagKey: string | undefined;
  readonly history: RolloutHistory;
  readonly story: AuditStory;
  /** The latest; of a fleet, its leader's. */
  readonly view: RolloutView | undefined;
  /** Of how many guards. */
  readonly guards: number;
  readonly auditLinesLeftOut: number;
  /** Files that cannot be read, and why. */
  readonly problems: readonly string[];
}

/**
 * Reads what guards left, each with the further guards within its folder, as one rollout: counts add up, and what several of them reported is
 * there once. The guards may be running. Neither time nor memory depend on how many outcomes there were.
 *
 * @throws ConfigError when the folders are of different flags.
 */
export async function readRecords(folders: readonly string[]): Promise<RolloutRecords> {
  const problems: string[] = [];
  const lines = { leftOut: 0 };
  const onAudit = (_problem: AuditProblem) => {
    lines.leftOut += 1;
  };
  const records: GuardRecord[] = [];
  let flagKey: string | undefined;
  for (const folder of folders) {
    const [own, ...inner] = await foldersIn(folder);
    const first = await readRecord(own!, problems, onAudit);
    const others = await Promise.all(inner.map((each) => readRecord(each, problems, onAudit)));
    const found = [first, ...others].filter(isUsed);
    const key = found.map(flagOf).find((each) => each !== undefined);
    flagKey ??= key;
    if (key !== undefined && key !== flagKey) {
      throw new ConfigError('folders', [
        { path: folder, expected: `the flag ${flagKey}, as in the folders before`, got: `the flag ${key}` },
      ]);
    }
    records.push(...found.filter((record) => flagOf(record) === undefined || flagOf(record) === flagKey));
  }
  return { flagKey, ...merged(records), auditLinesLeftOut: lines.leftOut, problems };
}

/** Reads what a fleet keeps in its shared store: everything that all its processes counted. @throws FleetError */
export async function readFleetRecords(flagKey: string, rollout: SharedRollout): Promise<RolloutRecords> {
  const [history, story, shared] = await Promise.all([
    rollout.history(),
    storyOfFleet(flagKey, rollout),
    rollout.view(),
  ]);
  const record = { name: flagKey, history, story, view: shared?.view };
  const guards = isUsed(record) ? 1 : 0;
  return { flagKey, history, story, view: shared?.view, guards, auditLinesLeftOut: 0, problems: [] };
}

/** What the leaders of a fleet reported. @throws FleetError */
export async function storyOfFleet(flagKey: string, rollout: SharedRollout): Promise<AuditStory> {
  const story = new AuditStory();
  for (const event of await rollout.events()) story.add({ ...event, flagKey });
  return story;
}

function merged(records: readonly GuardRecord[]) {
  const [first, ...others] = records.filter(({ story }) => story.events > 0);
  const story = first?.story ?? new AuditStory();
  for (const other of others) story.merge(other.story, other.name);
  // A follower's view is of its own share.
  const leads = ({ fleet }: RolloutView) =>
    Number(fleet?.processes.some(({ role }) => role === 'leader') === true);
  const views = records.flatMap(({ view }) => view ?? []).sort((a, b) => leads(b) - leads(a) || b.at - a.at);
  return {
    history: mergeHistories(records.map(({ history }) => history)),
    story,
    view: views.find(({ isClosed }) => !isClosed) ?? views[0],
    guards: records.length,
  };
}

async function readRecord(
  folder: string,
  problems: string[],
  onAudit: (problem: AuditProblem) => void,
): Promise<GuardRecord> {
  const attempt = async <T>(file: string, read: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await read();
    } catch (error) {
      const why = error instanceof UnusableFileError ? error.reason : describeError(error);
      problems.push(`${join(folder, file)}: ${why}`);
      return undefined;
    }
  };
  const story = new AuditStory();
  await attempt(AUDIT_FILE, async () => {
    for await (const event of readAuditLog(join(folder, AUDIT_FILE), onAudit)) story.add(event);
  });
  return {
    name: basename(folder),
    story,
    history: (await attempt('rollups', () => readHistory(folder))) ?? { rollups: [], annotations: [] },
    view: await attempt(VIEW_FILE, () => new ViewFile(folder).load()),
  };
}

function isUsed({ history, story, view }: GuardRecord): boolean {
  return history.rollups.length > 0 || story.events > 0 || view !== undefined;
}

function flagOf({ story, view }: GuardRecord): string | undefined {
  return view?.flagKey ?? story.flagKey;
}
