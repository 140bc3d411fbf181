import { describe, expect, it } from 'vitest';
import { LatencyHistogram } from '../../src/measure/latency-histogram.js';
import { LatencyEvents } from '../../src/statistics/latency-events.js';
import { Random } from '../../src/what-if/simulate/random.js';

const REQUEST = { test: 'latency', alpha: 0.05, ratio: 1.2 } as const;

function setup() {
  const sources = { treatment: new LatencyHistogram(), control: new LatencyHistogram() };
  return { ...sources, events: new LatencyEvents(REQUEST, sources) };
}

interface Traffic {
  readonly outcomes: number;
  readonly share?: number;
  /** How many times slower the treatment is. */
  readonly slower: number;
  /** Units that come again and again; 0 when each outcome is one of its own. */
  readonly units?: number;
  readonly seed?: number;
}

/** @returns after how many outcomes of the treatment it was breached. */
function feed(
  { treatment, control, events }: ReturnType<typeof setup>,
  { outcomes, share = 0.5, slower, units = 0, seed = 1 }: Traffic,
) {
  const random = new Random(seed);
  const speed = Float64Array.from({ length: units }, () => 1 + 3 * random.next());
  const drawn = Float64Array.from({ length: units }, () => random.next());
  let treated = 0;
  for (let i = 0; i < outcomes; i++) {
    const unit = units === 0 ? -1 : random.bits() % units;
    const isTreated = (unit < 0 ? random.next() : drawn[unit]!) < share;
    if (isTreated) treated += 1;
    const ms = (100 * (unit < 0 ? 1 : speed[unit]!) * (isTreated ? slower : 1)) / (0.05 + random.next());
    (isTreated ? treatment : control).record(ms);
    events.success(unit < 0 ? 0 : Math.imul(unit + 1, 0x9e37_79b1) >>> 0, isTreated, share, ms, i);
    if (i % 50 === 0 && events.evidence().breached) return treated;
  }
  return undefined;
}

describe('LatencyEvents', () => {
  it('compares nothing until the control has 100 durations', () => {
    const sides = setup();
    feed(sides, { outcomes: 150, slower: 10 });
    expect(sides.events.evidence()).toMatchObject({ quantiles: [], events: 0, breached: false });
    feed(sides, { outcomes: 150, slower: 10 });
    const { quantiles } = sides.events.evidence();
    expect(quantiles.map(({ quantile }) => quantile)).toEqual([0.5, 0.9, 0.99]);
    for (const { controlMs, limitMs } of quantiles) expect(limitMs).toBeCloseTo(1.2 * controlMs, 9);
  });

  it.each([0, 400])('keeps alpha where all is as slow as tolerated, with %d returning units', (units) => {
    const runs = Array.from({ length: 20 }, (_, seed) =>
      feed(setup(), { outcomes: 8_000, slower: 1.15, units, seed }),
    );
    expect(runs.filter((stop) => stop !== undefined).length).toBeLessThanOrEqual(1);
  });

  it.each([
    [0, 2, 400],
    [400, 2, 1_000],
    [400, 10, 150],
  ])('finds with %d returning units that all is %d times slower (median)', (units, slower, within) => {
    const stops = Array.from({ length: 7 }, (_, seed) =>
      feed(setup(), { outcomes: 8_000, slower, units, seed }),
    );
    expect(stops.map((stop) => stop ?? 8_000).sort((a, b) => a - b)[3]).toBeLessThan(within);
  });

  it('finds a slow tail at its own quantile', () => {
    const sides = setup();
    const random = new Random(8);
    for (let i = 0; i < 20_000; i++) {
      const isTreated = random.chance(0.5);
      const ms = isTreated && random.chance(0.02) ? 60_000 : 100 / (0.05 + random.next());
      (isTreated ? sides.treatment : sides.control).record(ms);
      sides.events.success(0, isTreated, 0.5, ms, i);
    }
    const { breached, quantiles } = sides.events.evidence();
    expect(breached).toBe(true);
    expect([quantiles[0]!.breached, quantiles[2]!.breached]).toEqual([false, true]);
  });

  it('fixes thresholds anew when the control has twice the durations, and keeps them in a new epoch until then', () => {
    const sides = setup();
    feed(sides, { outcomes: 2_000, slower: 1 });
    const before = sides.events.evidence().quantiles.map(({ controlMs }) => controlMs);
    sides.control.clear();
    sides.treatment.clear();
    sides.events.beginEpoch(5);
    for (let i = 0; i < 99; i++) sides.control.record(1_000_000);
    sides.events.success(0, true, 0.5, 1, 6);
    expect(sides.events.evidence().quantiles.map(({ controlMs }) => controlMs)).toEqual(before);
    sides.control.record(1_000_000);
    sides.events.success(0, true, 0.5, 1, 7);
    expect(sides.events.evidence().quantiles[0]!.controlMs).toBeGreaterThan(900_000);
  });

  it('finds at 100 % that all is ten times slower than the control was', () => {
    for (const controls of [300, 3_000]) {
      const sides = setup();
      feed(sides, { outcomes: 2 * controls, slower: 1 });
      sides.control.clear();
      sides.events.beginEpoch(10);
      const random = new Random(3);
      // Controls that remain, such as users of another region, move no threshold.
      for (let i = 0; i < 500; i++) sides.control.record(1);
      let outcomes = 0;
      while (!sides.events.evidence().breached && outcomes < 1_000) {
        outcomes += 1;
        sides.events.success(0, true, 1, 1_000 / (0.05 + random.next()), 10 + outcomes);
      }
      expect(outcomes).toBeLessThan(100);
      expect(sides.events.evidence().frozen?.at).toBe(10);
    }
  });

  it('stops nothing at 100 % that is as slow as the control was', () => {
    for (let seed = 0; seed < 10; seed++) {
      const sides = setup();
      feed(sides, { outcomes: 3_000, slower: 1, seed });
      sides.events.beginEpoch(10);
      expect(feed(sides, { outcomes: 10_000, share: 1, slower: 1.1, seed: seed + 50 })).toBeUndefined();
    }
  });

  it('compares at 100 % with those of the control that had the same threshold', () => {
    const sides = setup();
    // The control becomes three times faster: what it was before would let the treatment be slow.
    feed(sides, { outcomes: 1_000, slower: 1 });
    for (let i = 0; i < 1_000; i++) sides.control.record(10);
    feed(sides, { outcomes: 300, slower: 1, seed: 2 });
    sides.events.beginEpoch(9);
    sides.events.success(0, true, 1, 1, 10);
    const { trials, failures } = sides.events.evidence().frozen!.counts;
    // All since are slower than the new median.
    expect([trials > 50, failures === trials]).toEqual([true, true]);
  });

  it('continues from its JSON, bit for bit', () => {
    const original = setup();
    feed(original, { outcomes: 1_000, slower: 1.4, units: 300 });
    const restored = setup();
    for (const arm of ['treatment', 'control'] as const) restored[arm].merge(original[arm]);
    restored.events.restore(JSON.parse(JSON.stringify(original.events)));
    for (const sides of [original, restored])
      feed(sides, { outcomes: 1_500, slower: 1.1, units: 300, seed: 4 });
    expect(restored.events.evidence()).toEqual(original.events.evidence());
    expect(() => restored.events.restore({ ...original.events.toJSON(), thresholdsMs: [1] })).toThrow(
      RangeError,
    );
  });
});
