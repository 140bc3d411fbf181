import { type OutcomeDelta, shiftDelta } from '../measure/outcome-delta.js';
import type { OutcomeStore } from '../measure/outcome-store.js';
import type { Baseline, Decision, Exposure, Outcome, Snapshot } from '../model/shapes.js';
import { FleetLeader } from './fleet-leader.js';
import { type FleetState, isFleetError, type SyncReply } from './fleet-link.js';
import type { FleetMemberOptions, FleetRole } from './fleet-options.js';
import { type DeltaEpoch, Outbox } from './outbox.js';
import { ServerClock } from './server-clock.js';

/** Deltas that are sent in one go after an outage. */
const MOST_AT_ONCE = 8;
/** Well within the day after which the server forgets a process. */
const FORGET_TAKEN_MS = 12 * 3_600_000;

/**
 * One process of a fleet: records into its own store, sends what it recorded, and, when it judges, holds what all
 * recorded. Recording touches memory only; whatever the shared store does, it costs no request anything.
 */
export class FleetMember implements OutcomeStore {
  readonly #options: FleetMemberOptions;
  readonly #outbox = new Outbox();
  #state: FleetState | undefined;
  readonly #contact: ServerClock;
  #problem: string | undefined;
  #hurriedAt = Number.NEGATIVE_INFINITY;
  /** What the fleet told last: the epoch, and the definition that was shown then. */
  #told = { epoch: 0, revision: '' };
  /** This process's own number of its epoch. */
  #epoch = 0;
  /** Of what is being recorded now. */
  #seat: DeltaEpoch = {
    epoch: undefined,
    revision: undefined,
    keepWindows: true,
  };
  readonly #judge: FleetLeader;
  #syncing: Promise<void> | undefined;
  #timers: NodeJS.Timeout[] = [];

  constructor(options: FleetMemberOptions) {
    this.#options = options;
    this.#contact = new ServerClock(options.clock, options.timing.leaseMs);
    this.#judge = new FleetLeader({ ...options, ...options.listener, serverNow: () => this.serverNow });
  }

  /** This process's name in the fleet. */
  get instance(): string {
    return this.#options.link.instance;
  }

  get role(): FleetRole {
    if (!this.#contact.isAlive || this.#contact.isLeaderless) return 'alone';
    return this.#judge.view === undefined ? 'follower' : 'judge';
  }

  /** What all agree on; undefined before the first answer. */
  get state(): FleetState | undefined {
    return this.#state;
  }

  /** Why the shared store cannot be used now. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Deltas that the shared store has lost for good. */
  get lostDeltas(): number {
    return this.#outbox.lost;
  }

  /**
   * Whether what the fleet recorded can be judged: it is known up to the current epoch, and no stop holds. Right after a
   * person has turned the flag on, the outcomes that stopped it are still here.
   */
  get isCurrent(): boolean {
    const { view } = this.#judge;
    return view !== undefined && this.#state?.stop === undefined && view.epoch === this.#state?.epoch;
  }

  /** Whether this process's definition is the one that the fleet's epoch belongs to. */
  get isInStep(): boolean {
    return this.#seat.epoch !== undefined && this.#seat.epoch === this.#judge.view?.epoch;
  }

  /** The time by the server's clock, which all processes share. */
  get serverNow(): number {
    return this.#options.clock.now() + this.#contact.offsetMs;
  }

  /**
   * Joins the fleet. Resolves when the shared store has answered or could not be reached, which is tried again.
   * @throws FleetError when only a person can help: a wrong password, a server too old, foreign keys.
   */
  async start(): Promise<void> {
    const { timing } = this.#options;
    const error = await this.#exchange();
    if (isFleetError(error) && error.requiresAction) throw error;
    this.#timers = [
      setInterval(() => this.sync(), timing.flushMs).unref(),
      setInterval(() => this.#look(), timing.evaluateMs).unref(),
    ];
  }

  /** Sends what is left, and leaves. */
  async close(): Promise<void> {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    await Promise.all([this.#syncing, this.#judge.close()]);
    await this.#exchange({ leaving: true });
    await this.#options.link.close();
  }

  /** Sends and hears now, instead of at the next second. */
  sync(): Promise<void> {
    this.#syncing ??= this.#exchange()
      .then(() => {})
      .finally(() => {
        this.#syncing = undefined;
      });
    return this.#syncing;
  }

  /** Tells the fleet of a stop; what fails is tried again with the next answer. */
  async stopFleet(decision: Decision): Promise<void> {
    await this.#change(() => this.#options.link.stop(decision));
  }

  async finishStop(decisionId: string, done: 'off' | 'stepped-back'): Promise<void> {
    await this.#change(() => this.#options.link.finishStop(decisionId, done));
  }

  async clearStop(decisionId: string): Promise<void> {
    await this.#change(() =>
      this.#options.link.clearStop(decisionId, this.#options.revision() ?? '', this.#epoch),
    );
  }

  expose(exposure: Exposure): void {
    this.#options.own.expose(exposure);
  }

  settle(exposure: Exposure): void {
    this.#options.own.settle(exposure);
  }

  record(outcome: Outcome): void {
    this.#options.own.record(outcome);
    if (outcome.critical && outcome.exposure.arm === 'treatment') this.#hurry();
  }

  recordComplaint(exposure: Exposure, at: number): void {
    this.#options.own.recordComplaint(exposure, at);
  }

  recordMemory(bytes: number, at: number): void {
    this.#options.own.recordMemory(bytes, at);
  }

  setBaseline(baseline: Baseline): void {
    this.#options.own.setBaseline(baseline);
    this.#judge.setBaseline(baseline);
  }

  /** The whole fleet when this process judges, at the server's time; otherwise its own share. Memory is always its own. */
  snapshot(now: number): Snapshot {
    const { own } = this.#options;
    if (this.role !== 'judge') return own.snapshot(now);
    const fleet = this.#judge.view!.snapshot(now + this.#contact.offsetMs);
    const { windows } = own.snapshot(now);
    return {
      ...fleet,
      windows: fleet.windows.map((window, index) => ({ ...window, memory: windows[index]?.memory })),
    };
  }

  beginEpoch(epoch: number, at: number, options: { readonly keepWindows: boolean }): void {
    // What was recorded so far belongs to the epoch of before.
    this.#cut();
    this.#epoch = epoch;
    this.#seat = {
      epoch: undefined,
      revision: this.#options.revision(),
      keepWindows: options.keepWindows,
    };
    this.#options.own.beginEpoch(epoch, at, options);
  }

  takeDelta(now: number): OutcomeDelta | undefined {
    return this.#options.own.takeDelta(now);
  }

  merge(delta: OutcomeDelta, now: number): boolean {
    return this.#options.own.merge(delta, now);
  }

  /** What may end the process does not wait for the next second. */
  #hurry(): void {
    const { clock, timing } = this.#options;
    if (this.#timers.length === 0 || clock.monotonic() - this.#hurriedAt < timing.evaluateMs) return;
    this.#hurriedAt = clock.monotonic();
    void this.sync();
  }

  #cut(): void {
    const { own, clock } = this.#options;
    const delta = own.takeDelta(clock.now());
    if (delta !== undefined) this.#outbox.add(this.#seat, shiftDelta(delta, this.#contact.offsetMs));
  }

  async #exchange({ leaving = false } = {}): Promise<unknown> {
    const { link, listener, mayLead, revision } = this.#options;
    try {
      await link.open({ onState: (state) => this.#adopt(state) });
      for (let sent = 0; sent < MOST_AT_ONCE; sent++) {
        const isLast = this.#outbox.isEmpty && this.#seat.epoch !== undefined;
        if (isLast) this.#cut();
        // The rollout may have changed twice since the last answer: each change is told, in order.
        const seat = this.#outbox.unassigned ?? this.#seat;
        seat.revision ??= revision();
        const sentAt = this.#contact.begin();
        const reply = await link.sync({
          datasetId: this.#state?.datasetId ?? '',
          version: this.#state?.version ?? 0,
          seat: {
            epoch: this.#told.epoch,
            seenRevision: this.#told.revision,
            revision: seat.revision ?? '',
            keepWindows: seat.keepWindows,
            atLeast: this.#epoch,
          },
          delta: this.#outbox.next(),
          mayLead: mayLead && !leaving,
        });
        this.#hear(reply, seat, sentAt);
        if (isLast && this.#outbox.isEmpty) break;
        // Before the first definition, what was recorded waits for it.
        if (reply.delta === 'full' || seat.revision === undefined) break;
      }
      if (this.#state !== undefined) listener.onState(this.#state);
      return undefined;
    } catch (error) {
      this.#failed(error);
      return error;
    }
  }

  #hear(reply: SyncReply, seat: DeltaEpoch, sentAt: ReturnType<ServerClock['begin']>): void {
    const { listener } = this.#options;
    if (this.#contact.silentMs > FORGET_TAKEN_MS) this.#outbox.forgetTaken();
    this.#contact.onReply(sentAt, reply);
    if (this.#contact.isLeaderless) {
      listener.onFault('the fleet', new Error('Nobody judges: no process that is there has an admin token.'));
    }
    if (this.#problem !== undefined) {
      this.#problem = undefined;
      listener.onConnection(undefined);
    }
    if (reply.delta === 'taken' || reply.delta === 'duplicate') this.#outbox.taken(reply.lastSequence);
    if (reply.delta === 'gap') this.#outbox.rewind(reply.lastSequence);
    this.#judge.lead(reply.fence);
    if (reply.state !== undefined) this.#take(reply.state);
    this.#sit(reply.assignedEpoch, seat);
  }

  /** What the server holds, when it is new here. */
  #take(state: FleetState): void {
    const known = this.#state;
    this.#state = state;
    if (known === undefined || known.datasetId === state.datasetId) return;
    // The server has lost everything: what this process still has of the epoch makes up for its share.
    this.#outbox.reset();
    this.#judge.startOver();
    this.#seat = { ...this.#seat, epoch: undefined };
    const { own, clock } = this.#options;
    own.takeDelta(clock.now());
    const { contents } = own.dump(clock.now());
    this.#outbox.add(this.#seat, shiftDelta(contents, this.#contact.offsetMs));
  }

  #adopt(state: FleetState): void {
    const known = this.#state;
    if (known?.datasetId !== state.datasetId || state.version <= known.version) return;
    this.#state = state;
    this.#options.listener.onState(state);
  }

  #sit(epoch: number, seat: DeltaEpoch): void {
    if (epoch === 0) return;
    this.#told = { epoch, revision: seat.revision ?? '' };
    if (seat.epoch === epoch) return;
    if (seat.epoch === undefined) {
      seat.epoch = epoch;
    } else if (this.#seat === seat) {
      this.#cut();
      this.#seat = { epoch, revision: seat.revision, keepWindows: true };
    }
    this.#options.listener.onEpoch(epoch);
  }

  #look(): void {
    if (this.#contact.isAlive) this.#judge.poll();
  }

  async #change(ask: () => Promise<FleetState>): Promise<void> {
    try {
      this.#adopt(await ask());
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    if (this.#problem === message) return;
    const isNews = this.#problem === undefined;
    this.#problem = message;
    if (isNews) this.#options.listener.onConnection(message);
  }
}
