import { describe, expect, it } from 'vitest';
import { describeFailing } from '../../src/model/concentration.js';
import type { Attributes } from '../../src/model/shapes.js';
import type { OutcomeDetail } from '../../src/model/snapshot.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { whereItFails } from '../../src/triggers/where-it-fails.js';
import { NOW, snapshotOf } from './snapshots.js';

const failing = (attributes: Attributes, over: Partial<OutcomeDetail> = {}): OutcomeDetail => ({
  at: NOW,
  arm: 'treatment',
  errorType: 'ParseError',
  attributes,
  ...over,
});
const other = (attributes: Attributes): OutcomeDetail => ({ at: NOW, arm: 'control', attributes });
const times = <T>(count: number, make: (index: number) => T) =>
  Array.from({ length: count }, (_, i) => make(i));

/** 13 of 14 failing units uploaded .csv, and one in ten of the others. */
const csv = {
  failures: [
    ...times(13, (i) => failing({ type: '.csv', size: 1_000 + i, requestId: `r-${i}` })),
    failing({ type: '.png', size: 40_000, requestId: 'r-13' }),
    ...times(5, (i) =>
      failing({ type: i === 0 ? '.csv' : '.png' }, { arm: 'control', errorType: 'Timeout' }),
    ),
  ],
  others: times(50, (i) =>
    other({ type: i % 10 === 0 ? '.csv' : '.png', size: 20_000 + i, requestId: `o-${i}` }),
  ),
};

describe('whereItFails', () => {
  it("names the value that most failing units have and few others, with both arms' shares", () => {
    const found = whereItFails(csv);
    expect(found).toContainEqual({
      attribute: 'type',
      value: '.csv',
      treatment: { count: 13, of: 14 },
      control: { count: 1, of: 5 },
      others: { count: 5, of: 50 },
    });
    expect(describeFailing([{ failing: found } as never])).toContain(
      ' 13 of 14 failing users have type ".csv" (control: 1 of 5, other outcomes: 10 %).',
    );
    const many = { ...found[0]!, treatment: { count: 1_300, of: 1_400 }, control: { count: 0, of: 2_000 } };
    expect(describeFailing([{ failing: [many] } as never])).toMatch(
      /^ 1,300 of 1,400 failing users .+ \(control: 0 of 2,000/,
    );
  });

  it('shows numbers that differ from call to call in ranges, and few distinct ones as they are', () => {
    expect(whereItFails(csv)).toContainEqual(
      expect.objectContaining({ attribute: 'size', value: '512–1024' }),
    );
    const few = {
      failures: times(6, () => failing({ region: 2 })),
      others: times(20, (i) => other({ region: i % 4 })),
    };
    expect(whereItFails(few)).toContainEqual(expect.objectContaining({ attribute: 'region', value: '2' }));
  });

  it('never names what is unique to an outcome, such as a request id', () => {
    expect(whereItFails(csv).map(({ attribute }) => attribute)).not.toContain('requestId');
  });

  it("compares error types with the control's failures", () => {
    expect(whereItFails(csv)).toContainEqual(
      expect.objectContaining({ attribute: 'errorType', value: 'ParseError', control: { count: 0, of: 5 } }),
    );
    const alike = {
      failures: [...times(5, () => failing({})), ...times(5, () => failing({}, { arm: 'control' }))],
      others: [],
    };
    expect(whereItFails(alike)).toEqual([]);
  });

  it("names a variant by how it fails beside the treatment's others: the control has none", () => {
    const both = (variant: string, i: number): OutcomeDetail => ({
      ...other({ variant: i % 2 === 0 ? variant : 'recent' }),
      arm: 'treatment',
    });
    const controls = times(40, () => other({}));
    const bad = {
      failures: times(9, () => failing({ variant: 'popular' })),
      others: [...controls, ...times(20, () => both('recent', 0))],
    };
    expect(whereItFails(bad)).toContainEqual(
      expect.objectContaining({ attribute: 'variant', value: 'popular', others: { count: 0, of: 20 } }),
    );
    expect(describeFailing([{ failing: whereItFails(bad) } as never])).toContain(
      ' 9 of 9 failing users have variant "popular" (the treatment\'s other outcomes: 0 %).',
    );
    const alike = {
      failures: times(10, (i) => failing({ variant: i < 6 ? 'popular' : 'recent' })),
      others: [...controls, ...times(20, (i) => both('popular', i))],
    };
    expect(whereItFails(alike).map(({ attribute }) => attribute)).not.toContain('variant');
  });

  it('says nothing of few failing units, of what is as frequent elsewhere, and of failures before the harm', () => {
    expect(whereItFails({ ...csv, failures: csv.failures.slice(0, 3) })).toEqual([]);
    const everywhere = {
      failures: times(9, () => failing({ v: 1 }, { errorType: undefined! })),
      others: times(30, () => other({ v: 1 })),
    };
    expect(whereItFails(everywhere)).toEqual([]);
    expect(whereItFails(csv, NOW + 1)).toEqual([]);
  });

  it('comes with a breach, and with no other verdict', () => {
    const rule = successRateBelow(0.95, { strict: true });
    const breach = rule.evaluate(snapshotOf({ treatment: { failures: 20 }, details: csv }), NOW);
    expect(breach.failing?.map(({ attribute }) => attribute)).toContain('type');
    expect(
      rule.evaluate(snapshotOf({ treatment: { successes: 20 }, details: csv }), NOW).failing,
    ).toBeUndefined();
  });
});
