import { randomUUID } from 'node:crypto';
import type { Decision } from '../../model/shapes.js';
import {
  type FleetEntries,
  FleetError,
  type FleetLink,
  type FleetListener,
  type FleetState,
  type SyncReply,
  type SyncRequest,
} from '../fleet-link.js';
import type { RedisClient } from './redis-client.js';
import { redisFailure } from './redis-failure.js';
import { readEntry, readState, readSyncReply } from './redis-replies.js';
import {
  FINISH_STOP,
  LOAD_CHECKPOINT,
  OPEN,
  READ,
  RELEASE,
  type RedisScript,
  SAVE_CHECKPOINT,
  STOP,
  SYNC,
} from './scripts.js';

/** What {@link RedisLink} works with. */
export interface RedisLinkOptions {
  /** The connected client. */
  readonly client: () => Promise<RedisClient>;
  /** Called when the link needs the client no longer. */
  readonly onClose: () => void;
  /** Why the client is not connected, when that is known. */
  readonly problem: () => Error | undefined;
  /** The beginning of all keys of the flag. */
  readonly base: string;
  /** The time after which a judge that is silent is no judge, in milliseconds. */
  readonly leaseMs: number;
  /** How long keys live after the last write, in milliseconds. */
  readonly retentionMs: number;
  /** How long an answer may take, in milliseconds. */
  readonly timeoutMs: number;
}

/** Deltas that are kept while nobody judges; beyond that, processes keep theirs until somebody does. */
const MOST_ENTRIES = 20_000;
/** Epochs whose totals are kept. */
const MOST_EPOCHS = 32;
/** Fields of one epoch's totals, beyond which error types count as `other`. */
const MOST_FIELDS = 2_000;
/** Commands that may wait for an answer at once: a server that is silent must not fill this process. */
const MOST_WAITING = 8;

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
    this.#keys = ['state', 'members', 'seen', 'judge', 'deltas', 'totals:', 'checkpoint'].map(
      (name) => `${options.base}:${name}`,
    );
  }

  async open(listener: FleetListener): Promise<void> {
    if (this.#isOpen) return;
    checkVersion(String((await this.#run(OPEN, [])) ?? ''));
    await this.#subscribe(listener);
    this.#isOpen = true;
  }

  async sync({ datasetId, version, seat, delta, mayLead }: SyncRequest): Promise<SyncReply> {
    const { leaseMs, retentionMs } = this.#options;
    const answer = await this.#run(SYNC, [
      this.instance,
      this.#channel,
      retentionMs,
      MOST_EPOCHS,
      MOST_ENTRIES,
      leaseMs,
      MOST_FIELDS,
      datasetId,
      version,
      mayLead ? 1 : 0,
      randomUUID(),
      seat.epoch,
      seat.seenRevision,
      seat.revision,
      seat.keepWindows ? 1 : 0,
      seat.atLeast,
      delta?.sequence ?? 0,
      delta?.epoch ?? 0,
      delta?.text ?? '',
      delta?.skipsLost ? 1 : 0,
      ...(delta?.totals.flat() ?? []),
    ]);
    return readSyncReply(answer);
  }

  async read(fence: number, after: string, count: number): Promise<FleetEntries | undefined> {
    const start = after === '' ? '-' : `(${after}`;
    const answer = await this.#run(READ, [`${this.instance} ${fence}`, start, count]);
    if (!Array.isArray(answer)) return undefined;
    const [serverRun, entries] = answer as [unknown, unknown[]];
    return { serverRun: String(serverRun), entries: entries.map(readEntry) };
  }

  async loadCheckpoint(): Promise<string | undefined> {
    const answer = await this.#run(LOAD_CHECKPOINT, []);
    return typeof answer === 'string' ? answer : undefined;
  }

  async saveCheckpoint(fence: number, upTo: string, text: string): Promise<boolean> {
    const { retentionMs } = this.#options;
    return (await this.#run(SAVE_CHECKPOINT, [`${this.instance} ${fence}`, upTo, text, retentionMs])) === 1;
  }

  async stop(decision: Decision): Promise<FleetState> {
    const { id } = decision;
    return readState(await this.#run(STOP, [this.#channel, id, JSON.stringify(decision), randomUUID()]));
  }

  async finishStop(decisionId: string, done: 'off' | 'stepped-back'): Promise<FleetState> {
    return readState(await this.#run(FINISH_STOP, [this.#channel, decisionId, done]));
  }

  async clearStop(decisionId: string, revision: string, atLeast: number): Promise<FleetState> {
    return readState(await this.#run(RELEASE, [this.#channel, decisionId, revision, MOST_EPOCHS, atLeast]));
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    this.#subscriber?.destroy();
    this.#subscriber = undefined;
    this.#options.onClose();
  }

  async #subscribe(listener: FleetListener): Promise<void> {
    const client = await this.#options.client();
    const subscriber = client.duplicate();
    // Without a listener, a lost connection would end the process. It connects and subscribes again by itself.
    subscriber.on('error', () => {});
    try {
      const { timeoutMs } = this.#options;
      await withTimeout(Promise.resolve(subscriber.connect()), timeoutMs);
      const subscribed = subscriber.subscribe(this.#channel, (message) => {
        const state = parseState(message);
        if (state !== undefined) listener.onState(state);
      });
      await withTimeout(Promise.resolve(subscribed), timeoutMs);
    } catch (error) {
      subscriber.destroy();
      throw redisFailure(error);
    }
    this.#subscriber = subscriber;
  }

  async #run(script: RedisScript, args: readonly (string | number)[]): Promise<unknown> {
    if (this.#waiting >= MOST_WAITING) {
      throw new FleetError('Redis does not answer.', { requiresAction: false });
    }
    this.#waiting++;
    const answer = this.#evaluate(script, args.map(String)).finally(() => {
      this.#waiting--;
    });
    return await withTimeout(answer, this.#options.timeoutMs);
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
      // That the client is offline says less than why.
      const isOffline = error instanceof Error && /offline|closed/i.test(error.message);
      throw redisFailure((isOffline && this.#options.problem()) || error);
    }
  }
}

async function withTimeout<T>(answer: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new FleetError(`Redis did not answer within ${timeoutMs} ms.`, { requiresAction: false })),
      timeoutMs,
    );
    timer.unref();
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
    // Whoever waited has gone on: a failure that comes later is nobody's.
    answer.catch(() => {});
  }
}

function parseState(message: string): FleetState | undefined {
  try {
    return readState(JSON.parse(message));
  } catch {
    // Whatever else was published there. The next sync tells the state anyway.
    return undefined;
  }
}

/** XTRIM by identifier came with 6.2. Where INFO is not allowed, nothing is known. */
function checkVersion(version: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (version === '' || major > 6 || (major === 6 && minor >= 2)) return;
  throw new FleetError(`Redis ${version} is too old: 6.2 or later (or Valkey) is needed.`, {
    requiresAction: true,
  });
}
