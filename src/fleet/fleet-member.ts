import { shiftDelta } from '../measure/outcome-delta.js';
import type { Decision } from '../model/shapes.js';
import type { Snapshot } from '../model/snapshot.js';
import { withDeadline } from '../support/deadline.js';
import { Intervals } from '../support/intervals.js';
import { Announcements } from './announcements.js';
import { feedsOf } from './feeds.js';
import { FleetLeader } from './fleet-leader.js';
import { isFleetError } from './fleet-link.js';
import type { FleetMemberOptions, FleetRole, MemberProgress } from './fleet-options.js';
import { FleetOutage } from './fleet-outage.js';
import type { FleetState, StopNotice, SyncReply } from './fleet-shapes.js';
import { type LocalEpoch, localEpoch, Outbox } from './outbox.js';
import { Rest } from './rest.js';
import { type SentAt, ServerClock } from './server-clock.js';
import { spreadMs } from './spread.js';

/** Deltas that are sent in one go after an outage. */
const MAX_AT_ONCE = 8;
/** The others notice silence as well. */
const LEAVE_MS = 1_000;

/** One process of a fleet: sends what its own store recorded, and, while it leads, has what all recorded. No request waits for it. */
export class FleetMember {
  readonly #options: FleetMemberOptions;
  readonly #outbox: Outbox;
  readonly #serverClock: ServerClock;
  readonly #outage: FleetOutage;
  readonly #rest: Rest;
  readonly #announcements: Announcements;
  readonly #feeds: string;
  #leader: FleetLeader | undefined;
  #state: FleetState | undefined;
  #flushedAt = Number.NEGATIVE_INFINITY;
  /** What the fleet assigned last: the epoch, and the definition that this process had then. */
  #assigned = { epoch: 0, revision: '' };
  /** This process's own number of its epoch. */
  #epochNumber = 0;
  /** The epoch of what is being recorded now. */
  #epoch = localEpoch(undefined, true);
  /** The server's time up to which all outcomes are in what was queued. */
  #settledUpTo: number | undefined;
  /** The server has lost deltas that are no longer kept here. */
  #mustRebuild = false;
  #rebuilt = 0;
  /** Until then, a server that has lost its data is not filled again from here. */
  #refillsAt = Number.NEGATIVE_INFINITY;
  #syncing: Promise<unknown> | undefined;
  #timers: (() => void)[] = [];
  #isClosed = false;

  constructor(options: FleetMemberOptions) {
    this.#options = options;
    this.#outbox = new Outbox(options.serviceVersion);
    this.#serverClock = new ServerClock(options.clock, options.timing.leaseMs);
    this.#outage = new FleetOutage(options, this.#serverClock);
    this.#rest = new Rest(options, this.#serverClock);
    this.#announcements = new Announcements(options, this.#serverClock, {
      isLater: (stop) => this.#isLater(stop),
      onState: (state) => this.#onState(state),
      sync: () => void Promise.resolve(this.#syncing).then(() => this.sync()),
    });
    this.#feeds = feedsOf(options.rules);
  }

  get instance(): string {
    return this.#options.link.instance;
  }

  get role(): FleetRole {
    if (!this.#serverClock.isAlive || this.#serverClock.isLeaderless) return 'standalone';
    return this.#leader?.epoch === undefined ? 'follower' : 'leader';
  }

  /** While this process is the leader. */
  get leader(): FleetLeader | undefined {
    return this.role === 'leader' ? this.#leader : undefined;
  }

  /** What all agree on; undefined before the first reply. */
  get state(): FleetState | undefined {
    return this.#state;
  }

  /** Why the shared store cannot be used now. */
  get problem(): string | undefined {
    return this.#outage.problem;
  }

  /** Whether what this process sends arrives, and whether it reads what the others send. */
  get progress(): MemberProgress {
    return {
      problem: this.#outage.problem,
      isLeaderless: this.#serverClock.isLeaderless,
      unreadMs: this.#leader?.fence === undefined ? undefined : this.#leader.unreadMs,
      undeliveredMs: this.#outage.undeliveredMs,
    };
  }

  /** What was lost here, how often the shared store lost its data and, in the leader, what it could not use. */
  get losses() {
    const { unreadable = 0, unfed = [] } = this.#leader ?? {};
    return { lostDeltas: this.#outbox.lost, rebuilt: this.#rebuilt, unreadable, unfed };
  }

  /** Whether what the fleet recorded can be evaluated: it is known up to the current epoch, and no stop applies. */
  get isCurrent(): boolean {
    const epoch = this.#leader?.epoch;
    return epoch !== undefined && this.#state?.stop === undefined && epoch === this.#state?.epoch;
  }

  /** Whether this process's definition is the one that the fleet's epoch belongs to. */
  get hasFleetDefinition(): boolean {
    return this.#epoch.assigned !== undefined && this.#epoch.assigned === this.#leader?.epoch;
  }

  /** Joins. Resolves when the shared store has replied or could not be reached. @throws FleetError when only an operator can help. */
  async start(): Promise<void> {
    const { timing, intervals = new Intervals() } = this.#options;
    const error = await this.#exchange();
    if (isFleetError(error) && error.requiresAction) throw error;
    if (this.#isClosed) return;
    const poll = () => this.#serverClock.isAlive && this.#leader?.poll();
    const flush = () => this.#flush();
    this.#timers = [intervals.every(timing.flushMs, flush), intervals.every(timing.evaluateMs, poll)];
  }

  /** Sends what is left, and leaves, unless the shared store takes too long. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const end of this.#timers.splice(0)) end();
    this.#announcements.end();
    await withDeadline(LEAVE_MS, undefined, async () => {
      await Promise.all([this.#syncing, this.#leader?.close()]);
      if (this.#serverClock.isAlive) await this.#exchange({ leaving: true });
    }).catch(() => {});
    await this.#options.link.close();
  }

  /** Sends and receives now, instead of at the next interval; not after the end, which would make it join again. */
  async sync(): Promise<void> {
    if (this.#isClosed) return;
    this.#syncing ??= this.#exchange().finally(() => {
      this.#syncing = undefined;
    });
    await this.#syncing;
  }

  /** Sends what was recorded; with nothing recorded, a heartbeat now and then. */
  async #flush(): Promise<void> {
    if (this.#outage.isPausing) return;
    if (!this.#isIdle || !this.#rest.begin()) await this.sync();
    else this.#outage.onDelivered();
  }

  get #isIdle(): boolean {
    const isNeeded = this.#leader !== undefined || this.problem !== undefined || this.#mustRebuild;
    return !isNeeded && this.#rest.isQuiet(this.#outbox, this.#epoch, this.#assigned, this.#state);
  }

  /** Sends without delay what may stop the flag; at most once per `evaluateMs`. */
  flushSoon(): void {
    const { clock, timing } = this.#options;
    if (this.#timers.length === 0 || this.#outage.isPausing) return;
    if (clock.monotonic() - this.#flushedAt < timing.evaluateMs) return;
    this.#flushedAt = clock.monotonic();
    void this.sync();
  }

  /** Stops the flag in the whole fleet; what fails is retried with the next reply. */
  async stopFleet(decision: Decision, { isRepeated = false } = {}): Promise<void> {
    await this.#send(this.#options.link.stop(decision, isRepeated ? undefined : this.#leader?.fence));
  }

  finishStop(decisionId: string, done: 'off' | 'stepped-back'): Promise<void> {
    return this.#send(this.#options.link.finishStop(decisionId, done));
  }

  async clearStop(decisionId: string): Promise<void> {
    const { link, revision } = this.#options;
    await this.#send(link.clearStop(decisionId, revision() ?? '', this.#epochNumber));
  }

  /** In the leader, the whole fleet at the server's time; otherwise its own share. Memory and baseline are its own. */
  snapshot(now: number): Snapshot {
    const own = this.#options.own.snapshot(now);
    return this.role === 'leader' ? this.#leader!.snapshot(this.#serverClock.at(now), own) : own;
  }

  /** Starts an epoch of its own store; the fleet assigns its number with the next reply. */
  beginEpoch(epoch: number, at: number, options: { readonly keepWindows: boolean }): void {
    // What was recorded so far belongs to the epoch of before.
    this.#queueDelta();
    this.#epochNumber = epoch;
    this.#epoch = localEpoch(this.#options.revision(), options.keepWindows);
    this.#options.own.beginEpoch(epoch, at, options);
  }

  #queueDelta(now = this.#options.clock.now()): void {
    const delta = this.#rest.takeDelta(now);
    if (delta !== undefined) this.#outbox.add(this.#epoch, shiftDelta(delta, this.#serverClock.offsetMs));
    const openSince = this.#options.openSince?.() ?? now;
    this.#settledUpTo = Math.round(this.#serverClock.at(Math.min(openSince, now)));
  }

  async #exchange({ leaving = false } = {}): Promise<unknown> {
    const { link, listener, mayLead, revision, oldestEpoch } = this.#options;
    try {
      const warnings = await this.#announcements.open();
      for (const warning of warnings) listener.onFault('the shared store', new Error(warning));
      for (let sent = 0; sent < MAX_AT_ONCE; sent++) {
        const isLast = this.#outbox.isEmpty && this.#epoch.assigned !== undefined;
        if (isLast && !this.#isIdle) this.#queueDelta();
        // The rollout may have changed twice since the last reply: each change is sent, in order.
        const epoch = this.#outbox.unassigned ?? this.#epoch;
        epoch.revision ??= revision();
        const isHeld = !leaving && this.#options.clock.monotonic() < this.#refillsAt;
        const delta = isHeld ? undefined : this.#outbox.next();
        const isIdle = delta === undefined && this.#isIdle;
        const sentAt = this.#serverClock.onRequest();
        const known = this.#state;
        const reply = await link.sync({
          datasetId: known?.datasetId ?? '',
          version: known?.version ?? 0,
          oldestEpoch: known?.oldestEpoch ?? oldestEpoch?.() ?? 0,
          assignment: {
            epoch: this.#assigned.epoch,
            seenRevision: this.#assigned.revision,
            revision: epoch.revision ?? '',
            keepWindows: epoch.keepWindows,
            minEpoch: this.#epochNumber,
          },
          delta,
          accepted: this.#outbox.lastAccepted,
          feeds: this.#feeds,
          settledUpTo: isHeld || this.#outbox.hasMore ? undefined : this.#settledUpTo,
          isIdle,
          rebuild: this.#mustRebuild || this.#leader?.cannotResume === true,
          mayLead: mayLead && !leaving,
          isLeaving: leaving,
        });
        this.#rest.onReply(isIdle);
        this.#onReply(reply, epoch, sentAt, known);
        if (isIdle || isHeld || (isLast && this.#outbox.isEmpty)) break;
        // Before the first definition, what was recorded waits for it.
        if (reply.delta === 'full' || epoch.revision === undefined) break;
      }
      if (this.#outbox.isEmpty) this.#outage.onDelivered();
      if (this.#state !== undefined) listener.onState(this.#state);
      return undefined;
    } catch (error) {
      this.#outage.onFailure(error);
      return error;
    }
  }

  /** @param asked - What was known when the request was sent. */
  #onReply(reply: SyncReply, epoch: LocalEpoch, sentAt: SentAt, asked: FleetState | undefined): void {
    const { processes } = this.#serverClock;
    this.#outbox.onReplyAfter(this.#serverClock.silentMs);
    this.#serverClock.onReply(sentAt, reply);
    this.#outage.onReply();
    if (reply.delta === 'accepted' || reply.delta === 'duplicate')
      this.#outbox.onAccepted(reply.lastSequence);
    if (reply.delta === 'gap' && !this.#outbox.rewind(reply.lastSequence)) this.#mustRebuild = true;
    if (reply.state !== undefined) this.#replaceState(reply.state, asked, processes);
    if (reply.fence !== this.#leader?.fence) this.#lead(reply.fence);
    this.#assignEpoch(reply.assignedEpoch, epoch);
  }

  /** Starts to lead from what the server has now; with undefined, another process leads. */
  #lead(fence: number | undefined): void {
    this.#leader?.end();
    this.#leader = undefined;
    const datasetId = this.#state?.datasetId;
    if (fence === undefined || datasetId === undefined) return;
    this.#leader = new FleetLeader(this.#options, { fence, datasetId }, this.#serverClock);
    this.#leader.poll();
  }

  /** @param processes - How many there were before. */
  #replaceState(state: FleetState, asked: FleetState | undefined, processes: number): void {
    const known = this.#state;
    const isSame = known?.datasetId === state.datasetId;
    // The server replied before a change that was announced meanwhile. Otherwise an earlier state is that of a server which has lost writes.
    if (isSame && known !== asked && !this.#isLater(state)) return;
    this.#state = state;
    if (known === undefined || isSame) return;
    // The server has lost data: this process sends once more what it has of the epoch, all its counts and its latest evidence.
    const { own, clock, listener, random = Math.random, timing } = this.#options;
    this.#rebuilt++;
    const lost = new Error('it had lost data, and is filled again from what the running processes recorded');
    listener.onFault("the shared store's data", lost);
    this.#lead(undefined);
    const now = clock.now();
    const contents = { ...own.dump(now).contents, isRepeated: true };
    this.#queueDelta(now);
    this.#mustRebuild = false;
    const lostEpoch = this.#epoch;
    this.#epoch = { ...lostEpoch, assigned: undefined };
    this.#outbox.refill(lostEpoch, this.#epoch, shiftDelta(contents, this.#serverClock.offsetMs));
    // Each has much to send. What takes less than a flush is spread already, as the flushes are.
    const waitMs = spreadMs(processes) * random();
    this.#refillsAt = waitMs < timing.flushMs ? Number.NEGATIVE_INFINITY : clock.monotonic() + waitMs;
  }

  /** A state that came between two syncs, perhaps late. */
  #onState(state: FleetState): void {
    if (!this.#isLater(state)) return;
    this.#state = state;
    this.#options.listener.onState(state);
  }

  /** What is of another dataset or an earlier change says nothing. */
  #isLater({ datasetId, version }: FleetState | StopNotice): boolean {
    return this.#state?.datasetId === datasetId && version > this.#state.version;
  }

  #assignEpoch(assigned: number, epoch: LocalEpoch): void {
    if (assigned === 0) return;
    this.#assigned = { epoch: assigned, revision: epoch.revision ?? '' };
    if (epoch.assigned === assigned) return;
    if (epoch.assigned === undefined) {
      epoch.assigned = assigned;
    } else if (this.#epoch === epoch) {
      this.#queueDelta();
      this.#epoch = { assigned, revision: epoch.revision, keepWindows: true };
    }
    this.#options.listener.onEpoch(assigned);
  }

  async #send(change: Promise<FleetState>): Promise<void> {
    await change.then(
      (state) => this.#onState(state),
      (error) => this.#outage.onFailure(error),
    );
  }
}
