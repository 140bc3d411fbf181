import type { Clock } from '../clock.js';
import type { Baseline, Decision, Exposure, Outcome, Snapshot } from '../flow.js';
import type { MemoryOutcomeStore } from '../store/memory.js';
import type { OutcomeDelta } from '../store/outcome-delta.js';
import type { OutcomeStore } from '../store/outcome-store.js';
import { shiftDelta } from '../store/shift-delta.js';
import { type FleetLink, type FleetState, isFleetError, type SyncReply } from './fleet-link.js';
import { FleetView } from './fleet-view.js';
import { type DeltaSeat, Outbox } from './outbox.js';

/** `judge`: decides for all. `follower`: another process does. `alone`: the shared store is away; it judges its own share. */
export type FleetRole = 'judge' | 'follower' | 'alone';

/** What a fleet member tells its guard. None of these may throw. */
export interface FleetMemberListener {
  /** What all agree on has changed, or was asked for anew. */
  readonly onState: (state: FleetState) => void;
  /** The fleet's outcomes have changed; this process judges them. */
  readonly onOutcomes: () => void;
  /** The number of the fleet's epoch for this process's definition. */
  readonly onEpoch: (epoch: number) => void;
  /** The shared store went away (with a reason), or came back (undefined). */
  readonly onConnection: (problem: string | undefined) => void;
  readonly onFault: (what: string, error: unknown) => void;
}

/** How a fleet keeps time, in milliseconds. */
export interface FleetTiming {
  /** How often a process sends what it recorded. */
  readonly flushMs: number;
  /** How often the judge looks. */
  readonly judgeMs: number;
  /** How long a silent judge stays the judge, and a silent shared store is waited for. */
  readonly leaseMs: number;
}

/** What {@link FleetMember} works with. */
export interface FleetMemberOptions {
  /** What this process records. */
  readonly own: MemoryOutcomeStore;
  /** For what the fleet recorded. */
  readonly emptyStore: () => MemoryOutcomeStore;
  readonly link: FleetLink;
  readonly clock: Clock;
  readonly timing: FleetTiming;
  readonly mayJudge: boolean;
  /** The definition's revision (see `FlagFacts.revision`); undefined before the first. */
  readonly revision: () => string | undefined;
  readonly judgeMemory: { readonly get: () => unknown; readonly set: (memory: unknown) => void };
  readonly listener: FleetMemberListener;
}

/** How often the judge keeps what it knows, in milliseconds. */
const KEEP_MS = 2_000;
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
  /** The server's clock minus this process's, in milliseconds. */
  #clockOffsetMs = 0;
  #lastAnswerAt: number | undefined;
  #problem: string | undefined;
  /** What the fleet told last: the epoch, and the definition that was shown then. */
  #told = { epoch: 0, revision: '' };
  /** Of what is being recorded now. */
  #seat: DeltaSeat & { revision: string | undefined; keepWindows: boolean } = {
    epoch: undefined,
    revision: undefined,
    keepWindows: true,
  };
  #fence: number | undefined;
  #view: FleetView | undefined;
  #baseline: Baseline | undefined;
  #keptAt = Number.NEGATIVE_INFINITY;
  #syncing: Promise<void> | undefined;
  #judging: Promise<void> | undefined;
  #timers: NodeJS.Timeout[] = [];

  constructor(options: FleetMemberOptions) {
    this.#options = options;
  }

  /** This process's name in the fleet. */
  get instance(): string {
    return this.#options.link.instance;
  }

  get role(): FleetRole {
    if (!this.#isConnected()) return 'alone';
    return this.#view === undefined || this.#fence === undefined ? 'follower' : 'judge';
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

  /** Whether this process's definition is the one that the fleet's epoch belongs to. */
  get isInStep(): boolean {
    return this.#view !== undefined && this.#seat.epoch === this.#view.epoch;
  }

  /** The time by the server's clock, which all processes share. */
  get serverNow(): number {
    return this.#options.clock.now() + this.#clockOffsetMs;
  }

  /**
   * Joins the fleet. Resolves when the shared store has answered or could not be reached, which is tried again.
   * @throws FleetError when only a person can help: a wrong password, a server too old, foreign keys.
   */
  async start(): Promise<void> {
    const { timing } = this.#options;
    const error = await this.#exchange();
    if (isFleetError(error) && error.needsPerson) throw error;
    this.#timers = [
      setInterval(() => this.sync(), timing.flushMs).unref(),
      setInterval(() => this.#judge(), timing.judgeMs).unref(),
    ];
  }

  /** Sends what is left, and leaves. */
  async stop(): Promise<void> {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    await Promise.all([this.#syncing, this.#judging]);
    if (this.#fence !== undefined) await this.#view?.keep(this.serverNow).catch(() => {});
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

  async release(decisionId: string): Promise<void> {
    await this.#change(() => this.#options.link.release(decisionId, this.#options.revision() ?? ''));
  }

  expose(exposure: Exposure): void {
    this.#options.own.expose(exposure);
  }

  settle(exposure: Exposure): void {
    this.#options.own.settle(exposure);
  }

  record(outcome: Outcome): void {
    this.#options.own.record(outcome);
  }

  recordComplaint(exposure: Exposure, at: number): void {
    this.#options.own.recordComplaint(exposure, at);
  }

  recordMemory(bytes: number, at: number): void {
    this.#options.own.recordMemory(bytes, at);
  }

  setMemoryBaseline(bytes: number): void {
    this.#options.own.setMemoryBaseline(bytes);
  }

  setBaseline(baseline: Baseline): void {
    this.#baseline = baseline;
    this.#options.own.setBaseline(baseline);
    this.#view?.setBaseline(baseline);
  }

  /** The whole fleet when this process judges, at the server's time; otherwise its own share. Memory is always its own. */
  snapshot(now: number): Snapshot {
    const { own } = this.#options;
    if (this.role !== 'judge') return own.snapshot(now);
    const fleet = this.#view!.snapshot(now + this.#clockOffsetMs);
    const { windows } = own.snapshot(now);
    return {
      ...fleet,
      windows: fleet.windows.map((window, index) => ({ ...window, memory: windows[index]?.memory })),
    };
  }

  beginEpoch(epoch: number, at: number, options: { readonly keepWindows: boolean }): void {
    // What was recorded so far belongs to the epoch of before.
    this.#cut();
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

  #isConnected(): boolean {
    const { clock, timing } = this.#options;
    return this.#lastAnswerAt !== undefined && clock.monotonic() - this.#lastAnswerAt <= timing.leaseMs;
  }

  #cut(): void {
    const { own, clock } = this.#options;
    // Keys are left out: they would make a delta grow with the number of requests.
    const delta = own.takeDelta(clock.now(), { keys: false });
    if (delta !== undefined) this.#outbox.add(this.#seat, shiftDelta(delta, this.#clockOffsetMs));
  }

  async #exchange({ leaving = false } = {}): Promise<unknown> {
    const { link, clock, listener, mayJudge, revision } = this.#options;
    try {
      await link.open({ onState: (state) => this.#adopt(state) });
      for (let sent = 0; sent < MOST_AT_ONCE; sent++) {
        // Before the first look at the definition, what was recorded waits for it.
        this.#seat.revision ??= revision();
        const isLast = this.#outbox.isEmpty && this.#seat.epoch !== undefined;
        if (isLast) this.#cut();
        const seat = this.#seat;
        const sentAt = { wall: clock.now(), monotonic: clock.monotonic() };
        const reply = await link.sync({
          born: this.#state?.born ?? '',
          version: this.#state?.version ?? 0,
          seat: {
            epoch: this.#told.epoch,
            seenRevision: this.#told.revision,
            revision: seat.revision ?? '',
            keepWindows: seat.keepWindows,
            atLeast: this.#told.epoch,
          },
          delta: this.#outbox.next(),
          mayJudge: mayJudge && !leaving,
        });
        this.#hear(reply, seat, sentAt);
        if (isLast && this.#outbox.isEmpty) break;
        if (reply.delta === 'full' || this.#seat.revision === undefined) break;
      }
      if (this.#state !== undefined) listener.onState(this.#state);
      return undefined;
    } catch (error) {
      this.#failed(error);
      return error;
    }
  }

  #hear(
    reply: SyncReply,
    seat: DeltaSeat & { revision: string | undefined },
    sentAt: { readonly wall: number; readonly monotonic: number },
  ): void {
    const { clock, listener } = this.#options;
    // The answer was made about half-way.
    this.#clockOffsetMs = Math.round(reply.now - (sentAt.wall + clock.now()) / 2);
    if (this.#lastAnswerAt !== undefined && sentAt.monotonic - this.#lastAnswerAt > FORGET_TAKEN_MS) {
      this.#outbox.forgetTaken();
    }
    this.#lastAnswerAt = sentAt.monotonic;
    if (this.#problem !== undefined) {
      this.#problem = undefined;
      listener.onConnection(undefined);
    }
    if (reply.delta === 'taken' || reply.delta === 'duplicate') this.#outbox.taken(reply.lastSequence);
    if (reply.delta === 'gap') this.#outbox.rewind(reply.lastSequence);
    this.#lead(reply.fence);
    if (reply.state !== undefined) this.#take(reply.state);
    this.#sit(reply.seatEpoch, seat);
  }

  /** What the server holds, when it is new here. */
  #take(state: FleetState): void {
    const known = this.#state;
    this.#state = state;
    if (known === undefined || known.born === state.born) return;
    // The server has lost everything: what this process still has of the epoch makes up for its share.
    this.#outbox.reset();
    this.#view = undefined;
    this.#seat = { ...this.#seat, epoch: undefined };
    const { own, clock } = this.#options;
    own.takeDelta(clock.now(), { keys: false });
    const { evidence: _, ...contents } = own.dump(clock.now()).contents;
    this.#outbox.add(this.#seat, shiftDelta(contents, this.#clockOffsetMs));
  }

  #adopt(state: FleetState): void {
    const known = this.#state;
    if (known?.born !== state.born || state.version <= known.version) return;
    this.#state = state;
    this.#options.listener.onState(state);
  }

  #sit(epoch: number, seat: DeltaSeat & { revision: string | undefined }): void {
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

  #lead(fence: number | undefined): void {
    if (fence === this.#fence) return;
    this.#fence = fence;
    this.#view = undefined;
    if (fence !== undefined) this.#judge();
  }

  #judge(): void {
    const fence = this.#fence;
    const { listener } = this.#options;
    if (fence === undefined || this.#judging !== undefined || !this.#isConnected()) return;
    this.#judging = this.#look(fence)
      .catch((error) => {
        // Whether the store is away, the next sync tells.
        if (!isFleetError(error) || error.needsPerson)
          listener.onFault("judging the fleet's outcomes", error);
      })
      .finally(() => {
        this.#judging = undefined;
      });
  }

  async #look(fence: number): Promise<void> {
    const { link, emptyStore, judgeMemory, listener, clock } = this.#options;
    const { onFault } = listener;
    const isNew = this.#view === undefined;
    const view =
      this.#view ?? (await FleetView.take({ link, fence, emptyStore, judgeMemory, onFault }, this.serverNow));
    const read = await view.advance(this.serverNow);
    // Somebody else may have become the judge while this was read.
    if (fence !== this.#fence) return;
    if (read === undefined) {
      this.#lead(undefined);
      return;
    }
    if (isNew && this.#baseline !== undefined) view.setBaseline(this.#baseline);
    this.#view = view;
    if (isNew || read > 0) listener.onOutcomes();
    if (clock.monotonic() - this.#keptAt < KEEP_MS) return;
    this.#keptAt = clock.monotonic();
    await view.keep(this.serverNow);
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
