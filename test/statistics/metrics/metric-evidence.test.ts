import { describe, expect, it } from 'vitest';
import { EventTest } from '../../../src/statistics/event-test.js';
import { MetricEvidence, type MetricTrial } from '../../../src/statistics/metrics/metric-evidence.js';
import type { MetricRequest } from '../../../src/statistics/metrics/metric-request.js';
import { Random } from '../../../src/what-if/simulate/random.js';

const ALPHA = 0.05;
type Direction = MetricRequest['direction'];
type Kind = MetricRequest['metric']['kind'];

function requestOf(kind: Kind, direction: Direction, minDifference = 0): MetricRequest {
  const common = { event: 'cart', withinMs: 1_000 };
  const metric =
    kind === 'numeric'
      ? { kind, ...common, min: 0 }
      : kind === 'ratio'
        ? { kind, ...common, per: 'page' }
        : { kind, ...common };
  return { test: 'metric', alpha: ALPHA, metric, direction, minDifference };
}

const hashOf = (unit: number) => Math.imul(unit + 1, 0x9e37_79b1) >>> 0 || 1;

interface Traffic {
  readonly trials: number;
  readonly value: (random: Random, treated: boolean) => number;
  readonly chance?: number | undefined;
  /** Units that come again; each trial is one of a new unit by default. */
  readonly units?: number | undefined;
  readonly seed?: number | undefined;
}

function trialsOf({ trials, value, chance = 0.5, units, seed = 1 }: Traffic): MetricTrial[] {
  const random = new Random(seed);
  const drawn = new Map<number, boolean>();
  return Array.from({ length: trials }, (_, at) => {
    const unit = units === undefined ? at : random.bits() % units;
    const treated = drawn.get(unit) ?? random.chance(chance);
    drawn.set(unit, treated);
    return { unit: hashOf(unit), treated, chance, at, value: value(random, treated) };
  });
}

/** @returns after how many trials it was breached. */
function stopOf(request: MetricRequest, traffic: Traffic): number | undefined {
  const evidence = new MetricEvidence(request);
  for (const trial of trialsOf(traffic)) {
    evidence.settled(trial);
    if (trial.at % 20 === 0 && evidence.evidence().breached) return trial.at;
  }
  return evidence.evidence().breached ? traffic.trials : undefined;
}

const converts = (control: number, treatment: number) => (random: Random, treated: boolean) =>
  random.chance(treated ? treatment : control) ? 1 : 0;
const costs = (factor: number) => (random: Random, treated: boolean) =>
  (treated ? factor : 1) * Math.exp(3 + random.normal());
const share = (control: number, treatment: number) => (random: Random, treated: boolean) =>
  random.chance(treated ? treatment : control) ? random.next() : 0;

/** The strongest side, by sorting everything anew for each trial: slow, and without marks, rings and states. */
function reference(trials: readonly MetricTrial[], direction: Direction, kind: Kind, tolerated = 0) {
  const sign = direction === 'higher-is-better' ? 1 : -1;
  const sides =
    kind === 'conversion'
      ? [
          { worse: true, q: 0 },
          { worse: false, q: 0 },
        ]
      : [
          { worse: true, q: 0.1 },
          { worse: true, q: 0.5 },
          { worse: false, q: 0.9 },
        ];
  const found = sides.map(({ worse, q }) => {
    const test = new EventTest(1, [1.2, 1.35, 1.6, 2, 3, 5, 10, 50]);
    const seen = new Set<number>();
    const controls: number[] = [];
    let limit = kind === 'conversion' ? sign / 2 : undefined;
    let fixedAt = 0;
    let events = { treatment: 0, control: 0 };
    for (const { unit, treated, chance, value } of trials) {
      const good = sign * value;
      if (limit !== undefined && !seen.has(unit)) {
        const own = treated ? limit - tolerated : limit;
        if (worse ? good < own : good > own) {
          seen.add(unit);
          events = treated
            ? { ...events, treatment: events.treatment + 1 }
            : { ...events, control: events.control + 1 };
          test.observe(worse ? treated : !treated, worse ? chance : 1 - chance, 0, [0, 0, 0, 0]);
        }
      }
      if (treated || kind === 'conversion') continue;
      controls.push(good);
      if (controls.length < 100 || controls.length < 2 * fixedAt) continue;
      fixedAt = controls.length;
      const values = controls
        .slice(-1_000)
        .map((each) => sign * each)
        .sort((a, b) => a - b);
      const shown = sign === 1 ? q : 1 - q;
      limit = sign * values[Math.max(0, Math.ceil(Number((shown * values.length).toFixed(6))) - 1)]!;
    }
    return { logE: test.logE, events };
  });
  return found.reduce((best, each) => (each.logE > best.logE ? each : best));
}

describe('MetricEvidence', () => {
  it.each<[Kind, Direction, Traffic, number]>([
    ['conversion', 'higher-is-better', { trials: 900, value: converts(0.3, 0.25) }, 0],
    ['conversion', 'lower-is-better', { trials: 900, value: converts(0.9, 0.93), chance: 0.2 }, 0],
    ['numeric', 'higher-is-better', { trials: 1_100, value: costs(0.8) }, 0],
    ['numeric', 'lower-is-better', { trials: 1_100, value: costs(1.2), chance: 0.7 }, 0],
    ['numeric', 'lower-is-better', { trials: 1_100, value: costs(1.4), units: 1_050 }, 3],
    ['ratio', 'lower-is-better', { trials: 900, value: share(0.2, 0.25), chance: 0.1 }, 0],
  ])('has the evidence of a slow reference: %s, %s', (kind, direction, traffic, minDifference) => {
    const evidence = new MetricEvidence(requestOf(kind, direction, minDifference));
    const trials = trialsOf(traffic);
    for (const trial of trials) evidence.settled(trial);
    const expected = reference(trials, direction, kind, minDifference);
    const found = evidence.evidence();
    expect(found.generation).toBe(1);
    expect(found.logE).toBeCloseTo(expected.logE, 9);
    expect(found.events).toBe(expected.events.treatment + expected.events.control);
  });

  it.each<[Kind, Direction, Traffic['value'], number?, number?]>([
    ['conversion', 'higher-is-better', converts(0.05, 0.05)],
    ['conversion', 'lower-is-better', converts(0.6, 0.6), 0.1],
    ['conversion', 'higher-is-better', converts(0.4, 0.4), 0.3, 400],
    ['numeric', 'higher-is-better', costs(1)],
    ['numeric', 'lower-is-better', costs(1), 0.05],
    ['ratio', 'lower-is-better', share(0.2, 0.2)],
  ])('stops at most alpha of healthy rollouts: %s, %s', (kind, direction, value, chance, units) => {
    const stops = Array.from({ length: 60 }, (_, seed) =>
      stopOf(requestOf(kind, direction), { trials: 2_000, value, chance, units, seed: seed + 100 }),
    );
    expect(stops.filter((stop) => stop !== undefined).length).toBeLessThanOrEqual(60 * ALPHA);
  });

  it.each<[string, Kind, Direction, Traffic['value'], number]>([
    ['half of few conversions are gone', 'conversion', 'higher-is-better', converts(0.06, 0.03), 8_000],
    ['conversions fall from 95 % to 85 %', 'conversion', 'higher-is-better', converts(0.95, 0.85), 1_500],
    ['cancellations rise from 2 % to 6 %', 'conversion', 'lower-is-better', converts(0.02, 0.06), 4_000],
    ['values fall by half', 'numeric', 'higher-is-better', costs(0.5), 1_500],
    ['values double', 'numeric', 'lower-is-better', costs(2), 1_500],
    ['three times as many units have errors', 'ratio', 'lower-is-better', share(0.1, 0.3), 1_500],
  ])('finds that %s', (_, kind, direction, value, within) => {
    const stops = [1, 2, 3, 4, 5].map(
      (seed) => stopOf(requestOf(kind, direction), { trials: 8_000, value, seed }) ?? 8_001,
    );
    expect(stops.sort((a, b) => a - b)[2]).toBeLessThanOrEqual(within);
  });

  it.each<[Kind, Direction, Traffic['value'], Traffic['value'], number]>([
    ['conversion', 'higher-is-better', converts(0.5, 0.45), converts(0.5, 0.2), 0.1],
    [
      'numeric',
      'higher-is-better',
      (r, t) => 100 + 10 * r.normal() - (t ? 5 : 0),
      (r, t) => 100 + 10 * r.normal() - (t ? 15 : 0),
      6,
    ],
    [
      'numeric',
      'lower-is-better',
      (r, t) => 100 + 10 * r.normal() + (t ? 5 : 0),
      (r, t) => 100 + 10 * r.normal() + (t ? 15 : 0),
      6,
    ],
  ])('tolerates minDifference, and no more: %s, %s', (kind, direction, small, large, minDifference) => {
    const request = requestOf(kind, direction, minDifference);
    expect(stopOf(request, { trials: 4_000, value: small })).toBeUndefined();
    expect(stopOf(request, { trials: 4_000, value: large })).toBeLessThan(1_500);
  });

  it('does not stop what is better', () => {
    expect(
      stopOf(requestOf('conversion', 'higher-is-better'), { trials: 3_000, value: converts(0.1, 0.3) }),
    ).toBeUndefined();
    expect(
      stopOf(requestOf('numeric', 'lower-is-better'), { trials: 3_000, value: costs(0.5) }),
    ).toBeUndefined();
  });

  it('counts the first event of a unit alone: one that comes a thousand times proves nothing', () => {
    const evidence = new MetricEvidence(requestOf('conversion', 'lower-is-better'));
    for (let at = 0; at < 1_000; at++)
      evidence.settled({ unit: 7, treated: true, chance: 0.5, at, value: 1 });
    expect(evidence.evidence()).toMatchObject({ breached: false, events: 1 });
    expect(evidence.evidence().logE).toBeLessThan(1);
  });

  it('compares with the control as it was when none remains', () => {
    const evidence = new MetricEvidence(requestOf('conversion', 'higher-is-better'));
    for (const trial of trialsOf({ trials: 3_000, value: converts(0.9, 0.9) })) evidence.settled(trial);
    evidence.beginEpoch(3_000);
    for (const { unit, at, value } of trialsOf({ trials: 2_000, value: converts(0.5, 0.5), seed: 9 })) {
      evidence.settled({ unit: hashOf(unit), treated: true, chance: 1, at: 3_001 + at, value });
    }
    const { breached, frozen, counts } = evidence.evidence();
    expect(breached).toBe(true);
    expect(frozen?.at).toBe(3_000);
    expect(counts.treatment.trials).toBe(2_000);
  });

  it('shows rates and medians of both arms, undefined before any', () => {
    const conversion = new MetricEvidence(requestOf('conversion', 'higher-is-better'));
    expect(conversion.evidence().metric.arms).toEqual({
      treatment: { trials: 0, value: undefined },
      control: { trials: 0, value: undefined },
    });
    const numeric = new MetricEvidence(requestOf('numeric', 'higher-is-better'));
    for (let i = 1; i <= 4; i++) {
      conversion.settled({ unit: i, treated: true, chance: 0.5, at: i, value: i === 1 ? 1 : 0 });
      numeric.settled({ unit: i, treated: false, chance: 0.5, at: i, value: -i });
    }
    expect(conversion.evidence().metric.arms.treatment).toEqual({ trials: 4, value: 0.25 });
    expect(numeric.evidence().metric).toMatchObject({
      arms: { control: { trials: 4, value: -3 } },
      compared: undefined,
    });
  });

  it.each<[Kind, Traffic['value']]>([
    ['conversion', converts(0.3, 0.2)],
    ['numeric', costs(0.8)],
  ])('goes on after a restart as if there had been none: %s', (kind, value) => {
    const request = requestOf(kind, 'higher-is-better');
    const trials = trialsOf({ trials: 1_500, value });
    const [whole, first, second] = [0, 1, 2].map(() => new MetricEvidence(request));
    for (const trial of trials) whole!.settled(trial);
    for (const trial of trials.slice(0, 700)) first!.settled(trial);
    first!.note({ tracked: 3, unattributed: 1, invalid: 1 });
    whole!.note({ tracked: 3, unattributed: 1, invalid: 1 });
    second!.restore(JSON.parse(JSON.stringify(first!.toJSON())));
    for (const trial of trials.slice(700)) second!.settled(trial);
    expect(second!.evidence()).toEqual(whole!.evidence());
  });
});
