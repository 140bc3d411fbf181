import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Clock, systemClock } from '../../src/support/clock.js';
import { type Gap, RunningTime, runningTimeout } from '../../src/support/running-time.js';

/** Freezes as a stopped process does: the clocks go on, and no timer fires. */
class FreezableClock implements Clock {
  #frozen = { wall: 0, monotonic: 0 };
  now = () => Date.now() + this.#frozen.wall;
  monotonic = () => performance.now() + this.#frozen.monotonic;

  freeze(wall: number, monotonic = wall): void {
    this.#frozen = { wall: this.#frozen.wall + wall, monotonic: this.#frozen.monotonic + monotonic };
  }
}

let clock: FreezableClock;

beforeEach(() => {
  vi.useFakeTimers();
  clock = new FreezableClock();
});

afterEach(() => {
  vi.useRealTimers();
});

describe('RunningTime', () => {
  function started() {
    const time = new RunningTime(clock);
    const gaps: Gap[] = [];
    time.onGap((gap) => gaps.push(gap));
    time.start();
    return { time, gaps, passed: passedOf(time) };
  }

  function passedOf(time: RunningTime) {
    const begin = time.at(clock.monotonic());
    return () => time.at(clock.monotonic()) - begin;
  }

  it('passes with the monotonic clock while the process runs', () => {
    const { gaps, passed } = started();
    vi.advanceTimersByTime(60_000);
    expect(passed()).toBe(60_000);
    expect(gaps).toEqual([]);
  });

  it('stands still while the process is frozen, and reports for how long and until when', () => {
    const { gaps, passed } = started();
    vi.advanceTimersByTime(1_000);
    clock.freeze(8_000);
    vi.advanceTimersByTime(1_000);
    expect(passed()).toBeGreaterThanOrEqual(1_800);
    expect(passed()).toBeLessThanOrEqual(2_000);
    expect(gaps).toEqual([{ durationMs: 8_100, until: Date.now() + 8_000 - 900 }]);
  });

  it('counts no gap twice, whoever notices it first', () => {
    const { time, gaps, passed } = started();
    clock.freeze(5_000);
    expect(passed()).toBe(0);
    time.check();
    vi.advanceTimersByTime(1_000);
    expect(gaps).toHaveLength(1);
    expect(time.lostMs).toBe(5_000);
  });

  it('reports a suspended machine whose monotonic clock stood still', () => {
    const { time, gaps } = started();
    clock.freeze(600_000, 0);
    time.check();
    expect(gaps).toMatchObject([{ durationMs: 600_000 }]);
    expect(time.lostMs).toBe(0);
  });

  it('sees no gap in a wall clock that is set back', () => {
    const { time, gaps, passed } = started();
    clock.freeze(-3_600_000, 0);
    vi.advanceTimersByTime(1_000);
    time.check();
    expect(gaps).toEqual([]);
    expect(passed()).toBe(1_000);
  });

  it('is calm about short pauses, such as those of a garbage collection', () => {
    const { gaps, passed } = started();
    for (let pause = 0; pause < 20; pause++) {
      clock.freeze(80);
      vi.advanceTimersByTime(100);
    }
    expect(gaps).toEqual([]);
    expect(passed()).toBe(20 * 180);
  });

  it('has no timer after it was stopped, and takes the time until it starts again for no gap', () => {
    const { time, gaps } = started();
    time.stop();
    expect(vi.getTimerCount()).toBe(0);
    clock.freeze(60_000);
    time.start();
    vi.advanceTimersByTime(1_000);
    expect(gaps).toEqual([]);
  });

  it('calls no listener that was removed', () => {
    const { time } = started();
    const listener = vi.fn();
    time.onGap(listener)();
    clock.freeze(5_000);
    time.check();
    expect(listener).not.toHaveBeenCalled();
  });
});

describe('runningTimeout', () => {
  it('ends after the delay when the process runs', () => {
    const onEnd = vi.fn();
    runningTimeout(2_000, clock, onEnd);
    vi.advanceTimersByTime(1_999);
    expect(onEnd).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(onEnd).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('does not count the time in which the event loop is blocked', async () => {
    vi.useRealTimers();
    const begin = performance.now();
    const ended = new Promise<number>((resolve) => {
      runningTimeout(600, systemClock, () => resolve(performance.now() - begin));
    });
    await new Promise((resolve) => setTimeout(resolve, 150));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000);
    const tookMs = await ended;
    // Of the time before the block, what lies after the last beat is lost with it.
    expect(tookMs).toBeGreaterThanOrEqual(1_590);
  });

  it('lets the sockets be read first when its timer is late', () => {
    const onEnd = vi.fn();
    runningTimeout(100, clock, onEnd);
    clock.freeze(50);
    vi.advanceTimersByTime(100);
    expect(onEnd).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(onEnd).toHaveBeenCalledTimes(1);
  });

  it('ends no more once it was stopped', () => {
    const onEnd = vi.fn();
    runningTimeout(2_000, clock, onEnd)();
    vi.advanceTimersByTime(5_000);
    expect(onEnd).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });
});
