import type { MemoryOutcomeStore } from '../measure/memory-outcome-store.js';
import { parseOutcomeDelta } from '../measure/outcome-delta.js';
import type { Snapshot } from '../model/snapshot.js';
import { parseJson } from '../support/json.js';
import { Feeds, withWindows } from './feeds.js';
import { isConnectionFailure } from './fleet-link.js';
import type { FleetMemberOptions, UnfedRule } from './fleet-options.js';
import {
  CHECKPOINT_VERSION,
  checkpointSchema,
  type FleetEntries,
  type FleetEntry,
  type Lease,
} from './fleet-shapes.js';
import { LeaderRollups } from './leader-rollups.js';
import type { ServerClock } from './server-clock.js';

/** Entries that are read at once. */
const BATCH = 500;
/** After so many reads without anything new, the leader reads seldom: one of many flags is mostly idle. */
const IDLE_READS = 5;
/** How often the leader saves a checkpoint, in milliseconds. */
const CHECKPOINT_MS = 2_000;
/** After so many entries it saves one earlier: they stay in the shared store until then, which keeps only so many. */
const MOST_UNSAVED = 10_000;
/** How often it saves where the rollout stands, in milliseconds, and how often when that has not changed: its sign of life. */
const VIEW_MS = { changed: 1_000, same: 10_000 };
/** Before it lists the processes again: for each of them, so that it costs no more in a large fleet, and while nothing comes. */
const LIST_MS = { perProcess: 1, idle: 5_000 };

/**
 * The whole fleet's outcomes, from the moment at which this process becomes the leader: the checkpoint of the last leader, and
 * every delta since. It contains nothing of this process but what this process has sent, so that nothing counts twice,
 * whichever process leads next.
 */
export class FleetLeader {
  readonly #options: FleetMemberOptions;
  readonly #lease: Lease;
  readonly #serverClock: ServerClock;
  readonly #feeds: Feeds;
  readonly #windowsMs: readonly number[];
  #store: MemoryOutcomeStore;
  #epoch = 0;
  #upTo = '';
  #serverRun: string | undefined;
  #unreadable = 0;
  #unfed: readonly UnfedRule[] = [];
  #cannotResume = false;
  /** The checkpoint that was saved last: its last entry, what was reported by then, and the revision of the rollups. */
  #saved = { upTo: '', reported: '', rollups: -1 };
  readonly #rollups: LeaderRollups;
  #savedAt = Number.NEGATIVE_INFINITY;
  /** Entries that were read since then. */
  #unsaved = 0;
  /** What was saved last of where the rollout stands, and when that and the processes were examined, by the monotonic clock. */
  #shown = { key: '', savedAt: Number.NEGATIVE_INFINITY, at: Number.NEGATIVE_INFINITY };
  #listed = { processes: 0, at: Number.NEGATIVE_INFINITY };
  #status: 'new' | 'current' | 'over' = 'new';
  #reading: Promise<void> | undefined;
  #idleReads = 0;
  #polledAt = Number.NEGATIVE_INFINITY;
  /** When everything had been read last, or this process became the leader; of the monotonic clock. */
  #readAt: number;

  constructor(options: FleetMemberOptions, lease: Lease, serverClock: ServerClock) {
    this.#options = options;
    this.#lease = lease;
    this.#serverClock = serverClock;
    this.#feeds = new Feeds(options.rules);
    this.#windowsMs = [...new Set(options.rules.map(({ windowMs }) => windowMs))];
    this.#store = options.emptyStore();
    this.#readAt = options.clock.monotonic();
    this.#rollups = new LeaderRollups(options.events ?? [], {
      takeTally: (now) => this.#store.takeTally(now),
      epoch: () => this.#epoch,
      percentage: () => options.observed?.percentage(),
      verdicts: () => options.observed?.verdicts() ?? [],
    });
  }

  /** For how long it has not read everything that was sent, in milliseconds. */
  get unreadMs(): number {
    return this.#options.clock.monotonic() - this.#readAt;
  }

  /** The number by which this process is the leader; undefined when another one is. */
  get fence(): number | undefined {
    return this.#status === 'over' ? undefined : this.#lease.fence;
  }

  /** By what this process is the leader; undefined when another one is. */
  get lease(): Lease | undefined {
    return this.#status === 'current' ? this.#lease : undefined;
  }

  /** The epoch of what has been read; undefined before everything has been, and when another process is the leader. */
  get epoch(): number | undefined {
    return this.#status === 'current' ? this.#epoch : undefined;
  }

  /** Entries that could not be read: foreign, too long, or of another version. */
  get unreadable(): number {
    return this.#unreadable;
  }

  /** The rules of this process that others do not feed. */
  get unfed(): readonly UnfedRule[] {
    return this.#unfed;
  }

  /** The last leader's checkpoint is of no use, and what is in it is nowhere else: all processes must send everything anew. */
  get cannotResume(): boolean {
    return this.#cannotResume;
  }

  /** @param own - This process's: memory and baseline are its own. */
  snapshot(now: number, own: Snapshot): Snapshot {
    const fleet = this.#store.snapshot(now);
    const windows = fleet.windows.map((window, index) => ({ ...window, memory: own.windows[index]?.memory }));
    return { ...fleet, baseline: own.baseline, windows };
  }

  /** Another process is the leader, or the server's data is no longer what was read. */
  end(): void {
    this.#status = 'over';
    this.#rollups.end();
  }

  /** Reads what was sent since the last time, unless a read is under way. */
  poll(): void {
    if (this.#status === 'over' || this.#isResting()) return;
    this.#polledAt = this.#options.clock.monotonic();
    this.#reading ??= this.#read()
      .catch((error) => {
        if (!isConnectionFailure(error))
          this.#options.listener.onFault("evaluating the fleet's outcomes", error);
      })
      .finally(() => {
        this.#reading = undefined;
      });
  }

  /** Something was sent while it rested. The read that found nothing may not have ended yet. */
  readonly #wake = async (): Promise<void> => {
    await this.#reading;
    this.#idleReads = 0;
    this.poll();
  };

  /** Whether a read may wait for up to as long as a process may wait before it sends. */
  #isResting(): boolean {
    const { clock, timing } = this.#options;
    const pauseMs = Math.min(timing.flushMs, IDLE_READS * timing.evaluateMs);
    // A timer may come a little early.
    const isEarly = clock.monotonic() - this.#polledAt < pauseMs - timing.evaluateMs / 2;
    return this.#idleReads >= IDLE_READS && isEarly;
  }

  /** Saves a last checkpoint for the next leader. */
  async close(): Promise<void> {
    await this.#reading;
    if (this.#status === 'current') await this.saveCheckpoint().catch(() => {});
  }

  async #read(): Promise<void> {
    const { clock, listener } = this.#options;
    const isFirst = this.#status === 'new';
    if (isFirst) await this.#loadCheckpoint();
    const isChanged = await this.#readEntries();
    // Meanwhile another process may have become the leader, or the server may have lost its data.
    if (isChanged === undefined) this.end();
    if (isChanged === undefined || this.#status === 'over') return;
    this.#status = 'current';
    this.#readAt = clock.monotonic();
    if (isFirst || isChanged) listener.onOutcomes();
    this.#rollups.tick(this.#serverClock.now);
    await this.#show();
    if (clock.monotonic() - this.#savedAt < CHECKPOINT_MS && this.#unsaved < MOST_UNSAVED) return;
    this.#savedAt = clock.monotonic();
    this.#unsaved = 0;
    this.#reportUnfed();
    await this.saveCheckpoint();
  }

  /** @returns whether anything has changed; undefined when this process is no longer the leader. */
  async #readEntries(): Promise<boolean | undefined> {
    let isChanged = false;
    for (;;) {
      if (this.#cannotResume) return undefined;
      const onSent = this.#idleReads + 1 >= IDLE_READS ? this.#wake : undefined;
      const found = await this.#options.link.read(this.#lease, this.#upTo, BATCH, onSent);
      if (found === undefined) return undefined;
      this.#serverRun ??= found.serverRun;
      if (found.serverRun !== this.#serverRun) {
        if (this.#status === 'over') return undefined;
        // It may have lost the last second, which its senders send again: what is here would count twice.
        this.#status = 'new';
        await this.#loadCheckpoint();
        this.#serverRun = found.serverRun;
        continue;
      }
      for (const entry of found.entries) {
        const why = this.#apply(entry, found);
        if (why !== undefined) this.#skip(why);
        this.#upTo = entry.id;
      }
      this.#unsaved += found.entries.length;
      isChanged ||= found.entries.length > 0;
      this.#idleReads = isChanged ? 0 : this.#idleReads + 1;
      if (!found.isAll) continue;
      // Whatever happened to the entry that announced it.
      this.#reach(found.epoch, found);
      // It feeds the tests also when nothing has come: what had come before waited for another process.
      return this.#store.settleUpTo(found.settledUpTo) || isChanged;
    }
  }

  /** @returns why it cannot be applied. */
  #apply(entry: FleetEntry, found: FleetEntries): string | undefined {
    if (entry.type === 'unreadable') return entry.why;
    if (entry.type === 'epoch') {
      // One that the fleet has not reached is none of its own.
      if (entry.epoch > found.epoch) return 'it announces an epoch that the fleet has not reached';
      this.#begin(entry.epoch, entry.at, entry.keepWindows);
      return undefined;
    }
    this.#feeds.onDelta(entry.from, entry.feeds, this.#options.clock.monotonic());
    const delta = parseOutcomeDelta(parseJson(entry.text));
    if (delta === undefined) return 'it is no delta of this version of unleash-rollout-guard';
    this.#reach(Math.min(delta.epoch, found.epoch), found);
    this.#rollups.sawVersion(delta.serviceVersion);
    this.#store.merge(withWindows(delta, this.#windowsMs), this.#serverClock.now);
    return undefined;
  }

  #begin(epoch: number, at: number, keepWindows: boolean): void {
    if (epoch <= this.#epoch) return;
    this.#epoch = epoch;
    this.#store.beginEpoch(epoch, at, { keepWindows });
  }

  /** Begins the epoch, if it has not begun: the entry that announced it is missing. */
  #reach(epoch: number, { oldestEpoch, epochStartedAt }: FleetEntries): void {
    if (epoch > this.#epoch) this.#begin(epoch, epochStartedAt, oldestEpoch <= this.#epoch);
  }

  /** One entry that cannot be read costs no other: it is counted, and reported once. */
  #skip(why: string): void {
    this.#unreadable++;
    const error = new TypeError(`${why}. It was left out, and further ones are; status counts them`);
    this.#options.listener.onFault('an entry of the fleet that cannot be read', error);
  }

  /** Reports what has been so since the last time: a process that starts has sent nothing yet. */
  #reportUnfed(): void {
    const before = new Set(this.#unfed.map(({ rule, needs }) => `${needs} ${rule}`));
    this.#unfed = this.#feeds.unfed(this.#options.clock.monotonic());
    for (const { rule, needs, processes } of this.#unfed) {
      if (!before.has(`${needs} ${rule}`)) continue;
      const others = processes === 1 ? '1 process runs' : `${processes} processes run`;
      const effect =
        needs === 'window'
          ? 'its window is not kept there, and their outcomes are counted from another window of theirs'
          : 'its test is not fed there, and does not see their outcomes';
      const message = `${others} other rules than the leader: ${effect}. Give all processes the same rules.`;
      this.#options.listener.onFault(`the rule ${rule} in the fleet (${needs})`, new Error(message));
    }
  }

  async #loadCheckpoint(): Promise<void> {
    const { link, emptyStore, reportedState, listener } = this.#options;
    this.#store = emptyStore();
    this.#epoch = 0;
    this.#upTo = '';
    this.#saved = { upTo: '', reported: '', rollups: -1 };
    const { text, rollups, linesAdded } = await link.loadCheckpoint();
    this.#rollups.begin(rollups, linesAdded);
    if (text === undefined) return;
    const checkpoint = checkpointSchema.safeParse(text).data;
    if (checkpoint !== undefined) {
      const { contents, epochStartedAt, oldestEpoch } = checkpoint.dump;
      if (oldestEpoch !== undefined)
        this.#store.beginEpoch(oldestEpoch, epochStartedAt, { keepWindows: false });
      this.#store.beginEpoch(contents.epoch, epochStartedAt, { keepWindows: true });
      if (this.#store.restore(checkpoint.dump, this.#serverClock.now)) {
        this.#epoch = contents.epoch;
        this.#upTo = checkpoint.upTo;
        if (checkpoint.reportedState !== undefined) reportedState.set(checkpoint.reportedState);
        return;
      }
    }
    // Without it, what it contained would be missing: better all anew than half.
    this.#store = emptyStore();
    this.#cannotResume = true;
    const why =
      "it is damaged, or of another version of unleash-rollout-guard; the fleet's outcomes are collected anew";
    listener.onFault("reading the last leader's checkpoint", new TypeError(why));
  }

  /** Saves what is here for the next leader, unless nothing has changed. */
  async saveCheckpoint(): Promise<void> {
    const upTo = this.#upTo;
    const reportedState = this.#options.reportedState.get();
    // It changes without outcomes too: a review is closed because nothing more came.
    const reported = JSON.stringify(reportedState);
    const now = this.#serverClock.now;
    // In one turn with the dump, so that both have the same outcomes.
    const rollups = this.#rollups.take(now);
    const { revision } = this.#rollups;
    const before = this.#saved;
    const isSame = upTo === before.upTo && reported === before.reported && revision === before.rollups;
    if (isSame && rollups.events.length === 0) return;
    const dump = this.#store.dump(now);
    const text = JSON.stringify({ version: CHECKPOINT_VERSION, upTo, reportedState, dump });
    if (!(await this.#options.link.saveCheckpoint(this.#lease, upTo, text, rollups))) return;
    this.#rollups.saved(rollups);
    this.#saved = { upTo, reported, rollups: revision };
  }

  /** Who is in the fleet, and where the rollout stands. */
  async #show(): Promise<void> {
    const { clock, link, listener, view } = this.#options;
    const at = clock.monotonic();
    if (at - this.#shown.at < VIEW_MS.changed) return;
    this.#shown.at = at;
    const { processes } = this.#serverClock;
    const isIdle = this.#idleReads >= IDLE_READS && processes === this.#listed.processes;
    const listMs = isIdle ? LIST_MS.idle : 0;
    if (at - this.#listed.at >= Math.max(listMs, LIST_MS.perProcess * processes)) {
      this.#listed = { processes, at };
      listener.onProcesses?.(await link.processes());
    }
    const shown = view?.();
    const isSame = shown?.key === this.#shown.key && at - this.#shown.savedAt < VIEW_MS.same;
    if (shown === undefined || isSame) return;
    const isSaved = await link.saveView(this.#lease, JSON.stringify(shown.view));
    if (isSaved) this.#shown = { key: shown.key, savedAt: at, at };
  }
}
