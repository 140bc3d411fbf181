import type { ServerResponse } from 'node:http';
import type { RolloutView } from '../../model/rollout-view.js';
import type { EventName } from '../api.js';
import type { FlagFeed } from './flag-feed.js';

/** Between two views of one flag, in milliseconds. */
const PACE_MS = 1_000;
/** A fleet's history may be so much later than its view, in milliseconds: the leader saves them apart. */
const BEHIND_MS = 4_000;
/** How often a silent stream shows that it is alive: proxies end what is silent for a minute. */
const HEARTBEAT_MS = 15_000;
/** When a page asks again after a stream has ended. */
const RETRY_MS = 2_000;
/** Views that are made without a pause: users' requests are served in between. */
const VIEWS_AT_ONCE = 20;
/** A reader that takes nothing for so long is gone. */
const STALLED_MS = 30_000;

/** One open page. */
interface Reader {
  readonly response: ServerResponse;
  /** The flag that it shows; undefined: all. */
  readonly flagKey: string | undefined;
  /** Flags whose view it has missed because it took the last ones too slowly. */
  readonly missed: Set<string>;
  /** Since when it takes nothing; undefined while it does. */
  fullSince: number | undefined;
}

/** One flag that is shown. */
interface Channel {
  readonly feed: FlagFeed;
  readonly unsubscribe: () => void;
  publishedAt: number;
  timer: NodeJS.Timeout | undefined;
  isPublishing: boolean;
  /** It has changed since it was published. */
  isDue: boolean;
  /** What the last message of it was, for those who begin to read. */
  view: string | undefined;
  counted: string;
  /** Until when its history may not have all that the view has. */
  behindUntil: number;
}

/** Keeps open pages up to date, by server-sent events. A flag is followed only while a page reads. */
export class EventHub {
  readonly #feeds: () => ReadonlyMap<string, FlagFeed>;
  readonly #maxReaders: number;
  readonly #readers = new Set<Reader>();
  readonly #channels = new Map<string, Channel>();
  /** What is to be published in the next turns of the event loop. */
  readonly #due: Channel[] = [];
  #heartbeat: NodeJS.Timeout | undefined;

  constructor(feeds: () => ReadonlyMap<string, FlagFeed>, maxReaders: number) {
    this.#feeds = feeds;
    this.#maxReaders = maxReaders;
  }

  /** Guards of this process that have all ended have nothing more to show. */
  get isOver(): boolean {
    const feeds = [...this.#feeds().values()];
    return feeds.length > 0 && feeds.every(({ source }) => source.isClosed === true);
  }

  get isFull(): boolean {
    return this.#readers.size >= this.#maxReaders;
  }

  /** Begins a stream: all views now, and then whenever one changes. */
  open(response: ServerResponse, flagKey: string | undefined): void {
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      // Neither a proxy nor a framework may hold back what is sent.
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
    });
    response.write(`retry: ${RETRY_MS}\n\n`);
    const reader: Reader = { response, flagKey, missed: new Set(), fullSince: undefined };
    this.#readers.add(reader);
    const end = () => this.#drop(reader);
    response.once('close', end).once('error', end);
    response.on('drain', () => this.#catchUp(reader));
    this.#heartbeat ??= setInterval(() => this.#beat(), HEARTBEAT_MS).unref();
    this.refresh();
    for (const [key, channel] of this.#channels) {
      if (flagKey !== undefined && flagKey !== key) continue;
      if (channel.view === undefined) this.#changed(channel);
      else this.#send(reader, key, channel.view);
    }
  }

  /** Follows the flags that there are now. */
  refresh(): void {
    const feeds = this.#feeds();
    const isWanted = (key: string) =>
      [...this.#readers].some(({ flagKey }) => flagKey === undefined || flagKey === key);
    for (const [key, channel] of this.#channels) {
      if (feeds.get(key) !== channel.feed || !isWanted(key)) this.#close(key, channel);
    }
    for (const [key, feed] of feeds) {
      if (this.#channels.has(key) || !isWanted(key)) continue;
      const channel: Channel = {
        feed,
        unsubscribe: feed.subscribe(() => this.#changed(channel)),
        publishedAt: Number.NEGATIVE_INFINITY,
        timer: undefined,
        isPublishing: false,
        isDue: false,
        view: undefined,
        counted: '',
        behindUntil: Number.NEGATIVE_INFINITY,
      };
      this.#channels.set(key, channel);
      this.#changed(channel);
    }
  }

  /** Ends every stream. */
  close(): void {
    for (const reader of [...this.#readers]) {
      reader.response.end();
      this.#drop(reader);
    }
  }

  /** Publishes the flag now, or as soon as its pace allows. */
  #changed(channel: Channel): void {
    channel.isDue = true;
    if (channel.isPublishing || channel.timer !== undefined) return;
    const waitMs = channel.publishedAt + PACE_MS - performance.now();
    channel.timer = setTimeout(
      () => {
        channel.timer = undefined;
        this.#due.push(channel);
        if (this.#due.length === 1) setImmediate(() => this.#publishDue());
      },
      Math.max(0, waitMs),
    );
    channel.timer.unref();
  }

  #publishDue(): void {
    for (const channel of this.#due.splice(0, VIEWS_AT_ONCE)) void this.#publish(channel);
    if (this.#due.length > 0) setImmediate(() => this.#publishDue());
  }

  async #publish(channel: Channel): Promise<void> {
    if (this.#channels.get(channel.feed.source.flagKey) !== channel) return;
    channel.isPublishing = true;
    channel.isDue = false;
    channel.publishedAt = performance.now();
    const view = await channel.feed.view();
    channel.isPublishing = false;
    const key = channel.feed.source.flagKey;
    if (this.#channels.get(key) !== channel) return;
    if (view !== undefined) this.#show(key, channel, view);
    if (channel.isDue) this.#changed(channel);
    if (channel.feed.source.isClosed === true && this.isOver) this.close();
  }

  #show(key: string, channel: Channel, view: RolloutView): void {
    const counted = JSON.stringify([view.arms.treatment.counts, view.arms.control.counts, view.epoch]);
    if (counted !== channel.counted) channel.behindUntil = performance.now() + BEHIND_MS;
    const hasMore = performance.now() < channel.behindUntil;
    channel.counted = counted;
    channel.view = message('view', view) + (hasMore ? message('rollup', key) : '');
    for (const reader of this.#readers) {
      if (reader.flagKey === undefined || reader.flagKey === key) this.#send(reader, key, channel.view);
    }
    // Whoever begins to read asks for the series anyway.
    channel.view = message('view', view);
  }

  /** A reader that is slow gets the latest when it can, and nothing twice. */
  #send(reader: Reader, key: string, text: string): void {
    if (reader.fullSince !== undefined) {
      reader.missed.add(key);
      return;
    }
    if (!reader.response.write(text)) reader.fullSince = performance.now();
  }

  #catchUp(reader: Reader): void {
    reader.fullSince = undefined;
    for (const key of reader.missed) {
      if (reader.fullSince !== undefined) return;
      reader.missed.delete(key);
      const view = this.#channels.get(key)?.view;
      if (view !== undefined) this.#send(reader, key, view + message('rollup', key));
    }
  }

  #beat(): void {
    const now = performance.now();
    this.refresh();
    for (const reader of [...this.#readers]) {
      if (reader.fullSince === undefined) reader.response.write(':\n\n');
      else if (now - reader.fullSince > STALLED_MS) reader.response.destroy();
    }
  }

  #drop(reader: Reader): void {
    if (!this.#readers.delete(reader)) return;
    this.refresh();
    if (this.#readers.size > 0) return;
    clearInterval(this.#heartbeat);
    this.#heartbeat = undefined;
  }

  #close(key: string, channel: Channel): void {
    this.#channels.delete(key);
    clearTimeout(channel.timer);
    channel.unsubscribe();
  }
}

function message(event: EventName, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
