import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Decision } from '../../model/shapes.js';
import { earlierBookSchema } from '../../rollups/book-state.js';
import { withDeadline } from '../../support/deadline.js';
import { parseJson } from '../../support/json.js';
import {
  type Announcement,
  FleetError,
  type FleetLink,
  type SavedCheckpoint,
  type SentRollups,
  type SyncRequest,
} from '../fleet-link.js';
import {
  type FleetEntries,
  type FleetProcesses,
  type FleetState,
  fleetEntriesSchema,
  fleetProcessSchema,
  fleetStateSchema,
  jsonText,
  type Lease,
  type ProcessAbout,
  processGroupSchema,
  type SyncReply,
  stopNoticeSchema,
  syncReplySchema,
} from '../fleet-shapes.js';
import { longestPauseMs } from '../spread.js';
import { parseReply, type RedisConnection } from './redis-client.js';
import { RedisControls } from './redis-controls.js';
import { redisFailure } from './redis-failure.js';
import type { RedisKeys } from './redis-keys.js';
import { RedisRollout } from './redis-rollout.js';
import type { RedisScript } from './script.js';
import {
  CLEAR_STOP,
  FINISH_STOP,
  LOAD_CHECKPOINT,
  OPEN,
  READ,
  SAVE_CHECKPOINT,
  SENT,
  STOP,
  SYNC,
} from './scripts.js';
import { NOTE_FLAG, READ_PROCESSES, SAVE_VIEW } from './view-scripts.js';

/** The times of a {@link RedisLink}, in milliseconds; see `RedisOutcomeStoreOptions`. */
interface RedisTimes {
  readonly leaseMs: number;
  readonly flushMs: number;
  readonly evaluateMs: number;
  readonly timeoutMs: number;
  readonly retentionMs: number;
}

/**
 * Commands that may wait for a reply at once: a silent server must not fill this process's memory. While one waits for longer than a reply
 * may take, none is sent after it: it would wait as well, and the client would take the connection for one that works.
 */
const MAX_WAITING = 8;
/** How often a leader notes that there is its flag, in milliseconds. */
const NOTE_MS = 60_000;

/** The fleet of one flag in Redis. */
export class RedisLink implements FleetLink {
  readonly instance = randomUUID();
  readonly controls: RedisControls;
  readonly rollout: RedisRollout;
  readonly #connection: RedisConnection;
  readonly #times: RedisTimes;
  readonly #keys: RedisKeys;
  readonly #about: string;
  #unsubscribe: (() => void) | undefined;
  #endConnected: (() => void) | undefined;
  /** In a leader. */
  #onSent: (() => void) | undefined;
  #unsubscribeSent: Promise<() => void> | undefined;
  #isOpen = false;
  #isClosed = false;
  /** Commands that wait for a reply, the oldest first, and since when, by the process's clock. */
  readonly #waiting = new Set<{ readonly since: number }>();
  /** When this flag was noted in the list of all, by the process's clock. */
  #notedAt = Number.NEGATIVE_INFINITY;

  constructor(connection: RedisConnection, keys: RedisKeys, times: RedisTimes, about?: ProcessAbout) {
    connection.retain();
    this.#connection = connection;
    this.#times = times;
    this.#keys = keys;
    this.#about = about === undefined ? '' : JSON.stringify(about);
    this.controls = new RedisControls(this.#run.bind(this), (lease) => this.#leader(lease));
    this.rollout = new RedisRollout(this.#evaluate.bind(this));
  }

  async open(
    onAnnounced: (announcement: Announcement) => void,
    onMissed?: () => void,
  ): Promise<readonly string[]> {
    if (this.#isOpen) return [];
    if (this.#isClosed) throw new FleetError('UNREACHABLE', 'The connection was closed.');
    try {
      const [version, evictionPolicy] = parseReply(openReplySchema, await this.#run(OPEN, []));
      checkVersion(version);
      await this.#subscribe(onAnnounced);
      this.#isOpen = true;
      return evictionPolicy === 'noeviction' || evictionPolicy === ''
        ? []
        : [evictionWarning(evictionPolicy)];
    } finally {
      // Only what connects from now on may have missed an announcement.
      if (onMissed !== undefined && !this.#isClosed)
        this.#endConnected ??= this.#connection.onConnected(onMissed);
    }
  }

  async sync({ assignment, delta, ...request }: SyncRequest): Promise<SyncReply> {
    const { leaseMs, retentionMs } = this.#times;
    const header = JSON.stringify({
      ...request,
      ...assignment,
      instance: this.instance,
      about: this.#about,
      newDatasetId: randomUUID(),
      leaseMs,
      retentionMs,
      sequence: delta?.sequence ?? 0,
      deltaEpoch: delta?.epoch,
    });
    const text = await this.#run(SYNC, [header, delta?.text ?? '', ...(delta?.totals.flat() ?? [])]);
    const reply = parseReply(syncReplyText, text);
    this.#connection.longestPauseMs = longestPauseMs(reply, request.mayLead);
    return reply;
  }

  async read(
    lease: Lease,
    after: string,
    count: number,
    onSent?: () => void,
  ): Promise<FleetEntries | undefined> {
    const start = after === '' ? '-' : `(${after}`;
    const { leaseMs, flushMs, evaluateMs } = this.#times;
    const wakes = onSent !== undefined && (await this.#listenForSent(onSent)) ? 1 : 0;
    const args = [this.#leader(lease), start, count, leaseMs, flushMs + evaluateMs, wakes];
    const reply = await this.#run(READ, args);
    return parseReply(fleetEntriesSchema.optional(), reply ?? undefined);
  }

  async loadCheckpoint(): Promise<SavedCheckpoint> {
    const reply = await this.#run(LOAD_CHECKPOINT, []);
    const [text, rollups, linesAdded] = parseReply(checkpointReplySchema, reply);
    // Rollups of another version: those that are over stay, and new ones begin.
    const earlier = earlierBookText.safeParse(rollups).data;
    return { text: text === '' ? undefined : text, rollups: earlier, linesAdded: Number(linesAdded) || 0 };
  }

  async saveCheckpoint(lease: Lease, upTo: string, text: string, rollups: SentRollups): Promise<boolean> {
    const { earlier, lines, linesAdded, events } = rollups;
    const checkpoint = [this.#leader(lease), upTo === '' ? '0-0' : upTo, text, this.#times.retentionMs];
    const added = lines.flatMap(({ series, line }) => [series, line]);
    const shared = JSON.stringify(events.map((event) => JSON.stringify(event)));
    const args = [...checkpoint, JSON.stringify(earlier), linesAdded, shared, ...added];
    const isSaved = (await this.#run(SAVE_CHECKPOINT, args)) === 1;
    if (isSaved) await this.#noteFlag();
    return isSaved;
  }

  async processes(): Promise<FleetProcesses> {
    const [listed, groups] = parseReply(processesReplySchema, await this.#run(READ_PROCESSES, []));
    // What cannot be read is of another version of this package.
    return {
      listed: listed.flatMap((each) => fleetProcessSchema.safeParse(each).data ?? []),
      groups: groups.flatMap((each) => processGroupSchema.safeParse(each).data ?? []),
    };
  }

  async saveView(lease: Lease, text: string): Promise<boolean> {
    return (await this.#run(SAVE_VIEW, [this.#leader(lease), text, this.#times.retentionMs])) === 1;
  }

  async stop(decision: Decision, fence: number | undefined): Promise<FleetState> {
    const { id, epoch, requestedBy, reason } = decision;
    const by = requestedBy === undefined ? 'triggers' : 'operator';
    return this.#changeState(STOP, id, JSON.stringify(decision), epoch, fence ?? '', by, reason);
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
    this.#endConnected?.();
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    this.#unsubscribeSent?.then((end) => end()).catch(() => {});
    this.#connection.release();
  }

  /** For whoever asks which flags there are; the fleet itself does not need it. */
  async #noteFlag(): Promise<void> {
    const now = performance.now();
    if (now - this.#notedAt < NOTE_MS) return;
    this.#notedAt = now;
    const { name, flags } = this.#keys;
    await this.#run(NOTE_FLAG, [name, this.#times.retentionMs], [flags]).catch(() => {});
  }

  /** The value of the leader's key while this process is the leader with this lease. */
  #leader({ fence, datasetId }: Lease): string {
    return `${this.instance} ${fence} ${datasetId}`;
  }

  async #changeState(script: RedisScript, ...args: (string | number)[]): Promise<FleetState> {
    return parseReply(fleetStateText, await this.#run(script, args));
  }

  async #subscribe(onAnnounced: (announcement: Announcement) => void): Promise<void> {
    const { channel } = this.#keys;
    const onMessage = (message: string) => {
      if (!this.#isClosed) onAnnounced(announcementOf(message));
    };
    const subscribed = this.#connection.subscribe(channel, onMessage);
    const unsubscribe = await subscribed.catch((error: unknown) => {
      throw redisFailure(error);
    });
    // It was closed meanwhile.
    if (this.#isClosed) unsubscribe();
    else this.#unsubscribe = unsubscribe;
  }

  /** @returns whether it listens: if not, the leader reads once per second nevertheless. */
  async #listenForSent(onSent: () => void): Promise<boolean> {
    this.#onSent = onSent;
    const channel = `${this.#keys.channel}${SENT}`;
    this.#unsubscribeSent ??= this.#connection.subscribe(channel, () => {
      if (!this.#isClosed) this.#onSent?.();
    });
    try {
      await this.#unsubscribeSent;
      return true;
    } catch {
      this.#unsubscribeSent = undefined;
      return false;
    }
  }

  async #run(
    script: RedisScript,
    args: readonly (string | number)[],
    keys = this.#keys.all,
  ): Promise<unknown> {
    const command = { since: performance.now() };
    const [oldest = command] = this.#waiting;
    const isSilent = command.since - oldest.since >= this.#times.timeoutMs;
    if (isSilent || this.#waiting.size >= MAX_WAITING)
      throw new FleetError('TIMEOUT', 'Redis does not reply.');
    this.#waiting.add(command);
    return this.#evaluate(script, args, keys, () => this.#waiting.delete(command));
  }

  /** @param onEnd - Called when Redis has replied, however late. */
  async #evaluate(
    script: RedisScript,
    args: readonly (string | number)[],
    keys = this.#keys.all,
    onEnd: () => unknown = () => {},
  ): Promise<unknown> {
    try {
      return await withDeadline(this.#times.timeoutMs, undefined, () =>
        this.#connection.evaluate(script, keys, args.map(String)).finally(onEnd),
      );
    } catch (error) {
      throw redisFailure(error);
    }
  }
}

// Made once: making one costs more than using it.
const syncReplyText = jsonText(syncReplySchema);
const fleetStateText = jsonText(fleetStateSchema);
const earlierBookText = jsonText(earlierBookSchema);
const openReplySchema = z.tuple([z.string(), z.string()]);
const processesReplySchema = z.tuple([z.array(z.unknown()), z.array(z.unknown())]);
const checkpointReplySchema = z.tuple([z.string(), z.string(), z.string()]);

/** Whatever else is published there has neither a stop nor a state. */
function announcementOf(message: string): Announcement {
  const end = message.indexOf('\n');
  const isWhole = end > 0 && message.endsWith('}');
  const stop = isWhole ? stopNoticeSchema.safeParse(parseJson(message.slice(0, end))).data : undefined;
  return { stop, read: () => fleetStateText.safeParse(message.slice(end + 1)).data };
}

function evictionWarning(policy: string): string {
  return (
    `Redis deletes keys when its memory is full (maxmemory-policy ${policy}), and the fleet's among the first, because they ` +
    'expire. What was counted is then collected anew. Set maxmemory-policy to noeviction, or give the fleet a Redis of its own.'
  );
}

/** XTRIM by identifier came with 6.2. Where INFO is not allowed, the version is unknown. */
function checkVersion(version: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (version === '' || major > 6 || (major === 6 && minor >= 2)) return;
  const message = `Redis ${version} is too old: 6.2 or later (or Valkey) is needed.`;
  throw new FleetError('UNSUPPORTED_VERSION', message);
}
