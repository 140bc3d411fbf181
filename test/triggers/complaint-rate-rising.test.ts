import { describe, expect, it } from 'vitest';
import type { ControlReference } from '../../src/model/baseline.js';
import { complaintRateRising } from '../../src/triggers/complaint-rate-rising.js';
import { NOW, snapshotOf } from './snapshots.js';

const HOUR = 3_600_000;

type Share = readonly [complaints: number, counted: number];

const recorded = (complaints: number, counted: number): ControlReference => ({
  during: 'flag-off',
  since: NOW - 72 * HOUR,
  until: NOW - 3 * HOUR,
  successes: counted - 1,
  failures: 1,
  complaints,
  latency: undefined,
});

function verdictOf(treatment: Share, control: Share, baseline?: ControlReference) {
  const snapshot = snapshotOf({
    windowMs: HOUR,
    treatment: { complaints: treatment[0], successes: treatment[1] },
    control: { complaints: control[0], successes: control[1] },
  });
  return complaintRateRising().evaluate({ ...snapshot, baseline: { control: baseline } }, NOW);
}

describe('complaintRateRising', () => {
  it.each<[string, Share, Share, string, number]>([
    ['more complaints than the ratio', [16, 1_000], [10, 1_000], 'breach', 1.6],
    ['exactly the ratio', [15, 1_000], [10, 1_000], 'ok', 1.5],
    ['as many', [10, 100], [100, 1_000], 'ok', 1],
    ['none', [0, 100], [0, 100], 'ok', 0],
    ['too few complaints to mean anything', [4, 100], [1, 1_000], 'ok', 40],
    ['just enough complaints', [5, 100], [1, 1_000], 'breach', 50],
    ['a control without any, which is taken to have had one', [5, 1_000], [0, 1_000], 'breach', 5],
    ['a control without any among few outcomes', [5, 1_000], [0, 250], 'ok', 1.25],
  ])('evaluates %s', (_what, treatment, control, status, observed) => {
    const verdict = verdictOf(treatment, control);
    expect(verdict).toMatchObject({
      status,
      threshold: 1.5,
      sampleSize: { treatment: treatment[1], control: control[1] },
    });
    expect(verdict.observed).toBeCloseTo(observed, 9);
  });

  it('has no verdict on few outcomes', () => {
    expect(verdictOf([50, 99], [0, 1_000]).status).toBe('insufficient-data');
    expect(verdictOf([50, 100], [0, 99]).status).toBe('insufficient-data');
    expect(verdictOf([50, 100], [0, 99], recorded(0, 99)).status).toBe('insufficient-data');
  });

  it('compares with the recorded control only when none runs at the same time', () => {
    const baseline = recorded(20, 1_000);
    expect(verdictOf([16, 1_000], [10, 1_000], baseline).status).toBe('breach');
    expect(verdictOf([16, 1_000], [10, 99], baseline)).toMatchObject({ status: 'ok', observed: 0.8 });
    expect(verdictOf([40, 1_000], [0, 0], baseline)).toMatchObject({
      status: 'breach',
      sampleSize: { treatment: 1_000, control: 1_000 },
      message:
        "The treatment's complaint rate is 4.0 % (40 of 1000 in the last 1 h), the control's 2.0 % (20 of 1000 outcomes of the control while the flag was off, the last 3 h ago): above 150 % of it.",
    });
  });

  it.each([
    [{ ratio: -1 }, /ratio: expected a number above 0/],
    [{ minComplaints: 0 }, /minComplaints: expected a whole number/],
    [{ windowMs: 0 }, /windowMs: expected a positive number/],
  ])('refuses %o', (options, message) => {
    expect(() => complaintRateRising(options)).toThrow(message);
  });
});
