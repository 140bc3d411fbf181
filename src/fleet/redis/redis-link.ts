import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Decision } from '../../model/shapes.js';
import { withDeadline } from '../../support/deadline.js';
import { FleetError, type FleetLink, type Lease, type SyncRequest } from '../fleet-link.js';
import {
  type FleetEntries,
  type FleetState,
  fleetEntriesSchema,
  fleetStateSchema,
  jsonText,
  type SyncReply,
  syncReplySchema,
} from '../fleet-shapes.js';
import type { RedisConnection } from './redis-client.js';
import { redisFailure } from './redis-failure.js';
import type { RedisScript } from './script.js';
import {
  CLEAR_STOP,
  FINISH_STOP,
  LOAD_CHECKPOINT,
  OPEN,
  READ,
  SAVE_CHECKPOINT,
  STOP,
  SYNC,
} from './scripts.js';

/** The times of a {@link RedisLink}, in milliseconds; see `RedisOutcomeStoreOptions`. */
interface RedisTimes {
  readonly leaseMs: number;
  readonly flushMs: number;
  readonly evaluateMs: number;
  readonly timeoutMs: number;
  readonly retentionMs: number;
}

/** Commands that may wait for a reply at once: a silent server must not fill this process's memory. */
const MAX_WAITING = 8;

/** The fleet of one flag in Redis. */
export class RedisLink implements FleetLink {
  readonly instance = randomUUID();
  readonly #connection: RedisConnection;
  readonly #times: RedisTimes;
  readonly #keys: string[];
  readonly #channel: string;
  #unsubscribe: (() => void) | undefined;
  #isOpen = false;
  #isClosed = false;
  #waiting = 0;

  /** @param base - The prefix of all keys of the flag. */
  constructor(connection: RedisConnection, base: string, times: RedisTimes) {
    connection.retain();
    this.#connection = connection;
    this.#times = times;
    this.#channel = `${base}:changes`;
    const names = ['state', 'members', 'seen', 'settled', 'leader', 'deltas', 'totals:', 'checkpoint'];
    this.#keys = [...names.map((name) => `${base}:${name}`), this.#channel];
  }

  async open(onState: (state: FleetState) => void): Promise<readonly string[]> {
    if (this.#isOpen) return [];
    if (this.#isClosed) throw new FleetError('UNREACHABLE', 'The connection was closed.');
    const [version, evictionPolicy] = parseReply(openReplySchema, await this.#run(OPEN, []));
    checkVersion(version);
    await this.#subscribe(onState);
    this.#isOpen = true;
    return evictionPolicy === 'noeviction' || evictionPolicy === '' ? [] : [evictionWarning(evictionPolicy)];
  }

  async sync({ assignment, delta, ...request }: SyncRequest): Promise<SyncReply> {
    const { leaseMs, retentionMs } = this.#times;
    const header = JSON.stringify({
      ...request,
      ...assignment,
      instance: this.instance,
      newDatasetId: randomUUID(),
      leaseMs,
      retentionMs,
      sequence: delta?.sequence ?? 0,
      deltaEpoch: delta?.epoch,
    });
    const reply = await this.#run(SYNC, [header, delta?.text ?? '', ...(delta?.totals.flat() ?? [])]);
    return parseReply(jsonText(syncReplySchema), reply);
  }

  async read(lease: Lease, after: string, count: number): Promise<FleetEntries | undefined> {
    const start = after === '' ? '-' : `(${after}`;
    const { leaseMs, flushMs, evaluateMs } = this.#times;
    const args = [this.#leader(lease), start, count, leaseMs, flushMs + evaluateMs];
    const reply = await this.#run(READ, args);
    return parseReply(fleetEntriesSchema.optional(), reply ?? undefined);
  }

  async loadCheckpoint(): Promise<string | undefined> {
    return parseReply(z.string().optional(), (await this.#run(LOAD_CHECKPOINT, [])) ?? undefined);
  }

  async saveCheckpoint(lease: Lease, upTo: string, text: string): Promise<boolean> {
    const args = [this.#leader(lease), upTo === '' ? '0-0' : upTo, text, this.#times.retentionMs];
    return (await this.#run(SAVE_CHECKPOINT, args)) === 1;
  }

  async stop(decision: Decision, fence: number | undefined): Promise<FleetState> {
    const { id, epoch } = decision;
    return this.#changeState(STOP, id, JSON.stringify(decision), epoch, fence ?? '');
  }

  async finishStop(decisionId: string, done: 'off' | 'stepped-back'): Promise<FleetState> {
    return this.#changeState(FINISH_STOP, decisionId, done);
  }

  async clearStop(decisionId: string, revision: string, minEpoch: number): Promise<FleetState> {
    return this.#changeState(CLEAR_STOP, decisionId, revision, minEpoch);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isOpen = false;
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    this.#connection.release();
  }

  /** The value of the leader's key while this process is the leader with this lease. */
  #leader({ fence, datasetId }: Lease): string {
    return `${this.instance} ${fence} ${datasetId}`;
  }

  async #changeState(script: RedisScript, ...args: (string | number)[]): Promise<FleetState> {
    return parseReply(jsonText(fleetStateSchema), await this.#run(script, args));
  }

  async #subscribe(onState: (state: FleetState) => void): Promise<void> {
    const onMessage = (message: string) => {
      // Whatever else is published there is ignored: the next sync replies with the state anyway.
      const state = jsonText(fleetStateSchema).safeParse(message);
      if (state.success && !this.#isClosed) onState(state.data);
    };
    const unsubscribe = await this.#connection.subscribe(this.#channel, onMessage).catch((error: unknown) => {
      throw redisFailure(error);
    });
    // It was closed meanwhile.
    if (this.#isClosed) unsubscribe();
    else this.#unsubscribe = unsubscribe;
  }

  async #run(script: RedisScript, args: readonly (string | number)[]): Promise<unknown> {
    if (this.#waiting >= MAX_WAITING) throw new FleetError('TIMEOUT', 'Redis does not reply.');
    this.#waiting++;
    try {
      return await withDeadline(this.#times.timeoutMs, undefined, () =>
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
      const client = await this.#connection.client();
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
      throw (isOffline && this.#connection.problem) || error;
    }
  }
}

const openReplySchema = z.tuple([z.string(), z.string()]);

function evictionWarning(policy: string): string {
  return (
    `Redis deletes keys when its memory is full (maxmemory-policy ${policy}), and the fleet's among the first, because they ` +
    'expire. What was counted is then collected anew. Set maxmemory-policy to noeviction, or give the fleet a Redis of its own.'
  );
}

function parseReply<Schema extends z.ZodType>(schema: Schema, reply: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(reply);
  if (parsed.success) return parsed.data;
  const message = "Redis has other data under the guard's names: give RedisOutcomeStore another prefix.";
  throw new FleetError('FOREIGN_DATA', message, parsed.error);
}

/** XTRIM by identifier came with 6.2. Where INFO is not allowed, the version is unknown. */
function checkVersion(version: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (version === '' || major > 6 || (major === 6 && minor >= 2)) return;
  const message = `Redis ${version} is too old: 6.2 or later (or Valkey) is needed.`;
  throw new FleetError('UNSUPPORTED_VERSION', message);
}
