import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LatencyHistogram } from '../../src/measure/latency-histogram.js';
import { rolloutEvidenceSchema, UNIT_EVENTS } from '../../src/statistics/evidence-state.js';
import {
  RolloutEvidence,
  type SettledOutcome,
  type TestSpec,
} from '../../src/statistics/rollout-evidence.js';
import { isConfigError } from '../../src/support/config-error.js';
import { settledOutcome as outcome } from '../measure/outcomes.js';

const event = { test: 'event', alpha: 0.015, ratio: 1, minDifference: 0.02 } as const;
const SPECS: readonly TestSpec[] = [
  { name: 'regression', evidence: { ...event, event: 'failure' } },
  { name: 'stricter', evidence: { ...event, event: 'failure', ratio: 1.5, minDifference: 0 } },
  { name: 'limit', evidence: { test: 'limit', alpha: 0.01, maxFailureRate: 0.05 } },
  { name: 'slower', evidence: { test: 'latency', alpha: 0.02, ratio: 1.2 } },
  { name: 'aborts', evidence: { ...event, event: 'aborted', alpha: 0.005 } },
  { name: 'expected', evidence: { ...event, event: 'expected', alpha: 0.001 } },
  { name: 'fallbacks', evidence: { ...event, event: 'fallback', alpha: 0.001 } },
  { name: 'retries', evidence: { ...event, event: 'retried', alpha: 0.001 } },
  { name: 'complaints', evidence: { ...event, event: 'complaint', alpha: 0.001 } },
  { name: 'silence', evidence: { ...event, event: 'unreported', alpha: 0.001 } },
  { name: 'ratio', evidence: { test: 'sample-ratio', alpha: 0.001 } },
  { name: 'literal' },
];

function setup(specs = SPECS) {
  const latency = { treatment: new LatencyHistogram(), control: new LatencyHistogram() };
  return { latency, evidence: new RolloutEvidence(specs, latency) };
}

const of = (evidence: RolloutEvidence, trigger: string) =>
  evidence.snapshot().find((each) => each.trigger === trigger)!;

function feed({ latency, evidence }: ReturnType<typeof setup>, outcomes: readonly SettledOutcome[]) {
  for (const each of outcomes) {
    if (each.result === 'success') latency[each.treated ? 'treatment' : 'control'].record(each.durationMs);
    if (each.treated && (each.result === 'success' || each.result === 'failure')) {
      evidence.outcome(each.unit, each.result === 'failure', each.at);
    }
    evidence.settled(each);
  }
}

const outcomes = fc.array(
  fc.record({
    unit: fc.oneof(
      fc.constant(0),
      fc.integer({ min: 1, max: 400 }).map((n) => Math.imul(n, 0x9e37_79b1) >>> 0),
    ),
    treated: fc.boolean(),
    chance: fc.constantFrom(0.5, 0.5, 0.1, 1, 0),
    at: fc.nat(10_000),
    result: fc.constantFrom<SettledOutcome['result']>(
      'success',
      'success',
      'success',
      'failure',
      'expected',
      'aborted',
      'open',
      'unreported',
    ),
    fallback: fc.boolean(),
    retried: fc.boolean(),
    durationMs: fc.double({ min: 1, max: 5_000, noNaN: true }),
    weight: fc.constantFrom(1, 1, 1, 4, 0),
    evidence: fc.constantFrom('all' as const, 'events' as const, 'none' as const),
  }),
  { minLength: 100, maxLength: 300 },
);

describe('RolloutEvidence', () => {
  it('has one entry for each trigger with a test, in their order', () => {
    const names = setup()
      .evidence.snapshot()
      .map(({ trigger }) => trigger);
    expect(names).toEqual(SPECS.slice(0, -1).map(({ name }) => name));
  });

  it('refuses a request that is none, and names the trigger', () => {
    const bad = { test: 'event', event: 'failure', alpha: 2, ratio: 1, minDifference: 0 } as const;
    try {
      setup([{ name: 'mine', evidence: bad }]);
      expect.unreachable();
    } catch (error) {
      expect(isConfigError(error)).toBe(true);
      expect(String(error)).toMatch(/mine.*alpha/s);
    }
  });

  it.each<[string, Partial<SettledOutcome>, Record<string, readonly [trials: number, failures: number]>]>([
    [
      'a success',
      {},
      { regression: [1, 0], aborts: [1, 0], expected: [1, 0], silence: [1, 0], complaints: [1, 0] },
    ],
    [
      'a failure',
      { result: 'failure' },
      { regression: [1, 1], aborts: [1, 0], expected: [1, 0], complaints: [1, 0] },
    ],
    [
      'a call that is still open',
      { result: 'open' },
      { regression: [1, 1], aborts: [1, 0], complaints: [0, 0] },
    ],
    [
      'an abort',
      { result: 'aborted' },
      { regression: [0, 0], aborts: [1, 1], expected: [1, 0], silence: [1, 0] },
    ],
    ['an expected error', { result: 'expected' }, { regression: [0, 0], aborts: [1, 0], expected: [1, 1] }],
    [
      'an exposure without a report',
      { result: 'unreported' },
      { regression: [0, 0], aborts: [0, 0], silence: [1, 1] },
    ],
    ['a fallback', { result: 'failure', fallback: true }, { fallbacks: [1, 1], retries: [1, 0] }],
    ['a retry', { retried: true }, { fallbacks: [1, 0], retries: [1, 1] }],
  ])('counts %s as a trial of these events', (_, facts, expected) => {
    for (const arm of ['treatment', 'control'] as const) {
      const { evidence } = setup();
      evidence.settled(outcome({ ...facts, treated: arm === 'treatment' }));
      for (const [trigger, [trials, failures]] of Object.entries(expected)) {
        expect([trigger, of(evidence, trigger).counts[arm]]).toEqual([trigger, { trials, failures }]);
      }
    }
  });

  it('leaves out what chance did not decide, and says how much that is', () => {
    const { evidence } = setup();
    for (const chance of [0, Number.NaN, -1]) evidence.settled(outcome({ chance, result: 'failure' }));
    // A control where everything is treatment was forced there.
    evidence.settled(outcome({ chance: 1, result: 'failure' }));
    expect(of(evidence, 'regression')).toMatchObject({
      excluded: 4,
      counts: { treatment: { trials: 0 }, control: { trials: 0 } },
    });
  });

  it('feeds limits at once, and lets a unit speak there until its first failure', () => {
    const { evidence } = setup();
    for (const failed of [false, false, true, true, false]) evidence.outcome(9, failed, 1);
    evidence.outcome(0, true, 2);
    evidence.outcome(0, true, 2);
    expect(of(evidence, 'limit')).toMatchObject({
      counts: { treatment: { trials: 5, failures: 3 } },
      byOutcomes: { since: { counts: { treatment: { failures: 4 } } } },
    });
    const changes = evidence.takeLimitChanges();
    expect(changes).toEqual({ units: { trials: 5, failures: 3 }, outcomes: { trials: 7, failures: 4 } });
    expect(evidence.takeLimitChanges().outcomes.trials).toBe(0);
    const other = setup().evidence;
    other.mergeLimits(changes, 3);
    expect(of(other, 'limit').counts).toEqual(of(evidence, 'limit').counts);
    expect(other.takeLimitChanges().outcomes.trials).toBe(0);
  });

  it('blames the treatment when its units fail more than chance allows, at any minDifference', () => {
    const { evidence } = setup();
    expect(evidence.blame).toEqual({ logE: 0, logThreshold: Math.log(20) });
    for (let i = 1; i <= 8; i++)
      evidence.settled(outcome({ unit: i, treated: true, chance: 0.1, result: 'failure' }));
    expect(evidence.blame.logE).toBeGreaterThan(evidence.blame.logThreshold);
    const shared = setup().evidence;
    for (let i = 1; i <= 400; i++)
      shared.settled(outcome({ unit: i, treated: i % 10 === 0, chance: 0.1, result: 'failure' }));
    expect(shared.blame.logE).toBeLessThan(0);
  });

  it('counts durations that are none, and those not measured not at all', () => {
    const { evidence } = setup();
    for (const durationMs of [-1, Number.POSITIVE_INFINITY, Number.NaN])
      evidence.settled(outcome({ durationMs }));
    expect(of(evidence, 'slower').invalid).toBe(2);
  });

  it('continues from its JSON, bit for bit', () => {
    const run = fc.property(outcomes, outcomes, (before, after) => {
      const [original, restored] = [setup(), setup()];
      feed(original, before);
      original.evidence.complaint(5, true, 0.5, 2);
      original.evidence.beginEpoch(20_000);
      const state = rolloutEvidenceSchema.parse(JSON.parse(JSON.stringify(original.evidence)));
      for (const arm of ['treatment', 'control'] as const) restored.latency[arm].merge(original.latency[arm]);
      expect(restored.evidence.restore(state)).toBe(true);
      expect(restored.evidence.snapshot()).toEqual(original.evidence.snapshot());
      for (const sides of [original, restored]) feed(sides, after);
      for (const { evidence } of [original, restored]) evidence.complaint(6, true, 0.5, 3);
      expect(restored.evidence.snapshot()).toEqual(original.evidence.snapshot());
      expect(restored.evidence.blame).toEqual(original.evidence.blame);
    });
    fc.assert(run, { numRuns: 30 });
  });

  it.each<[string, readonly TestSpec[]]>([
    [
      'another alpha',
      [{ name: 'regression', evidence: { ...event, event: 'failure', alpha: 0.02 } }, ...SPECS.slice(1)],
    ],
    ['one test fewer', SPECS.slice(1)],
    ['another order', [SPECS[1]!, SPECS[0]!, ...SPECS.slice(2)]],
    ['another name', [{ ...SPECS[0]!, name: 'renamed' }, ...SPECS.slice(1)]],
  ])('refuses the state of tests with %s as a whole', (_, specs) => {
    const [earlier, next] = [setup(), setup(specs)];
    feed(earlier, [outcome({ treated: true, result: 'failure', unit: 3 })]);
    const before = next.evidence.snapshot();
    expect(next.evidence.restore(earlier.evidence.toJSON())).toBe(false);
    expect(next.evidence.snapshot()).toEqual(before);
  });

  it.each<'events' | 'latency' | 'limits'>(['events', 'latency', 'limits'])(
    'refuses a state in which the %s are missing',
    (part) => {
      const state = setup().evidence.toJSON();
      expect(() => setup().evidence.restore({ ...state, [part]: [] })).toThrow(RangeError);
    },
  );

  it('tests every event that a unit may have', () => {
    const tested = SPECS.flatMap(({ evidence }) => (evidence?.test === 'event' ? [evidence.event] : []));
    expect(new Set(tested)).toEqual(new Set(UNIT_EVENTS));
  });
});
