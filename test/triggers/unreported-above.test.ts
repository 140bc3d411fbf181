import { describe, expect, it } from 'vitest';
import { type UnreportedAboveOptions, unreportedAbove } from '../../src/triggers/unreported-above.js';
import { NOW, snapshotOf } from './snapshots.js';

type Share = readonly [unreported: number, due: number];

function verdictOf(treatment: Share, control: Share, options: Partial<UnreportedAboveOptions> = {}) {
  const exposures = {
    treatment: { unreported: treatment[0], due: treatment[1] },
    control: { unreported: control[0], due: control[1] },
  };
  return unreportedAbove({ ratio: 2, ...options }).evaluate(snapshotOf({ exposures }), NOW);
}

describe('unreportedAbove', () => {
  it.each<[string, Share, Share, string, number]>([
    ['a treatment that hangs', [50, 100], [0, 100], 'breach', 100],
    ['exactly the least share', [1, 100], [0, 100], 'ok', 2],
    ['just more than the least share', [11, 1_000], [0, 1_000], 'breach', 2.2],
    ['evaluations that lead to no operation in either arm', [300, 1_000], [3_000, 10_000], 'ok', 1],
    ['exactly the ratio', [60, 100], [30, 100], 'ok', 2],
    ['just more than the ratio', [61, 100], [30, 100], 'breach', 61 / 30],
    ['a control that is worse', [0, 100], [90, 100], 'ok', 0],
  ])('is $3 for %s', (_what, treatment, control, status, observed) => {
    const verdict = verdictOf(treatment, control);
    expect(verdict).toMatchObject({
      status,
      threshold: 2,
      sampleSize: { treatment: treatment[1], control: control[1] },
    });
    expect(verdict.observed).toBeCloseTo(observed, 9);
  });

  it.each<[Share, Share]>([
    [
      [99, 99],
      [0, 1_000],
    ],
    [
      [1_000, 1_000],
      [0, 99],
    ],
    [
      [0, 0],
      [0, 0],
    ],
  ])('has no verdict on %j and %j: too few exposures', (treatment, control) => {
    expect(verdictOf(treatment, control)).toMatchObject({ status: 'insufficient-data', observed: undefined });
  });

  it('explains its verdict with the shares of both arms', () => {
    expect(verdictOf([50, 200], [10, 1_000]).message).toBe(
      "25.0 % of the treatment's exposures have no outcome (50 of 200 in the last 5 min), and 1.0 % of the control's (10 of 1000): above 2 %.",
    );
    expect(verdictOf([1, 20], [0, 5]).message).toBe(
      'No verdict on missing outcomes yet: 20 exposures of the treatment and 5 of the control in the last 5 min, 100 of each needed.',
    );
  });

  it('accepts other limits', () => {
    expect(verdictOf([4, 10], [1, 10], { minExposures: 10, ratio: 3 }).status).toBe('breach');
    expect(verdictOf([4, 100], [0, 100], { minShare: 0.05 }).status).toBe('ok');
  });

  it.each([
    [{ ratio: 0 }, /ratio: expected a number above 0/],
    [{ minExposures: 0 }, /minExposures: expected a whole number/],
    [{ minShare: 5 }, /minShare: expected a fraction 0–1.*did you mean 0.05/],
    [{ minShare: 0 }, /minShare: expected a fraction above 0/],
    [{ min: 1 } as object, /min/],
  ])('refuses %o', (options, message) => {
    expect(() => unreportedAbove({ ratio: 2, ...options })).toThrow(message);
  });
});
