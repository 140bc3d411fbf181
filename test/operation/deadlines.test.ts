import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Deadlines, type Expiring } from '../../src/operation/deadlines.js';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function setUp(limitMs = 100) {
  const deadlines = new Deadlines(limitMs, { now: () => Date.now(), monotonic: () => Date.now() });
  const expired: string[] = [];
  const item = (name: string): Expiring => {
    const self: Expiring = {
      expiresAt: 0,
      earlier: undefined,
      later: undefined,
      expire: () => {
        expired.push(`${name} at ${Date.now() - begin}`);
        deadlines.remove(self);
      },
    };
    return self;
  };
  const begin = Date.now();
  return { deadlines, expired, item };
}

describe('Deadlines', () => {
  it('expires each item one limit after it was added, with one timer for all, beside the one that notices gaps', () => {
    const { deadlines, expired, item } = setUp();
    deadlines.add(item('a'), Date.now());
    vi.advanceTimersByTime(30);
    deadlines.add(item('b'), Date.now());
    deadlines.add(item('c'), Date.now());
    expect(vi.getTimerCount()).toBe(2);
    vi.advanceTimersByTime(200);
    expect(expired).toEqual(['a at 100', 'b at 130', 'c at 130']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    ['first', 0, ['b', 'c']],
    ['middle', 1, ['a', 'c']],
    ['last', 2, ['a', 'b']],
  ] as const)('leaves the others alone when the %s is removed', (_which, index, left) => {
    const { deadlines, expired, item } = setUp();
    const items = ['a', 'b', 'c'].map(item);
    for (const one of items) deadlines.add(one, Date.now());
    deadlines.remove(items[index]!);
    vi.advanceTimersByTime(100);
    expect(expired).toEqual(left.map((name) => `${name} at 100`));
  });

  it('keeps the limit of an item that is added while the timer of an earlier one still runs', () => {
    const { deadlines, expired, item } = setUp();
    const a = item('a');
    deadlines.add(a, Date.now());
    vi.advanceTimersByTime(60);
    deadlines.remove(a);
    deadlines.add(item('b'), Date.now());
    vi.advanceTimersByTime(99);
    expect(expired).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(expired).toEqual(['b at 160']);
  });

  it('leaves no timer behind a tenth of a second after the last item, and serves the next one', () => {
    const { deadlines, expired, item } = setUp(1_000);
    const a = item('a');
    deadlines.add(a, Date.now());
    deadlines.remove(a);
    vi.advanceTimersByTime(99);
    expect(vi.getTimerCount()).toBe(2);
    vi.advanceTimersByTime(1);
    expect(vi.getTimerCount()).toBe(0);
    deadlines.add(item('b'), Date.now());
    vi.advanceTimersByTime(1_000);
    expect(expired).toEqual(['b at 1100']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('keeps the process alive only while an item waits', async () => {
    vi.useRealTimers();
    const { deadlines, item } = setUp();
    const waiting = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = waiting();
    const a = item('a');
    deadlines.add(a, Date.now());
    expect(waiting()).toBe(before + 1);
    deadlines.remove(a);
    // Within a tenth of a second. Any timer of the test's own would count.
    while (waiting() > before) await new Promise(setImmediate);
    const b = item('b');
    deadlines.add(b, Date.now());
    // The timer of the first one may just have come.
    while (waiting() === before) await new Promise(setImmediate);
    deadlines.remove(b);
  });
});
