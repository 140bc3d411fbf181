import { beforeEach, describe, expect, it } from 'vitest';
import { Outages } from '../../src/guard/context/outages.js';
import type { GuardEvent } from '../../src/model/event.js';

const MINUTE = 60_000;
const WHAT = 'the notifier slack';

let time: number;
let events: GuardEvent[];
let outages: Outages;

beforeEach(() => {
  time = 1_000_000;
  events = [];
  // The wall clock stands still: nothing here may depend on it.
  outages = new Outages({ now: () => 7, monotonic: () => time }, (event) => events.push(event));
});

const types = () => events.map(({ type }) => type);

describe('Outages', () => {
  it('reports an outage once, and that it is over', () => {
    for (let attempt = 0; attempt < 100; attempt++) outages.failed(WHAT, new Error('down'));
    outages.worked(WHAT);
    outages.worked(WHAT);
    expect(events).toEqual([
      { type: 'fault', at: 7, what: WHAT, message: 'down' },
      { type: 'recovered', at: 7, what: WHAT, faults: 100 },
    ]);
  });

  it('reports a second outage at once', () => {
    outages.failed(WHAT, 'first');
    outages.worked(WHAT);
    outages.failed(WHAT, 'second');
    expect(types()).toEqual(['fault', 'recovered', 'fault']);
  });

  it('reports a second outage of a part that reports each once by itself', () => {
    outages.failed(WHAT, 'first', true);
    outages.failed(WHAT, 'second', true);
    expect(events).toMatchObject([{ message: 'first' }, { message: 'second' }]);
  });

  it('reports an outage that lasts each hour, with how often it failed', () => {
    for (let minute = 0; minute <= 120; minute++) {
      outages.failed(WHAT, 'down');
      time += MINUTE;
    }
    expect(events).toMatchObject([{ message: 'down' }, { count: 60 }, { count: 60 }]);
    expect(events[0]).not.toHaveProperty('count');
  });

  it('takes a part that was quiet for a while for one that worked', () => {
    outages.failed(WHAT, 'first');
    time += 11 * MINUTE;
    outages.failed(WHAT, 'second');
    expect(events).toMatchObject([{ message: 'first' }, { message: 'second' }]);
  });

  it('reports a part that fails and works in turns a few times an hour, however often that is', () => {
    for (let second = 0; second < 7_200; second++) {
      outages.failed(WHAT, 'down');
      outages.worked(WHAT);
      time += 1_000;
    }
    expect(types().filter((type) => type === 'fault')).toHaveLength(10);
    expect(events.length).toBeLessThanOrEqual(20);
    expect(events.some((event) => event.type === 'fault' && (event.count ?? 1) > 3_000)).toBe(true);
  });

  it('bounds the names that it remembers', () => {
    for (let part = 0; part < 5_000; part++) outages.failed(`part ${part}`, 'down');
    expect(events).toHaveLength(1_000);
  });

  it.each([
    ['EROFS', 'is read-only: its file system is mounted so (EROFS)'],
    ['EACCES', 'is read-only for this process, or closed to it (EACCES)'],
    ['ENOSPC', 'cannot be written: the disk is full (ENOSPC)'],
  ])('says in words what %s means', (code, words) => {
    const error = Object.assign(new Error(`${code}: odd`), {
      code,
      syscall: 'open',
      path: '/data/journal.json',
    });
    outages.failed('writing the journal', error);
    expect(events).toMatchObject([{ message: `/data/journal.json ${words}.` }]);
  });
});
