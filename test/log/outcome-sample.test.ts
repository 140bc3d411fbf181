import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OutcomeSample, type SampledOutcome } from '../../src/log/outcome-sample.js';
import type { Outcome } from '../../src/model/shapes.js';
import { seeded } from '../helpers/kill-log.js';
import { outcomeOf, START } from '../measure/outcomes.js';

const sampleOf = (facts: Partial<ConstructorParameters<typeof OutcomeSample>[0]> = {}) =>
  new OutcomeSample({
    maxLinesPerSecond: 500,
    maxFailureLinesPerSecond: 2_000,
    maxWaiting: 16_384,
    takeMs: 1_000,
    random: seeded(1),
    ...facts,
  });

const weightOf = (lines: readonly SampledOutcome[]) => lines.reduce((sum, { weight }) => sum + weight, 0);

/** So many outcomes a second, for some seconds. @returns the lines of each second */
function secondsOf(
  sample: OutcomeSample,
  seconds: number,
  rate: number,
  outcome: (index: number) => Outcome,
): SampledOutcome[][] {
  const lines: SampledOutcome[][] = [];
  sample.take(0);
  for (let second = 0; second < seconds; second++) {
    for (let index = 0; index < rate; index++) sample.add(outcome(second * rate + index));
    lines.push(sample.take((second + 1) * 1_000));
  }
  return lines;
}

describe('OutcomeSample', () => {
  it('keeps every outcome at a rate within the budget, in order', () => {
    const outcomes = Array.from({ length: 2_000 }, (_, index) =>
      outcomeOf({ at: START + index, result: index % 3 === 0 ? 'failure' : 'success' }),
    );
    const lines = secondsOf(sampleOf(), 4, 500, (index) => outcomes[index]!).flat();
    expect(lines.map(({ outcome }) => outcome)).toEqual(outcomes);
    expect(lines.every(({ weight }) => weight === 1)).toBe(true);
  });

  it.each([600, 5_000, 50_000])('keeps to the budget at %d successes a second, and uses it', (rate) => {
    const lines = secondsOf(sampleOf(), 5, rate, () => outcomeOf());
    for (const ofSecond of lines) {
      expect(ofSecond.length).toBeLessThanOrEqual(500);
      expect(weightOf(ofSecond)).toBe(rate);
    }
    for (const ofSecond of lines.slice(1)) expect(ofSecond.length).toBeGreaterThan(450);
  });

  it('samples the arm that has most, and writes all of one that has little', () => {
    const arm = (index: number) => outcomeOf({ arm: index % 100 === 0 ? 'treatment' : 'control' });
    const lines = secondsOf(sampleOf(), 5, 5_000, arm).flat();
    const treatment = lines.filter(({ outcome }) => outcome.exposure.arm === 'treatment');
    expect(treatment).toHaveLength(250);
    expect(weightOf(lines)).toBe(25_000);
  });

  it('takes no line from failures, fallbacks, retries and the like for any number of successes', () => {
    const rare = [
      outcomeOf({ result: 'failure' }),
      outcomeOf({ result: 'failure', fallbackUsed: true }),
      outcomeOf({ result: 'failure', critical: true }),
      outcomeOf({ attempts: 2 }),
      outcomeOf({ result: 'expected' }),
      outcomeOf({ result: 'aborted' }),
    ];
    const sample = sampleOf();
    for (let index = 0; index < 60_000; index++) {
      sample.add(index % 10_000 === 0 ? rare[index / 10_000]! : outcomeOf());
    }
    const lines = sample.take(0).map(({ outcome, weight }) => ({ outcome, weight }));
    for (const outcome of rare) expect(lines).toContainEqual({ outcome, weight: 1 });
  });

  it('bounds a flood of failures too, counts all of them, and keeps the rare ones', () => {
    const sample = sampleOf();
    for (let index = 0; index < 100_000; index++) {
      sample.add(outcomeOf({ result: 'failure', errorType: index === 77_777 ? 'EIO' : 'ECONNRESET' }));
    }
    const lines = sample.take(0);
    expect(lines.length).toBeLessThanOrEqual(2_000);
    expect(weightOf(lines)).toBe(100_000);
    expect(lines.filter(({ outcome }) => outcome.errorType === 'EIO')).toMatchObject([{ weight: 1 }]);
  });

  it('bounds failures each of another type', () => {
    const sample = sampleOf({ maxFailureLinesPerSecond: 100 });
    for (let index = 0; index < 5_000; index++) {
      sample.add(outcomeOf({ result: 'failure', errorType: `E${index}` }));
    }
    const lines = sample.take(0);
    expect(lines.length).toBeLessThanOrEqual(100);
    expect(weightOf(lines)).toBe(5_000);
  });

  it('counts each kind of outcome exactly, whatever comes when', () => {
    const kind = ({ exposure, result, critical, attempts }: Outcome) =>
      `${exposure.epoch} ${exposure.arm} ${result} ${critical} ${attempts > 1}`;
    const countsOf = (lines: readonly SampledOutcome[]) => {
      const counts = new Map<string, number>();
      for (const { outcome, weight } of lines)
        counts.set(kind(outcome), (counts.get(kind(outcome)) ?? 0) + weight);
      return counts;
    };
    const anyOutcome = fc
      .record({
        arm: fc.constantFrom<('treatment' | 'control')[]>('treatment', 'control'),
        result: fc.constantFrom<Outcome['result'][]>('success', 'success', 'failure', 'expected', 'aborted'),
        epoch: fc.constantFrom(1, 2),
        critical: fc.boolean(),
        attempts: fc.constantFrom(1, 2),
        errorType: fc.constantFrom('a', 'b', 'c'),
      })
      .map(outcomeOf);
    const bursts = fc.array(
      fc.record({
        burst: fc.array(anyOutcome, { maxLength: 80 }),
        afterMs: fc.integer({ min: 0, max: 3_000 }),
      }),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(bursts, fc.integer({ min: 1, max: 30 }), (plan, budget) => {
        const sample = sampleOf({ maxLinesPerSecond: budget, maxFailureLinesPerSecond: budget });
        const lines: SampledOutcome[] = [];
        let now = 0;
        for (const { burst, afterMs } of plan) {
          for (const outcome of burst) sample.add(outcome);
          now += afterMs;
          lines.push(...sample.take(now));
        }
        const all = plan.flatMap(({ burst }) => burst.map((outcome) => ({ outcome, weight: 1 })));
        expect(countsOf(lines)).toEqual(countsOf(all));
        expect(sample.isEmpty).toBe(true);
      }),
    );
  });

  it('keeps each outcome with the probability 1/weight: what is computed with weights has no bias', () => {
    // Fast and slow successes alternate in long runs, in bursts and lulls: a scheme that favours early, late or lone ones shows.
    const rates = [3_000, 100, 700, 20_000, 450, 501, 1];
    const random = seeded(42);
    const estimates: number[] = [];
    let share = 0;
    for (let run = 0; run < 200; run++) {
      const sample = sampleOf({ maxLinesPerSecond: 60, random });
      let slow = 0;
      let all = 0;
      let slowSeen = 0;
      for (const [second, rate] of rates.entries()) {
        for (let index = 0; index < rate / 10; index++) {
          const isSlow = index < rate / 40;
          sample.add(outcomeOf({ durationMs: isSlow ? 900 : 100 }));
          all += 1;
          if (isSlow) slow += 1;
        }
        for (const { outcome, weight } of sample.take(second * 1_000)) {
          if (outcome.durationMs === 900) slowSeen += weight;
        }
      }
      share = slow / all;
      estimates.push(slowSeen / all);
    }
    const mean = estimates.reduce((sum, estimate) => sum + estimate, 0) / estimates.length;
    const variance =
      estimates.reduce((sum, estimate) => sum + (estimate - mean) ** 2, 0) / (estimates.length - 1);
    expect(Math.abs(mean - share)).toBeLessThan(4 * Math.sqrt(variance / estimates.length));
    expect(Math.sqrt(variance)).toBeLessThan(0.1);
  });

  it('writes the same sample with the same random numbers', () => {
    const run = () => secondsOf(sampleOf({ random: seeded(9) }), 2, 3_000, (at) => outcomeOf({ at })).flat();
    expect(run()).toEqual(run());
  });
});
