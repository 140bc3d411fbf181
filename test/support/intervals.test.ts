import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Intervals } from '../../src/support/intervals.js';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe('Intervals', () => {
  it('calls everything of one interval with one timer, and ends it with the last', () => {
    const intervals = new Intervals();
    const calls: string[] = [];
    const ends = ['a', 'b'].map((name) => intervals.every(1_000, () => calls.push(name)));
    const endOther = intervals.every(300, () => {});
    expect([intervals.timers, vi.getTimerCount()]).toEqual([2, 2]);
    vi.advanceTimersByTime(2_000);
    expect(calls).toEqual(['a', 'b', 'a', 'b']);
    ends[0]!();
    ends[0]!();
    vi.advanceTimersByTime(1_000);
    expect(calls.slice(4)).toEqual(['b']);
    ends[1]!();
    endOther();
    expect([intervals.timers, vi.getTimerCount()]).toEqual([0, 0]);
  });

  it('begins anew after the last was removed', () => {
    const intervals = new Intervals();
    const run = vi.fn();
    intervals.every(1_000, () => {})();
    intervals.every(1_000, run);
    vi.advanceTimersByTime(1_000);
    expect(run).toHaveBeenCalledOnce();
  });

  it('calls the others when one throws or rejects', () => {
    const intervals = new Intervals();
    const run = vi.fn();
    intervals.every(1_000, () => {
      throw new Error('broken');
    });
    intervals.every(1_000, () => Promise.reject(new Error('broken')));
    intervals.every(1_000, run);
    vi.advanceTimersByTime(3_000);
    expect(run).toHaveBeenCalledTimes(3);
  });

  it('lets the event loop turn while many take long, and skips those that were removed meanwhile', () => {
    const intervals = new Intervals();
    const calls: number[] = [];
    const ends = Array.from({ length: 5 }, (_, index) =>
      intervals.every(1_000, () => {
        calls.push(index);
        now += 3;
      }),
    );
    let now = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    vi.advanceTimersToNextTimer();
    expect(calls).toEqual([0, 1]);
    ends[2]!();
    vi.advanceTimersToNextTimer();
    expect(calls).toEqual([0, 1, 3, 4]);
    vi.mocked(performance.now).mockRestore();
  });

  it('ends all at once, also what waits for its turn, and begins anew', () => {
    const intervals = new Intervals();
    const calls: string[] = [];
    const end = intervals.every(1_000, () => {
      calls.push('a');
      intervals.endAll();
    });
    intervals.every(1_000, () => calls.push('b'));
    intervals.every(300, () => calls.push('c'));
    vi.advanceTimersByTime(1_000);
    expect([calls, intervals.timers, vi.getTimerCount()]).toEqual([['c', 'c', 'c', 'a'], 0, 0]);
    intervals.every(1_000, () => calls.push('d'));
    end();
    vi.advanceTimersByTime(1_000);
    expect([calls.at(-1), intervals.timers]).toEqual(['d', 1]);
  });
});
