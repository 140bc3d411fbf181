import { describe, expect, it } from 'vitest';
import { SampleRatio } from '../../src/statistics/sample-ratio.js';
import { MAX_MARKS } from '../../src/statistics/unit-marks.js';
import { Random } from '../../src/what-if/simulate/random.js';

const hash = (unit: number) => Math.imul(unit + 1, 0x9e37_79b1) >>> 0;

/** Exposes units that are put into the treatment with another chance than the one that is claimed. */
function expose(ratio: SampleRatio, units: number, claimed: number, real: number, seed = 1, from = 0) {
  const random = new Random(seed);
  for (let i = 0; i < units; i++) {
    const treated = random.chance(real);
    for (let again = 0; again < 3; again++) ratio.exposed(hash(from + i), treated, claimed, i);
  }
  return ratio.evidence(0.001);
}

describe('SampleRatio', () => {
  it('says nothing of units that were drawn as claimed, at several percentages', () => {
    for (let seed = 0; seed < 40; seed++) {
      const ratio = new SampleRatio();
      expose(ratio, 3_000, 0.01, 0.01, seed);
      ratio.beginEpoch();
      expose(ratio, 3_000, 0.1, 0.1, seed + 100, 3_000);
      expect(expose(ratio, 3_000, 0.5, 0.5, seed + 200, 6_000).breached).toBe(false);
    }
  });

  it.each([
    [0.5, 0.45, 5_000],
    [0.5, 0.55, 5_000],
    [0.1, 0.2, 500],
    [0.1, 0.02, 800],
    [0.01, 0.05, 1_000],
  ])(
    'finds that of units with a chance of %d there are %d in the treatment, within %d units',
    (claimed, real, units) => {
      for (let seed = 0; seed < 5; seed++) {
        const { breached, assignment } = expose(new SampleRatio(), units, claimed, real, seed);
        expect(breached).toBe(true);
        expect(assignment).toMatchObject({ units, inBothArms: 0 });
        expect(assignment.expected).toBeCloseTo(claimed * units, 6);
        expect(Math.abs(assignment.treatment / units - real)).toBeLessThan(0.05);
      }
    },
  );

  it('counts a unit once, by its chance when it was seen first', () => {
    const ratio = new SampleRatio();
    for (let i = 0; i < 100; i++) ratio.exposed(7, true, 0.1, i);
    ratio.beginEpoch();
    for (let i = 0; i < 100; i++) ratio.exposed(7, true, 0.5, i);
    expect(ratio.evidence(0.001)).toMatchObject({
      events: 1,
      assignment: { units: 1, expected: 0.1, epochUnits: 1 },
    });
  });

  it('counts units that are seen in both arms within one epoch', () => {
    const ratio = new SampleRatio();
    for (let i = 0; i < 100; i++) ratio.exposed(hash(i), i % 2 === 0, 0.5, i);
    ratio.beginEpoch();
    // At another percentage they may be in the other arm, but not in both.
    for (let i = 0; i < 100; i++) ratio.exposed(hash(i), true, 0.5, i);
    expect(ratio.evidence(0.001).assignment).toMatchObject({ epochUnits: 100, inBothArms: 0 });
    for (let i = 0; i < 30; i++) for (let k = 0; k < 3; k++) ratio.exposed(hash(i), false, 0.5, i);
    expect(ratio.evidence(0.001).assignment).toMatchObject({ units: 100, epochUnits: 100, inBothArms: 30 });
  });

  it('counts no unit that has no hash', () => {
    const ratio = new SampleRatio();
    for (let i = 0; i < 100; i++) ratio.exposed(0, true, 0.1, i);
    expect(ratio.evidence(0.001)).toMatchObject({ events: 0, assignment: { units: 0, epochUnits: 0 } });
  });

  it('bounds what it remembers, and goes on counting a sample, by hash', () => {
    const ratio = new SampleRatio();
    const random = new Random(2);
    for (let i = 0; i < 3 * MAX_MARKS; i++) ratio.exposed(hash(i), random.chance(0.5), 0.5, i);
    const { breached, assignment } = ratio.evidence(0.001);
    expect(breached).toBe(false);
    expect(assignment.units).toBeGreaterThan(MAX_MARKS);
    expect(assignment.units).toBeLessThan(2.5 * MAX_MARKS);
    const { seen, arms, shift } = ratio.toJSON();
    expect(shift).toBeGreaterThan(0);
    expect(Buffer.from(seen, 'base64').length).toBeLessThan(4 * MAX_MARKS);
    expect(Buffer.from(arms, 'base64').length).toBeLessThan(4 * MAX_MARKS);
    // Units that are known count no second time.
    for (let i = 0; i < 1_000; i++) ratio.exposed(hash(i), true, 0.5, i);
    expect(ratio.evidence(0.001).assignment.units).toBe(assignment.units);
  });

  it('continues from its JSON, bit for bit', () => {
    const [original, restored] = [new SampleRatio(), new SampleRatio()];
    expose(original, 2_000, 0.1, 0.12);
    restored.restore(JSON.parse(JSON.stringify(original)));
    for (const ratio of [original, restored]) expose(ratio, 2_000, 0.1, 0.12, 5, 1_500);
    expect(restored.evidence(0.001)).toEqual(original.evidence(0.001));
    const state = original.toJSON();
    expect(() => restored.restore({ ...state, seen: 'AAA=' })).toThrow(RangeError);
    expect(() => restored.restore({ ...state, test: { ...state.test, onsets: [] } })).toThrow(RangeError);
  });
});
