import { describe, expect, it } from 'vitest';
import type { MemorySnapshot } from '../../src/model/snapshot.js';
import { memoryGrowth } from '../../src/triggers/memory-growth.js';
import { NOW, snapshotOf } from './snapshots.js';

const MIB = 2 ** 20;
const MINUTE = 60_000;

function memoryOf(baselineMib: number | undefined, lowestMib: number, spanMs = MINUTE): MemorySnapshot {
  return {
    baselineBytes: baselineMib === undefined ? undefined : baselineMib * MIB,
    lowestBytes: lowestMib * MIB,
    spanMs,
  };
}

describe('memoryGrowth', () => {
  it.each<[string, MemorySnapshot | undefined, string, number | undefined]>([
    ['growth beyond the ratio', memoryOf(1000, 1201), 'breach', 1.201],
    ['growth of exactly the ratio', memoryOf(1000, 1200), 'ok', 1.2],
    ['no growth', memoryOf(1000, 1000), 'ok', 1],
    ['shrinking', memoryOf(1000, 500), 'ok', 0.5],
    ['a small process that grew by 63 MiB', memoryOf(64, 127), 'ok', 127 / 64],
    ['a small process that grew by 64 MiB', memoryOf(64, 128), 'breach', 2],
    ['a window that is not spanned yet', memoryOf(1000, 5000, MINUTE - 1), 'insufficient-data', undefined],
    ['no baseline', memoryOf(undefined, 5000), 'insufficient-data', undefined],
    ['no sample', undefined, 'insufficient-data', undefined],
  ])('is $2 for %s', (_, memory, status, observed) => {
    const snapshot = snapshotOf({ windowMs: MINUTE, ...(memory && { memory }) });
    expect(memoryGrowth(1.2).evaluate(snapshot, NOW)).toMatchObject({ status, observed, threshold: 1.2 });
  });

  it.each<[MemorySnapshot, string]>([
    [
      memoryOf(1000, 1300),
      'Memory did not fall below 1300.0 MiB in the last 1 min: 1.3× the baseline of 1000.0 MiB, above 1.2×.',
    ],
    [
      memoryOf(100, 130),
      'Memory did not fall below 130.0 MiB in the last 1 min: 1.3× the baseline of 100.0 MiB, above 1.2×, but grown by less than 64.0 MiB.',
    ],
    [
      memoryOf(1000, 1100),
      'Memory did not fall below 1100.0 MiB in the last 1 min: 1.1× the baseline of 1000.0 MiB, not above 1.2×.',
    ],
    [memoryOf(1000, 1300, 45_300), 'No verdict on memory growth yet: the samples span 45.3 s, 1 min needed.'],
    [memoryOf(undefined, 1300), 'No verdict on memory growth yet: no baseline has been measured.'],
  ])('explains its verdict on %o', (memory, message) => {
    expect(memoryGrowth(1.2).evaluate(snapshotOf({ windowMs: MINUTE, memory }), NOW).message).toBe(message);
  });

  it('shows when a baseline was measured that is older than the process', () => {
    const memory = { bytes: 1000 * MIB, samples: 60, since: NOW - 5 * MINUTE, until: NOW - 4 * MINUTE };
    const snapshot = {
      ...snapshotOf({ windowMs: MINUTE, memory: memoryOf(1000, 1300) }),
      baseline: { memory },
    };
    expect(memoryGrowth(1.2).evaluate(snapshot, NOW).message).toContain(
      '1.3× the baseline of 1000.0 MiB, measured while the flag was off, 4 min ago, above 1.2×.',
    );
  });

  it('accepts another least growth', () => {
    const snapshot = snapshotOf({ windowMs: MINUTE, memory: memoryOf(10, 13) });
    expect(memoryGrowth(1.2).evaluate(snapshot, NOW).status).toBe('ok');
    expect(memoryGrowth(1.2, { minGrowthBytes: 0 }).evaluate(snapshot, NOW).status).toBe('breach');
  });

  it.each([
    [20, {}, /ratio: expected a ratio above 1, at most 10 .*, got 20; did you mean 1.2\?/],
    [0.2, {}, /got 0.2; did you mean 1.2\?/],
    [1, {}, /ratio: expected a ratio above 1.*got 1$/],
    [-1, {}, /got -1$/],
    [1.2, { minGrowthBytes: -1 }, /minGrowthBytes: expected a number of bytes, 0 or more, got -1/],
    [1.2, { windowMs: -60_000 }, /windowMs: expected a positive number/],
  ])('refuses a ratio of %d with %o', (ratio, options, message) => {
    expect(() => memoryGrowth(ratio, options)).toThrow(message);
  });
});
