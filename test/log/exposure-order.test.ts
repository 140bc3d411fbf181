import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ExposureOrder } from '../../src/log/exposure-order.js';
import type { Outcome } from '../../src/model/shapes.js';
import { outcomeOf, START } from '../measure/outcomes.js';

const MINUTE = 60_000;

/** An outcome that took so long, and ended then; times from `START` on, in milliseconds. */
function ended(at: number, tookMs: number, targetingKey = `user-${at}`): Outcome {
  const outcome = outcomeOf({ at: START + at, targetingKey });
  return { ...outcome, exposure: { ...outcome.exposure, at: START + at - tookMs } };
}

function stepsOf(outcomes: readonly Outcome[], horizonMs = MINUTE): string[] {
  const order = new ExposureOrder<Outcome>(horizonMs);
  const steps = [...outcomes.flatMap((outcome) => [...order.add(outcome)]), ...order.rest()];
  return steps.map(({ type, outcome }) => `${type} ${outcome.exposure.targetingKey}`);
}

describe('ExposureOrder', () => {
  it('gives back exposures in their order, though their outcomes came in another', () => {
    expect(stepsOf([ended(100, 10, 'fast'), ended(30_000, 29_990, 'slow')])).toEqual([
      'exposure slow',
      'exposure fast',
      'outcome fast',
      'outcome slow',
    ]);
  });

  it('gives back each exposure once, before its outcome, and outcomes in the order of the log', () => {
    const anyOutcome = fc.record({
      afterMs: fc.integer({ min: -2_000, max: 40_000 }),
      tookMs: fc.integer({ min: -10, max: 90_000 }),
    });
    fc.assert(
      fc.property(fc.array(anyOutcome, { maxLength: 50 }), (plan) => {
        let at = 0;
        const outcomes = plan.map(({ afterMs, tookMs }, index) => {
          at += afterMs;
          return ended(at, tookMs, `${index}`);
        });
        const steps = stepsOf(outcomes);
        const keys = outcomes.map(({ exposure }) => exposure.targetingKey);
        expect(steps.filter((step) => step.startsWith('outcome'))).toEqual(
          keys.map((key) => `outcome ${key}`),
        );
        for (const key of keys) {
          expect(steps.filter((step) => step === `exposure ${key}`)).toHaveLength(1);
          expect(steps.indexOf(`exposure ${key}`)).toBeLessThan(steps.indexOf(`outcome ${key}`));
        }
      }),
    );
  });

  it('waits no longer than the horizon', () => {
    const order = new ExposureOrder<Outcome>(MINUTE);
    expect([...order.add(ended(0, 0))]).toEqual([]);
    expect([...order.add(ended(MINUTE, 0))].map(({ type }) => type)).toEqual(['exposure', 'outcome']);
  });

  it('goes on after a clock that was set back', () => {
    const order = new ExposureOrder<Outcome>(MINUTE);
    void [...order.add(ended(10 * MINUTE, 0))];
    expect([...order.add(ended(0, 0))].map(({ type }) => type)).toEqual(['exposure', 'outcome']);
  });
});
