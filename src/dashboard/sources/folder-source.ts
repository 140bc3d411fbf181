import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AUDIT_FILE } from '../../journal/audit-log.js';
import { readAuditLog } from '../../journal/audit-reader.js';
import { DecisionStory } from '../../journal/decision-story.js';
import { agedView, VIEW_FILE, ViewFile } from '../../journal/view-file.js';
import { entryOf } from '../../model/event-table.js';
import type { Unsubscribe } from '../../model/flags.js';
import type { ProcessView, RolloutView } from '../../model/rollout-view.js';
import { mergeHistories } from '../../rollups/history.js';
import { HistoryReader } from '../../rollups/history-reader.js';
import type { RolloutHistory } from '../../rollups/rollup.js';
import { unlessMissing } from '../../support/files.js';
import type { DecisionView } from '../api.js';
import type { HistoryRequest, RolloutSource } from '../source.js';

/** How often a folder that is watched is looked into, in milliseconds. */
const WATCH_MS = 400;

/** The folders of the guards of one flag: those of several processes, or of a fleet on one machine. They may be running. */
export class FolderSource implements RolloutSource {
  readonly flagKey: string;
  readonly folders: readonly string[];
  readonly #readers: readonly HistoryReader[];
  readonly #listeners = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;
  #stamp = '';

  /** @param folders - At least one. */
  constructor(flagKey: string, folders: readonly string[]) {
    this.flagKey = flagKey;
    this.folders = folders;
    this.#readers = folders.map((folder) => new HistoryReader(folder));
  }

  async view(): Promise<RolloutView | undefined> {
    const views = await Promise.all(this.folders.map((folder) => new ViewFile(folder).load()));
    const now = Date.now();
    const found = views.flatMap((view, index) =>
      view === undefined ? [] : [{ name: basename(this.folders[index]!), view: agedView(view, now) }],
    );
    return mergeViews(found);
  }

  async history(request: HistoryRequest): Promise<RolloutHistory> {
    return mergeHistories(await Promise.all(this.#readers.map((reader) => reader.read(request))));
  }

  async decisions(): Promise<readonly DecisionView[]> {
    const story = new DecisionStory();
    for (const folder of this.folders) {
      const own = new DecisionStory();
      for await (const event of readAuditLog(join(folder, AUDIT_FILE)))
        own.add(entryOf(event).report?.(event));
      story.begin(own);
    }
    return story.decisions.toSorted((a, b) => b.decision.at - a.decision.at);
  }

  subscribe(listener: () => void): Unsubscribe {
    this.#listeners.add(listener);
    this.#timer ??= setInterval(() => void this.#check(), WATCH_MS).unref();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }

  async #check(): Promise<void> {
    const stamps = await Promise.all(this.folders.map(stampOf));
    const stamp = stamps.join();
    if (stamp === this.#stamp) return;
    this.#stamp = stamp;
    for (const listener of this.#listeners) listener();
  }
}

async function stampOf(folder: string): Promise<string> {
  const found = await unlessMissing(stat(join(folder, VIEW_FILE))).catch(() => undefined);
  return `${found?.ino} ${found?.mtimeMs}`;
}

/** How much a view says of the whole: a leader's has everything. */
function weightOf({ fleet, isClosed, health, state, at }: RolloutView): readonly number[] {
  const leads = fleet?.processes.some(({ role }) => role === 'leader') === true;
  return [Number(leads), Number(!isClosed && health.status === 'ok'), Number(state.status !== 'armed'), at];
}

/**
 * One view of the guards of one flag: that of the leader, or, without a fleet, that of the one that says most, with all of them as its
 * processes. Pure.
 */
function mergeViews(
  found: readonly { readonly name: string; readonly view: RolloutView }[],
): RolloutView | undefined {
  const [first, ...others] = found.toSorted((a, b) => {
    const [one, other] = [weightOf(a.view), weightOf(b.view)];
    const index = one.findIndex((value, place) => value !== other[place]);
    return index < 0 ? 0 : other[index]! - one[index]!;
  });
  if (first === undefined || others.length === 0 || first.view.fleet !== undefined) return first?.view;
  const processes = found.map(
    ({ name, view }): ProcessView => ({
      instance: name,
      role: 'standalone',
      version: view.guardVersion,
      serviceVersion: view.serviceVersion,
      sameRules: true,
      lastHeardAt: view.at,
    }),
  );
  const groups = processes.map(({ version, serviceVersion, sameRules }) => ({
    version,
    serviceVersion,
    sameRules,
    processes: 1,
  }));
  return { ...first.view, fleet: { processes, groups } };
}
