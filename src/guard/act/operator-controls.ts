import { randomUUID } from 'node:crypto';
import { REQUEST_LIFETIME_MS } from '../../fleet/control-link.js';
import { isConnectionFailure } from '../../fleet/fleet-link.js';
import { ControlFolder } from '../../journal/control-folder.js';
import type { OpenFolder } from '../../journal/guard-folder.js';
import {
  type Alert,
  alertSchema,
  type Control,
  type ControlReply,
  type ControlRequest,
  type ControlState,
  controlSchema,
} from '../../model/control.js';
import type { GuardEvent } from '../../model/event.js';
import { messageOf } from '../../support/async/callbacks.js';
import { parseConfig } from '../../support/config-error.js';
import type { GuardContext } from '../context/guard-context.js';
import { ControlError, isControlError } from '../control/control-error.js';
import { type ControlLedger, isInForce, withAnswer } from '../control/control-state.js';
import type { GuardFleet } from '../guard-fleet.js';
import { AutomaticControls } from './automatic-controls.js';
import { type ControlActions, stopOf } from './control-actions.js';

/** Where a request came from, if not from this process: there it is begun and answered. */
interface Source {
  readonly begin: (request: ControlRequest) => Promise<boolean>;
  readonly answer: (state: ControlState, reply: ControlReply) => Promise<boolean>;
}

/** The requests of operators: takes them from this process, its folder and its fleet, does each once, and remembers what is in force. */
export class OperatorControls {
  readonly #context: GuardContext;
  readonly #fleet: GuardFleet;
  readonly #ledger: ControlLedger;
  readonly #actions: ControlActions;
  readonly #automatic: AutomaticControls;
  readonly #save: () => void;
  readonly #closing = new AbortController();
  #isOpen = false;
  #folder: ControlFolder | undefined;
  /** One after another: two operators at once are one after the other. */
  #work: Promise<unknown> = Promise.resolve();
  #taking: Promise<void> | undefined;
  /** Requests from outside that are under way, by their ids. */
  readonly #underWay = new Map<string, Promise<unknown>>();

  /** @param save - Begins to write the ledger to the journal. */
  constructor(
    context: GuardContext,
    fleet: GuardFleet,
    ledger: ControlLedger,
    actions: ControlActions,
    save: () => void,
  ) {
    this.#context = context;
    this.#fleet = fleet;
    this.#ledger = ledger;
    this.#actions = actions;
    this.#save = save;
    this.#automatic = new AutomaticControls(context, fleet, ledger, (change) => this.#change(change));
  }

  /** What is in force. */
  get inForce() {
    return this.#ledger.inForce;
  }

  /** From now on, requests are taken. */
  open(folder: OpenFolder | undefined): void {
    this.#isOpen = true;
    if (folder !== undefined) this.#folder = new ControlFolder(folder.path, folder);
  }

  /** One request. @throws ConfigError when it is invalid, ControlError when it is refused. */
  async control(given: unknown): Promise<ControlReply> {
    return this.#ask(parseConfig(controlSchema, given, 'control'));
  }

  /**
   * A notification of an alert. A stop that no leader answers is done by this process, as a stop waits for nobody.
   *
   * @throws ConfigError when it is invalid, ControlError when it was not taken.
   */
  async alert(given: unknown): Promise<ControlReply> {
    const alert = parseConfig(alertSchema, given, 'alert');
    try {
      return await this.#ask(alert);
    } catch (error) {
      const isUnanswered = isControlError(error) && (error.code === 'FLEET' || error.code === 'NO_REPLY');
      if (!alert.isFiring || alert.action !== 'stop' || alert.dryRun || !isUnanswered) throw error;
      return this.#ask({ type: 'stop', ...stopOf(alert) });
    }
  }

  async #ask(control: Control | Alert): Promise<ControlReply> {
    if (!this.#isOpen) {
      throw new ControlError('NOT_RUNNING', `The guard of ${this.#context.flagKey} is not running.`);
    }
    const reply = await this.#route(this.#request(control));
    if (!reply.accepted) throw new ControlError(reply.code as ControlError['code'], reply.message);
    return reply;
  }

  /** Called on every tick: ends mutes, and takes what waits in the folder and in the fleet. */
  tick(): void {
    this.#automatic.endMutes();
    const take = async () => {
      try {
        await this.#takeFromFolder();
        await this.#takeFromFleet();
        this.#context.records.works('taking requests of operators');
      } catch (error) {
        if (!isConnectionFailure(error)) this.#context.records.fault('taking requests of operators', error);
      }
      this.#taking = undefined;
    };
    if (this.#isOpen) this.#taking ??= take();
  }

  /** What the fleet has agreed on. The leader's own is what the others are to adopt. */
  adopt(state: ControlState | undefined): void {
    if (this.#fleet.controls?.leads) {
      // The store has lost it, or never had it.
      if (state === undefined && isInForce(this.#ledger.state)) this.#shareLater();
      return;
    }
    if (state === undefined || JSON.stringify(state) === JSON.stringify(this.#ledger.state)) return;
    this.#set(state);
  }

  /** Ends what is under way; resolves when it has ended. */
  async close(): Promise<void> {
    this.#isOpen = false;
    this.#closing.abort();
    await Promise.allSettled([this.#taking, this.#work, ...this.#underWay.values()]);
  }

  /** To this process, or to the fleet's leader. Only "stop" does not wait for a leader. */
  async #route(request: ControlRequest): Promise<ControlReply> {
    const { controls } = this.#fleet;
    if (controls === undefined || controls.leads || request.control.type === 'stop') {
      return this.#perform(request);
    }
    return controls.ask(request, this.#closing.signal);
  }

  #request(control: Control | Alert): ControlRequest {
    const at = this.#context.clock.now();
    return { id: randomUUID(), control, at, expiresAt: at + REQUEST_LIFETIME_MS };
  }

  #perform(request: ControlRequest, source?: Source): Promise<ControlReply> {
    // A stop waits for nothing.
    if (request.control.type === 'stop') return this.#performNext(request, source);
    const performed = this.#work.then(() => this.#performNext(request, source));
    this.#work = performed.catch(() => {});
    return performed;
  }

  async #performNext(request: ControlRequest, source: Source | undefined): Promise<ControlReply> {
    const known = this.#ledger.state.answered.find(({ id }) => id === request.id)?.reply;
    if (known !== undefined) {
      await source?.answer(this.#ledger.state, known);
      return known;
    }
    const { clock, records } = this.#context;
    const { control } = request;
    let change = (state: ControlState) => state;
    let event: GuardEvent | undefined;
    let reply: ControlReply;
    try {
      const begin = source?.begin ?? (async () => true);
      const done = await this.#actions.perform(request, this.#ledger.state, begin);
      if (done.change !== undefined) change = done.change;
      event = done.event;
      reply = { accepted: true, message: done.message };
    } catch (error) {
      const code = error instanceof ControlError ? error.code : 'UNLEASH';
      reply = { accepted: false, code, message: messageOf(error) };
      // It is no longer this process's to answer.
      if (code === 'NO_REPLY') return reply;
    }
    const changed = (state: ControlState) =>
      source === undefined ? change(state) : withAnswer(change(state), request.id, reply);
    const answer = source && ((state: ControlState) => source.answer(state, reply));
    if (!(await this.#shareAndSet(changed, answer))) {
      return {
        accepted: false,
        code: 'FLEET',
        message: "The fleet's shared store did not take it: ask again.",
      };
    }
    if (event !== undefined) records.emit(event);
    if (control.type === 'alert') return reply;
    const refused = reply.accepted ? {} : { refused: reply.message };
    records.emit({ type: 'control', at: clock.now(), control, ...refused });
    return reply;
  }

  /** @returns whether the fleet, if there is one, has it too; otherwise nothing has changed here. */
  async #shareAndSet(
    change: (state: ControlState) => ControlState,
    answer: ((state: ControlState) => Promise<boolean>) | undefined,
  ): Promise<boolean> {
    const next = change(this.#ledger.state);
    const { controls } = this.#fleet;
    if (controls === undefined) {
      this.#set(next);
      // The answer follows what it says: after a crash in between, it is found in the journal.
      await this.#context.records.saved();
      await answer?.(next);
      return true;
    }
    if (answer === undefined && next === this.#ledger.state) return true;
    const isSaved = await (answer?.(next) ?? controls.save(next)).catch(() => false);
    // What has changed meanwhile stays.
    if (isSaved) this.#set(change(this.#ledger.state));
    return isSaved;
  }

  #set(next: ControlState): void {
    if (next === this.#ledger.state) return;
    this.#ledger.state = next;
    this.#save();
  }

  async #takeFromFolder(): Promise<void> {
    const folder = this.#folder;
    if (folder === undefined) return;
    for (const request of await folder.take()) {
      if ('unreadable' in request) {
        const message = `The request cannot be used: ${request.unreadable}.`;
        await folder.answer(request.id, { accepted: false, code: 'INVALID_CONFIG', message });
      } else {
        this.#start(request.id, () => this.#performFromFolder(request, folder));
      }
    }
  }

  async #performFromFolder(request: ControlRequest, folder: ControlFolder): Promise<void> {
    const { controls } = this.#fleet;
    const answer = async (reply: ControlReply) => {
      await folder.answer(request.id, reply);
      return true;
    };
    const isKnown = this.#ledger.state.answered.some(({ id }) => id === request.id);
    const isLate = this.#context.clock.now() > request.expiresAt;
    if (isLate && !isKnown && !this.#actions.hasBegun(request)) {
      await answer({ accepted: false, code: 'NO_REPLY', message: 'It came too late, and was not done.' });
      return;
    }
    if (controls === undefined) {
      const begin = async (begun: ControlRequest) => {
        if (begun.step !== undefined) await folder.begin(begun);
        return true;
      };
      await this.#perform(request, { begin, answer: (_, reply) => answer(reply) });
      return;
    }
    const reply = await this.#route(request).catch((error: unknown) => ({
      accepted: false,
      code: error instanceof ControlError ? error.code : 'FLEET',
      message: messageOf(error),
    }));
    await answer(reply);
  }

  async #takeFromFleet(): Promise<void> {
    const { controls } = this.#fleet;
    if (controls === undefined) return;
    for (const request of await controls.take()) {
      const source: Source = {
        begin: (begun) => controls.begin(begun),
        answer: (state, reply) => controls.save(state, { id: request.id, reply }),
      };
      this.#start(request.id, () => this.#perform(request, source));
    }
  }

  /** Every tick finds it until it is answered: it is known until then, and until what was read before has been gone through. */
  #start(id: string, run: () => Promise<unknown>): void {
    if (this.#underWay.has(id)) return;
    const running = run()
      .catch((error) => this.#context.records.fault('a request of an operator', error))
      .finally(() => Promise.resolve(this.#taking).then(() => this.#underWay.delete(id)));
    this.#underWay.set(id, running);
  }

  /** A change that this process makes by itself: at once here, and shared as soon as that is possible. */
  #change(change: (state: ControlState) => ControlState): void {
    this.#set(change(this.#ledger.state));
    if (this.#fleet.controls !== undefined) this.#shareLater();
  }

  #shareLater(): void {
    const share = async () => {
      await this.#fleet.controls?.save(this.#ledger.state);
    };
    this.#work = this.#work.then(share).catch(() => {});
  }
}
