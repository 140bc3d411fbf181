import { describe, expect, it } from 'vitest';
import { MemoryBaseline } from '../../src/measure/memory-baseline.js';

const START = 1_700_000_000_000;

/** Samples [bytes, second, idle?]; the process has worked before each that is not idle. */
function baselineOf(samples: readonly (readonly [bytes: number, second: number, idle?: 'idle'])[]) {
  const baseline = new MemoryBaseline();
  for (const [bytes, second, idle] of samples) baseline.add(bytes, START + second * 1000, idle === undefined);
  return baseline.bytes;
}

/** One sample of 100 each ten seconds, from second 0. */
const steady = (samples: number) => Array.from({ length: samples }, (_, index) => [100, index * 10] as const);

describe('MemoryBaseline', () => {
  it.each([
    ['nothing', [], undefined],
    ['less than a minute', steady(6), undefined],
    ['a minute', steady(7), 100],
    ['a peak at the start', [[900, 0], ...steady(7).slice(1)], 100],
    ['what comes later', [...steady(7), [500, 70], [500, 80]], 100],
    ['an idle hour before', [[5, -3_600, 'idle'], [5, -10, 'idle'], ...steady(7).slice(1)], 100],
    [
      'a minute of work with idle times between',
      [...steady(6), [1, 60, 'idle'], [1, 70, 'idle'], [100, 80]],
      100,
    ],
    [
      'two samples far apart: a gap measures nothing',
      [
        [100, 0],
        [100, 3_600],
      ],
      undefined,
    ],
    ['a clock set back', [[100, 0], [100, -1_000], ...steady(5)], undefined],
  ] as const)('is the median of a minute of work, given %s', (_what, samples, expected) => {
    expect(baselineOf(samples as never)).toBe(expected);
  });

  it('averages the middle two of an even number of samples', () => {
    const samples = [100, 101, 102, 103, 104, 105, 106, 107].map(
      (bytes, index) => [bytes, index * 9] as const,
    );
    expect(baselineOf(samples)).toBe(103.5);
  });

  it('keeps a bounded number of samples', () => {
    const baseline = new MemoryBaseline();
    for (let i = 0; i < 1_000; i++) baseline.add(100, START + i * 20, true);
    for (let i = 1_000; i <= 3_000; i++) baseline.add(900, START + i * 20, true);
    expect(baseline.bytes).toBe(100);
  });

  it('uses a value from elsewhere at once and from then on', () => {
    const baseline = new MemoryBaseline();
    baseline.set(7);
    baseline.add(900, START, true);
    expect(baseline.bytes).toBe(7);
  });
});
