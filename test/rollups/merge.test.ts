import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { historyOf, mergeHistories } from '../../src/rollups/history.js';
import type { Rollup } from '../../src/rollups/rollup.js';
import { lineOfRollup, rollupOfLine } from '../../src/rollups/rollup-line.js';
import { mergeRollups } from '../../src/rollups/rollup-sum.js';
import { anyRollup, armOf, HOUR, MINUTE, NOON, rollupOf } from './rollups.js';

/** Sums of durations differ by rounding. */
function comparable({ arms, ...rest }: Rollup) {
  const rounded = (arm: Rollup['arms']['control']) => ({
    ...arm,
    latency: { ...arm.latency, sumMs: Math.round(arm.latency.sumMs) },
  });
  return { ...rest, arms: { treatment: rounded(arms.treatment), control: rounded(arms.control) } };
}

const inOrder = fc
  .array(anyRollup, { minLength: 1, maxLength: 12 })
  .map((rollups) => rollups.sort((a, b) => a.at - b.at));

describe('merging rollups', () => {
  it('gives the same however they are grouped', () => {
    fc.assert(
      fc.property(inOrder, fc.array(fc.nat(12), { maxLength: 4 }), (rollups, cuts) => {
        const whole = mergeRollups(rollups, NOON, 3 * HOUR);
        const bounds = [0, ...cuts.map((cut) => Math.min(cut, rollups.length)), rollups.length].sort(
          (a, b) => a - b,
        );
        const groups = bounds.slice(1).map((bound, index) => rollups.slice(bounds[index], bound));
        const merged = groups
          .filter((group) => group.length > 0)
          .map((group) => mergeRollups(group, group.at(-1)!.at, HOUR));
        expect(comparable(mergeRollups(merged, NOON, 3 * HOUR))).toEqual(comparable(whole));
      }),
      { numRuns: 200 },
    );
  });

  it('keeps the worst status of a trigger, and what it observed last', () => {
    const trigger = { trigger: 'error-rate-above', threshold: 0.05, unit: 'fraction' } as const;
    const merged = mergeRollups(
      [
        rollupOf({ triggers: [{ ...trigger, status: 'ok', observed: 0.01, evidence: 0.1 }] }),
        rollupOf({ at: NOON + MINUTE, triggers: [{ ...trigger, status: 'breach', observed: 0.2 }] }),
        rollupOf({ at: NOON + 2 * MINUTE, triggers: [{ ...trigger, status: 'insufficient-data' }] }),
      ],
      NOON,
      10 * MINUTE,
    );
    expect(merged.triggers).toEqual([{ ...trigger, status: 'breach', observed: 0.2, evidence: 0.1 }]);
  });

  it('adds up metrics by arm, and begins anew when one is of another kind', () => {
    const part = (minute: number, kind: 'numeric' | 'conversion', trials: number) =>
      rollupOf({
        at: NOON + minute * MINUTE,
        metrics: [{ trigger: 'cart', kind, treatment: { trials, sum: 5 }, control: { trials: 1, sum: 2 } }],
      });
    const sum = (...parts: Rollup[]) => mergeRollups(parts, NOON, HOUR).metrics;
    expect(sum(part(0, 'numeric', 1), rollupOf(), part(2, 'numeric', 3))).toEqual([
      { trigger: 'cart', kind: 'numeric', treatment: { trials: 4, sum: 10 }, control: { trials: 2, sum: 4 } },
    ]);
    expect(sum(part(0, 'numeric', 1), part(2, 'conversion', 3))).toEqual(part(2, 'conversion', 3).metrics);
    expect(sum(rollupOf())).toBeUndefined();
  });

  it('counts error types beyond 50 as other, and loses none', () => {
    const rollups = Array.from({ length: 200 }, (_, index) =>
      rollupOf({
        at: NOON + index * MINUTE,
        arms: { treatment: armOf({ failures: 1, errorTypes: [[`E_${index}`, 1]] }), control: armOf() },
      }),
    );
    const { errorTypes } = mergeRollups(rollups, NOON, HOUR).arms.treatment;
    expect(errorTypes).toHaveLength(51);
    expect(errorTypes[0]).toEqual(['other', 150]);
  });
});

describe('the line of a rollup', () => {
  it('gives the rollup back as it was', () => {
    fc.assert(
      fc.property(anyRollup, (rollup) => {
        const line = lineOfRollup(rollup);
        expect(line).not.toContain('\n');
        expect(rollupOfLine(line)).toEqual(rollup);
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    ['half a line', lineOfRollup(rollupOf()).slice(0, 60)],
    ['another program', '{"at":1,"durationMs":60000,"data":"AAAA"}'],
    ['nothing', ''],
    ['an enormous one', JSON.stringify({ at: 1, durationMs: MINUTE, data: 'x'.repeat(100) })],
  ])('of %s is none', (_what, line) => {
    expect(rollupOfLine(line)).toBeUndefined();
  });
});

describe('a history', () => {
  const none = { lines: [], removedUpTo: undefined };
  const minutes = Array.from({ length: 120 }, (_, index) =>
    rollupOf({
      at: NOON + index * MINUTE,
      arms: { treatment: armOf({}, [index + 1]), control: armOf() },
    }),
  );
  const longer = (durationMs: number) =>
    Array.from({ length: (2 * HOUR) / durationMs }, (_, index) => {
      const at = NOON + index * durationMs;
      const parts = minutes.filter((each) => each.at >= at && each.at < at + durationMs);
      return mergeRollups(parts, at, durationMs);
    });
  const successes = (rollups: readonly Rollup[]) =>
    rollups.reduce((sum, { arms }) => sum + arms.treatment.successes, 0);
  /** As it is kept when the first `removed` minutes are no longer. */
  const kept = (removed: number) => ({
    series: {
      minutes: {
        lines: minutes.slice(removed).map(lineOfRollup),
        removedUpTo: removed === 0 ? undefined : NOON + removed * MINUTE,
      },
      'ten-minutes': { lines: longer(10 * MINUTE).map(lineOfRollup), removedUpTo: undefined },
      hours: { lines: longer(HOUR).map(lineOfRollup), removedUpTo: undefined },
      annotations: none,
    },
    running: [],
  });

  it.each([0, 1, 9, 10, 35, 119, 120])(
    'has each outcome once when the first %i minutes were removed',
    (n) => {
      const { rollups } = historyOf(kept(n));
      expect(successes(rollups)).toBe(120);
      rollups.reduce((end, { at, durationMs }) => {
        expect(at).toBeGreaterThanOrEqual(end);
        return at + durationMs;
      }, 0);
    },
  );

  it('has what is within a range', () => {
    const { rollups } = historyOf(kept(35), { from: NOON + 20 * MINUTE, to: NOON + 42 * MINUTE });
    expect(rollups.map(({ at }) => (at - NOON) / MINUTE)).toEqual([20, 30, 40, 41]);
  });

  it('adds up what several processes kept, as fine as all of them have it', () => {
    const merged = mergeHistories([historyOf(kept(0)), historyOf(kept(35))]);
    expect(successes(merged.rollups)).toBe(240);
    expect(
      merged.rollups.slice(0, 6).map(({ at, durationMs }) => [(at - NOON) / MINUTE, durationMs]),
    ).toEqual([
      [0, 10 * MINUTE],
      [10, 10 * MINUTE],
      [20, 10 * MINUTE],
      [30, 10 * MINUTE],
      [40, MINUTE],
      [41, MINUTE],
    ]);
  });
});
