import { describe, expect, it } from 'vitest';
import {
  outcomeOfEntry,
  SettledSample,
  settledEntrySchema,
} from '../../../src/measure/evidence/settled-sample.js';
import type { SettledOutcome } from '../../../src/statistics/rollout-evidence.js';
import { settledOutcome } from '../outcomes.js';

const hash = (unit: number) => Math.imul(unit + 1, 0x9e37_79b1) >>> 0;

const outcome = (facts: Partial<SettledOutcome> = {}) => settledOutcome({ unit: 1, ...facts });

/** Takes what came, as another process reads it. */
function taken(sample: SettledSample) {
  const { entries, dropped } = sample.take();
  for (const entry of entries)
    expect(settledEntrySchema.parse(JSON.parse(JSON.stringify(entry)))).toEqual(entry);
  return { outcomes: entries.map(outcomeOfEntry), dropped };
}

/** Trials and failures that a receiver counts. */
function countsOf(outcomes: readonly SettledOutcome[]) {
  const failures = outcomes.filter(({ result }) => result === 'failure').length;
  const others = outcomes.filter(({ result }) => result === 'success');
  return { failures, trials: failures + others.reduce((sum, { weight }) => sum + weight, 0) };
}

describe('SettledSample', () => {
  it('sends all of a few outcomes, in the order of their exposures, as they were', () => {
    const sample = new SettledSample();
    const results = ['success', 'failure', 'expected', 'aborted', 'open', 'unreported'] as const;
    const given = results.map((result, i) =>
      outcome({
        result,
        unit: i,
        at: 10 - i,
        treated: i % 2 === 0,
        fallback: i === 1,
        retried: i === 2,
        chance: 0.1 * i,
      }),
    );
    for (const each of given) sample.add(each);
    expect(taken(sample)).toEqual({ outcomes: [...given].reverse(), dropped: 0 });
    expect(taken(sample)).toEqual({ outcomes: [], dropped: 0 });
  });

  it.each([Number.NaN, -1, Number.POSITIVE_INFINITY])(
    'sends the duration %d as not measured',
    (durationMs) => {
      const sample = new SettledSample();
      sample.add(outcome({ durationMs }));
      expect(taken(sample).outcomes[0]!.durationMs).toBeNaN();
    },
  );

  it.each([
    ['many units', (i: number) => hash(i % 10_000)],
    ['two units', (i: number) => hash(i % 2)],
    ['one unit', () => 3],
    ['outcomes without a unit', () => 0],
  ])('counts a thousand outcomes a second without bias, of %s', (_, unitOf) => {
    const sample = new SettledSample();
    let [trials, failures, sampled] = [0, 0, 0];
    for (let second = 0; second < 200; second++) {
      for (let i = 0; i < 1_000; i++) {
        const n = second * 1_000 + i;
        sample.add(
          outcome({
            unit: unitOf(n),
            treated: n % 2 === 0,
            at: n,
            result: n % 100 === 0 ? 'failure' : 'success',
          }),
        );
      }
      const { outcomes } = taken(sample);
      expect(outcomes.length).toBeLessThanOrEqual(256 + 32);
      const counts = countsOf(outcomes);
      trials += counts.trials;
      failures += counts.failures;
      sampled += outcomes.filter(({ weight }) => weight > 0).length;
    }
    expect(failures).toBe(2_000);
    expect(trials / 200_000).toBeCloseTo(1, 1);
    expect(sampled).toBeGreaterThan(200 * 10);
  });

  it('counts both arms alike, however they take turns', () => {
    const sample = new SettledSample();
    const weights = { treatment: 0, control: 0 };
    for (let second = 0; second < 100; second++) {
      for (let i = 0; i < 500; i++) sample.add(outcome({ treated: i % 2 === 0, at: i }));
      for (const { treated, weight } of taken(sample).outcomes)
        weights[treated ? 'treatment' : 'control'] += weight;
    }
    expect(weights.treatment / weights.control).toBeCloseTo(1, 1);
  });

  it('bounds events, choosing units by hash, and says how many found no room', () => {
    const sample = new SettledSample();
    for (let i = 0; i < 10_000; i++)
      sample.add(outcome({ unit: hash(i), treated: i % 2 === 0, result: 'failure', at: i }));
    const { outcomes, dropped } = taken(sample);
    expect(outcomes.length + dropped).toBe(10_000);
    const events = outcomes.filter(({ weight }) => weight === 0);
    expect(events).toHaveLength(256);
    const treated = events.filter((each) => each.treated).length;
    expect(treated).toBeGreaterThan(90);
    expect(treated).toBeLessThan(166);
  });

  it('samples more again when less comes', () => {
    const sample = new SettledSample();
    for (let i = 0; i < 4_000; i++) sample.add(outcome({ unit: hash(i) }));
    taken(sample);
    for (let second = 0; second < 10; second++) {
      for (let i = 0; i < 5; i++) sample.add(outcome({ unit: hash(i) }));
      taken(sample);
    }
    for (let i = 0; i < 5; i++) sample.add(outcome({ unit: hash(i) }));
    expect(taken(sample).outcomes.map(({ weight }) => weight)).toEqual([1, 1, 1, 1, 1]);
  });
});
