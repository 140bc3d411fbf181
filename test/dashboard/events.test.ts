import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RolloutView } from '../../src/model/rollout-view.js';
import { eventually } from '../helpers/eventually.js';
import { timeLimit } from '../helpers/machine-time.js';
import { armCounts } from '../triggers/snapshots.js';
import { EventReader, Served, TestSource } from './served.js';

let source: TestSource;
let other: TestSource;
let served: Served;
let readers: EventReader[];

beforeEach(async () => {
  source = new TestSource();
  other = new TestSource('other');
  served = await Served.dashboard([source, other], { maxReaders: 50 });
  readers = [];
});

afterEach(async () => {
  for (const reader of readers) reader.close();
  await served.close();
});

async function read(path?: string, headers = {}): Promise<EventReader> {
  const reader = await EventReader.open(served, path, headers);
  readers.push(reader);
  return reader;
}

const until = (condition: () => boolean) => eventually(() => expect(condition()).toBe(true));

const failures = (count: number) => {
  const arm = { counts: armCounts({ failures: count }), errorTypes: [] };
  return { arms: { treatment: arm, control: arm } };
};

const countsIn = (reader: EventReader) =>
  reader
    .of('view')
    .map(({ data }) => data as RolloutView)
    .filter(({ flagKey }) => flagKey === 'async-upload')
    .map(({ arms }) => arms.treatment.counts.failures);

describe('the stream of events', () => {
  it('begins with all views, and says when to ask again', async () => {
    const reader = await read();
    await until(() => reader.of('view').length === 2);
    expect(reader.of('view').map(({ data }) => (data as RolloutView).flagKey)).toEqual([
      'async-upload',
      'other',
    ]);
    expect(reader.text).toMatch(/^retry: 2000\n\n/);
  });

  it('brings everything again to a page that was away', async () => {
    const first = await read();
    await until(() => first.of('view').length === 2);
    first.close();
    await until(() => source.listeners.size === 0);
    source.change(failures(7));
    const again = await read('/api/events', { 'last-event-id': '12' });
    await until(() => again.of('view').length === 2);
    expect(countsIn(again)).toEqual([7]);
  });

  it('brings a change at once, and the flag whose series has more', async () => {
    const reader = await read();
    await until(() => reader.of('view').length === 2);
    await sleep(1_050);
    const before = reader.of('rollup').length;
    const limit = timeLimit(250);
    const changedAt = performance.now();
    source.change(failures(1));
    await until(() => countsIn(reader).includes(1));
    expect(reader.of('view').at(-1)!.at - changedAt).toBeLessThan(limit());
    await until(() => reader.of('rollup').length > before);
    expect(reader.of('rollup').at(-1)!.data).toBe('async-upload');
  });

  it('brings the latest view at most each second, and within a second', async () => {
    // When a view is read is when it is sent; when it arrives depends on the machine.
    const readAt: number[] = [];
    const view = source.view.bind(source);
    vi.spyOn(source, 'view').mockImplementation(() => {
      readAt.push(performance.now());
      return view();
    });
    const reader = await read('/api/events?flag=async-upload');
    await until(() => reader.of('view').length === 1);
    const limit = timeLimit(1_000);
    const began = performance.now();
    let count = 0;
    while (performance.now() - began < 2_600) {
      count++;
      source.change(failures(count));
      await sleep(10);
    }
    const changedAt = performance.now();
    await until(() => countsIn(reader).at(-1) === count);
    expect(reader.of('view').at(-1)!.at - changedAt).toBeLessThan(limit());
    const gaps = readAt.slice(1).map((at, index) => at - readAt[index]!);
    expect(gaps.length).toBeGreaterThanOrEqual(2);
    expect(Math.min(...gaps)).toBeGreaterThan(990);
  });

  it('has one flag alone where one is asked for', async () => {
    const reader = await read('/api/events?flag=other');
    await until(() => reader.of('view').length === 1);
    source.change(failures(1));
    other.change(failures(2));
    await until(() => reader.of('view').length === 2);
    expect(reader.of('view').map(({ data }) => (data as RolloutView).flagKey)).toEqual(['other', 'other']);
    expect(source.listeners.size).toBe(0);
  });

  it('is not held back by proxies or compression', async () => {
    const response = await served.open('/api/events', { headers: { 'accept-encoding': 'gzip, br' } });
    expect(response.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
    });
    expect(response.headers['content-encoding']).toBeUndefined();
    response.destroy();
  });

  it('keeps a hostile name within its line', async () => {
    const key = 'a\n\nevent: view\ndata: {}\r\u2028';
    const hostile = await Served.dashboard([new TestSource(key)]);
    const reader = await EventReader.open(hostile);
    await until(() => reader.of('view').length === 1);
    expect(reader.of('view')[0]!.data).toMatchObject({ flagKey: key });
    reader.close();
    await hostile.close();
  });

  it('follows no flag while nobody reads', async () => {
    expect(source.listeners.size).toBe(0);
    const [first, second] = [await read(), await read()];
    await until(() => [first, second].every((reader) => reader.of('view').length >= 2));
    expect(source.listeners.size).toBe(1);
    first.close();
    second.close();
    await until(() => source.listeners.size === 0);
  });

  it('refuses more readers than it may have, until one goes', async () => {
    const small = await Served.dashboard([source], { maxReaders: 2 });
    const [first] = [await EventReader.open(small), await EventReader.open(small)];
    const refused = await small.ask('/api/events');
    expect(refused.status).toBe(503);
    expect(refused.headers['retry-after']).toBe('10');
    expect(refused.text).toContain('maxReaders');
    first!.close();
    await eventually(async () => (await EventReader.open(small)).close());
    await small.close();
  });

  it('reads the source once for all readers', async () => {
    for (let index = 0; index < 40; index++) await read();
    await until(() => readers.every((reader) => reader.of('view').length >= 2));
    const before = source.reads;
    source.change(failures(1));
    await until(() => readers.every((reader) => countsIn(reader).includes(1)));
    expect(source.reads - before).toBeLessThanOrEqual(2);
  });

  it('lets a reader that takes nothing miss views, and brings it the latest when it reads on', async () => {
    const long = (size: number) => ({ flagUrl: 'x'.repeat(size) });
    const response = await served.open('/api/events?flag=async-upload');
    response.pause();
    const keen = await read('/api/events?flag=async-upload');
    const before = process.memoryUsage();
    for (let step = 1; step <= 4; step++) {
      source.change({ ...long(8_000_000), ...failures(step) });
      await until(() => countsIn(keen).at(-1) === step);
    }
    // One view that waits, and what the sockets hold: not every view that was missed.
    const heldBytes = process.memoryUsage().arrayBuffers - before.arrayBuffers;
    expect(heldBytes).toBeLessThan(100_000_000);
    let text = '';
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      text += chunk;
    });
    response.resume();
    await until(() => text.includes('"failures":4') && text.endsWith('\n\n'));
    expect(text.split('event: view').length - 1).toBeLessThan(5);
    response.destroy();
  });

  it('ends when the guard has ended, with its last view', async () => {
    const alone = await Served.dashboard([source]);
    const reader = await EventReader.open(alone);
    await until(() => reader.of('view').length === 1);
    source.isClosed = true;
    source.change({ isClosed: true });
    await until(() => reader.isEnded);
    expect(reader.of('view').at(-1)!.data).toMatchObject({ isClosed: true });
    expect((await alone.ask('/api/events')).status).toBe(503);
    await alone.close();
  });

  it('survives a source that fails, and goes on when it works again', async () => {
    const reader = await read('/api/events?flag=async-upload');
    await until(() => reader.of('view').length === 1);
    source.shown = new Error('gone');
    const before = source.reads;
    for (const listener of source.listeners) listener();
    await until(() => source.reads > before);
    source.change(failures(3));
    await until(() => countsIn(reader).at(-1) === 3);
  });

  it('needs little memory for 50 readers', async () => {
    globalThis.gc?.();
    const before = process.memoryUsage().heapUsed;
    for (let index = 0; index < 50; index++) await read();
    await until(() => readers.every((reader) => reader.of('view').length >= 2));
    globalThis.gc?.();
    // Both ends of 50 connections are in this process.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(25_000_000);
  });
});
