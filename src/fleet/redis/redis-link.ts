import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Decision } from '../../model/shapes.js';
import { withDeadline } from '../../support/deadline.js';
import { FleetError, type FleetLink, type FleetListener, type SyncRequest } from '../fleet-link.js';
import {
  type FleetEntries,
  type FleetState,
  fleetEntriesSchema,
  fleetStateSchema,
  type SyncReply,
  syncReplySchema,
} from '../fleet-shapes.js';
import type { RedisClient } from './redis-client.js';
import { redisFailure } from './redis-failure.js';
import {
  CLEAR_STOP,
  FINISH_STOP,
  LOAD_CHECKPOINT,
  OPEN,
  READ,
  type RedisScript,
  SAVE_CHECKPOINT,
  STOP,
  SYNC,
} from './scripts.js';

/** What {@link RedisLink} needs. */
export interface RedisLinkOptions {
  /** The connected client. */
  readonly client: () => Promise<RedisClient>;
  /** Called when the link needs the client no longer. */
  readonly onClose: () => void;
  /** Why the client is not connected, when that is known. */
  readonly problem: () => Error | undefined;
  /** The prefix of all keys of the flag. */
  readonly base: string;
  /** The time after which a silent leader loses its role, in milliseconds. */
  readonly leaseMs: number;
  /** How long keys live after the last write, in milliseconds. */
  readonly retentionMs: number;
  /** How long a reply may take, in milliseconds. */
  readonly timeoutMs: number;
}

/** Deltas that are stored while the fleet has no leader; beyond that, processes keep theirs until there is one. */
const MAX_ENTRIES = 20_000;
/** Epochs whose totals are kept. */
const MAX_EPOCHS = 32;
/** Fields of one epoch's totals, beyond which error types count as `other`. */
const MAX_FIELDS = 2_000;
/** Commands that may wait for a reply at once: a server that is silent must not fill this process. */
const MAX_WAITING = 8;

/** The fleet of one flag in Redis. */
export class RedisLink implements FleetLink {
  readonly instance = randomUUID();
  readonly #options: RedisLinkOptions;
  readonly #keys: string[];
  readonly #channel: string;
  #subscriber: RedisClient | undefined;
  #isOpen = false;
  #waiting = 0;

  constructor(options: RedisLinkOptions) {
    this.#options = options;
    this.#channel = `${options.base}:changes`;
    this.#keys = ['state', 'members', 'seen', 'leader', 'deltas', 'totals:', 'checkpoint'].map(
      (name) => `${options.base}:${name}`,
    );
  }

  async open(listener: FleetListener): Promise<void> {
    if (this.#isOpen) return;
    checkVersion(String((await this.#run(OPEN, [])) ?? ''));
    await this.#subscribe(listener);
    this.#isOpen = true;
  }

  async sync({ datasetId, version, assignment, delta, mayLead }: SyncRequest): Promise<SyncReply> {
    const { leaseMs, retentionMs } = this.#options;
    const reply = await this.#run(SYNC, [
      this.instance,
      this.#channel,
      retentionMs,
      MAX_EPOCHS,
      MAX_ENTRIES,
      leaseMs,
      MAX_FIELDS,
      datasetId,
      version,
      mayLead ? 1 : 0,
      randomUUID(),
      assignment.epoch,
      assignment.seenRevision,
      assignment.revision,
      assignment.keepWindows ? 1 : 0,
      assignment.minEpoch,
      delta?.sequence ?? 0,
      delta?.epoch ?? 0,
      delta?.text ?? '',
      delta?.skipsLost ? 1 : 0,
      ...(delta?.totals.flat() ?? []),
    ]);
    return parseReply(syncReplySchema, fromJson(reply));
  }

  async read(fence: number, after: string, count: number): Promise<FleetEntries | undefined> {
    const start = after === '' ? '-' : `(${after}`;
    const reply = await this.#run(READ, [this.#leader(fence), start, count]);
    return parseReply(fleetEntriesSchema.optional(), reply ?? undefined);
  }

  async loadCheckpoint(): Promise<string | undefined> {
    return parseReply(z.string().optional(), (await this.#run(LOAD_CHECKPOINT, [])) ?? undefined);
  }

  async saveCheckpoint(fence: number, upTo: string, text: string): Promise<boolean> {
    const { retentionMs } = this.#options;
    return (await this.#run(SAVE_CHECKPOINT, [this.#leader(fence), upTo, text, retentionMs])) === 1;
  }

  async stop(decision: Decision): Promise<FleetState> {
    return this.#changeState(STOP, decision.id, JSON.stringify(decision), randomUUID());
  }

  async finishStop(decisionId: string, done: 'off' | 'stepped-back'): Promise<FleetState> {
    return this.#changeState(FINISH_STOP, decisionId, done);
  }

  async clearStop(decisionId: string, revision: string, minEpoch: number): Promise<FleetState> {
    return this.#changeState(CLEAR_STOP, decisionId, revision, MAX_EPOCHS, minEpoch);
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    this.#subscriber?.destroy();
    this.#subscriber = undefined;
    this.#options.onClose();
  }

  /** The value of the leader's key while this process is the leader with this number. */
  #leader(fence: number): string {
    return `${this.instance} ${fence}`;
  }

  async #changeState(script: RedisScript, ...args: (string | number)[]): Promise<FleetState> {
    return parseReply(fleetStateSchema, fromJson(await this.#run(script, [this.#channel, ...args])));
  }

  async #subscribe(listener: FleetListener): Promise<void> {
    const { timeoutMs } = this.#options;
    const subscriber = (await this.#options.client()).duplicate();
    // Without a listener, a lost connection would end the process. It connects and subscribes again by itself.
    subscriber.on('error', () => {});
    try {
      await withDeadline(timeoutMs, undefined, () => subscriber.connect());
      const onMessage = (message: string) => {
        // Whatever else is published there is ignored: the next sync replies with the state anyway.
        const state = fleetStateSchema.safeParse(fromJson(message));
        if (state.success) listener.onState(state.data);
      };
      await withDeadline(timeoutMs, undefined, () => subscriber.subscribe(this.#channel, onMessage));
    } catch (error) {
      subscriber.destroy();
      throw redisFailure(error);
    }
    this.#subscriber = subscriber;
  }

  async #run(script: RedisScript, args: readonly (string | number)[]): Promise<unknown> {
    if (this.#waiting >= MAX_WAITING) throw new FleetError('TIMEOUT', 'Redis does not reply.');
    this.#waiting++;
    try {
      return await withDeadline(this.#options.timeoutMs, undefined, () =>
        this.#evaluate(script, args.map(String)).finally(() => {
          this.#waiting--;
        }),
      );
    } catch (error) {
      throw redisFailure(error);
    }
  }

  async #evaluate(script: RedisScript, args: string[]): Promise<unknown> {
    try {
      const client = await this.#options.client();
      const options = { keys: this.#keys, arguments: args };
      try {
        return await client.evalSha(script.digest, options);
      } catch (error) {
        if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
        return await client.eval(script.text, options);
      }
    } catch (error) {
      // "The client is offline" explains less than why.
      const isOffline = error instanceof Error && /offline|closed/i.test(error.message);
      throw (isOffline && this.#options.problem()) || error;
    }
  }
}

function parseReply<Schema extends z.ZodType>(schema: Schema, reply: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(reply);
  if (parsed.success) return parsed.data;
  const message = "Redis has other data under the guard's names: give RedisOutcomeStore another prefix.";
  throw new FleetError('FOREIGN_DATA', message, parsed.error);
}

/** The value of a JSON text; undefined when the text is invalid. */
function fromJson(text: unknown): unknown {
  try {
    return JSON.parse(String(text));
  } catch {
    return undefined;
  }
}

/** XTRIM by identifier came with 6.2. Where INFO is not allowed, the version is unknown. */
function checkVersion(version: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (version === '' || major > 6 || (major === 6 && minor >= 2)) return;
  const message = `Redis ${version} is too old: 6.2 or later (or Valkey) is needed.`;
  throw new FleetError('UNSUPPORTED_VERSION', message);
}
