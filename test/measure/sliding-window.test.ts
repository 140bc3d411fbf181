import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countCode } from '../../src/measure/arm-counts.js';
import { SlidingWindow } from '../../src/measure/sliding-window.js';
import { outcomeOf, START } from './outcomes.js';

const MINUTE = 60_000;
const BUCKET_MS = 1000;
const success = countCode(outcomeOf());

function successesOf(window: SlidingWindow): number {
  return window.totals[0]!;
}

function addAt(window: SlidingWindow, ...times: number[]): void {
  for (const at of times) window.add(success, at);
}

describe('SlidingWindow', () => {
  it('covers at least its length and at most one bucket more, at any rate and at any time', () => {
    const steps = fc.array(
      fc.oneof(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 0, max: 200_000 })),
      {
        maxLength: 100,
      },
    );
    fc.assert(
      fc.property(fc.integer({ min: 60, max: 300_000 }), steps, (windowMs, gaps) => {
        const window = new SlidingWindow(windowMs);
        const times: number[] = [];
        let now = START;
        for (const gap of gaps) {
          now += gap;
          times.push(now);
          addAt(window, now);
          const within = (ms: number) => times.filter((at) => at > now - ms).length;
          expect(successesOf(window)).toBeGreaterThanOrEqual(within(windowMs));
          expect(successesOf(window)).toBeLessThanOrEqual(within(windowMs + window.bucketMs + 1e-3));
        }
      }),
    );
  });

  it('expires while idle', () => {
    const window = new SlidingWindow(MINUTE);
    addAt(window, START, START + 30_000);
    window.advance(START + MINUTE);
    expect(successesOf(window)).toBe(2);
    window.advance(START + MINUTE + BUCKET_MS);
    expect(successesOf(window)).toBe(1);
    window.advance(START + 100 * MINUTE);
    expect(successesOf(window)).toBe(0);
  });

  it('counts late outcomes where they belong, and none from before the window', () => {
    const window = new SlidingWindow(MINUTE);
    addAt(window, START, START - 50_000, START - MINUTE - 2 * BUCKET_MS);
    expect(successesOf(window)).toBe(2);
    window.advance(START + 15_000);
    expect(successesOf(window)).toBe(1);
  });

  it('continues after the clock was set back a little', () => {
    const window = new SlidingWindow(MINUTE);
    addAt(window, START);
    window.advance(START - 30_000);
    addAt(window, START - 30_000);
    expect(successesOf(window)).toBe(2);
    window.advance(START + MINUTE + BUCKET_MS);
    expect(successesOf(window)).toBe(0);
  });

  it('starts over after the clock was set back by more than the window', () => {
    const window = new SlidingWindow(MINUTE);
    addAt(window, START);
    window.advance(START - 60 * MINUTE);
    expect(successesOf(window)).toBe(0);
    addAt(window, START - 60 * MINUTE);
    expect(successesOf(window)).toBe(1);
    window.advance(START - 58 * MINUTE);
    expect(successesOf(window)).toBe(0);
  });

  it('recovers from one time far in the future', () => {
    const window = new SlidingWindow(MINUTE);
    addAt(window, START, Number.MAX_SAFE_INTEGER);
    window.advance(START);
    addAt(window, START);
    expect(successesOf(window)).toBe(1);
  });

  it.each([Number.NaN, Number.NEGATIVE_INFINITY])('does not count an outcome at %d', (at) => {
    const window = new SlidingWindow(MINUTE);
    addAt(window, START, at);
    expect(successesOf(window)).toBe(1);
  });

  it('has totals that are the sum of its buckets, whatever the clock does', () => {
    const jump = fc.oneof(fc.integer({ min: -5000, max: 5000 }), fc.integer({ min: -500_000, max: 500_000 }));
    fc.assert(
      fc.property(fc.array(fc.tuple(jump, fc.boolean()), { maxLength: 80 }), (jumps) => {
        const window = new SlidingWindow(MINUTE);
        let now = START;
        let latest = START;
        for (const [byMs, adds] of jumps) {
          now += byMs;
          latest = Math.max(latest, now);
          if (adds) addAt(window, now);
          else window.advance(now);
        }
        // Nothing was taken before, so the changes are all that the buckets hold.
        const changes = window.takeChanges().reduce((sum, { counts }) => sum + counts[0]!, 0);
        expect(changes).toBe(successesOf(window));
        window.advance(latest + 2 * MINUTE);
        expect(successesOf(window)).toBe(0);
      }),
    );
  });

  it('returns each count in one delta', () => {
    const window = new SlidingWindow(MINUTE);
    expect(window.takeChanges()).toEqual([]);
    addAt(window, START, START + 1, START + 5000);
    const bucket = Math.floor(START / BUCKET_MS);
    const changes = window.takeChanges();
    expect(changes.map((change) => [change.bucket, change.counts[0]])).toEqual([
      [bucket, 2],
      [bucket + 5, 1],
    ]);
    expect(window.takeChanges()).toEqual([]);
    addAt(window, START);
    expect(window.takeChanges().map((change) => [change.bucket, change.counts[0]])).toEqual([[bucket, 1]]);
  });

  it('puts every time into the bucket of its number, at the edges of fractional buckets too', () => {
    const windowMs = 100_000;
    const offsets = fc.array(fc.tuple(fc.integer({ min: -3, max: 3 }), fc.integer({ min: -1, max: 1 })), {
      minLength: 1,
      maxLength: 30,
    });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1_000_000 }), offsets, (start, times) => {
        const window = new SlidingWindow(windowMs);
        const expected = new Map<number, number>();
        for (const [buckets, ulps] of times) {
          // Every third edge of buckets of 1,666.67 ms is a whole millisecond; 2⁻¹² ms is the next float.
          const at = START - 123 - ((START - 123) % 5000) + (start + buckets) * 5000 + ulps * 2 ** -12;
          addAt(window, at);
          const bucket = Math.floor(at / window.bucketMs);
          expected.set(bucket, (expected.get(bucket) ?? 0) + 1);
        }
        const changes = window
          .takeChanges()
          .map(({ bucket, counts }): [number, number] => [bucket, counts[0]!]);
        expect(changes).toEqual([...expected].sort(([a], [b]) => a - b));
      }),
    );
  });

  it('is empty after clear', () => {
    const window = new SlidingWindow(MINUTE);
    addAt(window, START);
    window.clear();
    expect(successesOf(window)).toBe(0);
    expect(window.takeChanges()).toEqual([]);
    addAt(window, START);
    expect(successesOf(window)).toBe(1);
  });
});
