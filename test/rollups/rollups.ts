import fc from 'fast-check';
import { LatencyHistogram } from '../../src/measure/latency-histogram.js';
import { NO_COUNTS } from '../../src/model/shapes.js';
import type { Rollup, RollupArm } from '../../src/rollups/rollup.js';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
/** The beginning of an hour. */
export const NOON = 1_770_000_000_000 - (1_770_000_000_000 % HOUR);

/** An arm with these durations of successes. */
export function armOf(facts: Partial<RollupArm> = {}, durations: readonly number[] = []): RollupArm {
  const latency = new LatencyHistogram();
  for (const duration of durations) latency.record(duration);
  return {
    ...NO_COUNTS,
    successes: durations.length,
    userSuccesses: durations.length,
    unfinished: 0,
    errorTypes: [],
    latency: latency.toSparse(),
    ...facts,
  };
}

export function rollupOf(facts: Partial<Rollup> = {}): Rollup {
  return {
    at: NOON,
    durationMs: MINUTE,
    epoch: 1,
    percentage: 10,
    arms: { treatment: armOf(), control: armOf() },
    triggers: [],
    serviceVersions: [],
    ...facts,
  };
}

/** Whatever an arm may have done. */
const anyArm = fc
  .record({
    counts: fc.array(fc.nat(1_000), { minLength: 9, maxLength: 9 }),
    durations: fc.array(fc.integer({ min: 0, max: 5_000_000 }), { maxLength: 20 }),
    errors: fc.dictionary(fc.constantFrom('EPIPE', '__proto__', 'constructor', 'a\nb', 'ü"\\'), fc.nat(50)),
  })
  .map(({ counts, durations, errors }) =>
    armOf(
      {
        failures: counts[0]!,
        expected: counts[1]!,
        aborted: counts[2]!,
        critical: counts[3]!,
        fallbacks: counts[4]!,
        retried: counts[5]!,
        complaints: counts[6]!,
        userSuccesses: counts[7]!,
        unfinished: counts[8]!,
        errorTypes: Object.entries(errors).filter(([, count]) => count > 0),
      },
      durations,
    ),
  );

const anyTrigger = fc.record({
  trigger: fc.constantFrom('error-rate-above', 'latency-above', '__proto__'),
  status: fc.constantFrom('ok' as const, 'insufficient-data' as const, 'breach' as const),
  observed: fc.double({ min: 0, max: 1, noNaN: true }),
  threshold: fc.constant(0.05),
  unit: fc.constant('fraction' as const),
});

const anyMetricArm = fc.record({ trials: fc.nat(1_000), sum: fc.integer({ min: -1_000, max: 1_000 }) });

const anyMetric = fc
  .record({
    trigger: fc.constantFrom('checkout', '__proto__'),
    treatment: anyMetricArm,
    control: anyMetricArm,
  })
  .map((metric) => ({ ...metric, kind: 'numeric' as const }));

/** The part of a minute within the hours after {@link NOON}. */
export const anyRollup: fc.Arbitrary<Rollup> = fc
  .record({
    minute: fc.nat(180),
    epoch: fc.integer({ min: 1, max: 5 }),
    percentage: fc.constantFrom(1, 10, 50),
    treatment: anyArm,
    control: anyArm,
    triggers: fc.uniqueArray(anyTrigger, { selector: ({ trigger }) => trigger, maxLength: 3 }),
    metrics: fc.option(
      fc.uniqueArray(anyMetric, { selector: ({ trigger }) => trigger, minLength: 1, maxLength: 2 }),
      { nil: undefined },
    ),
    serviceVersions: fc.uniqueArray(fc.constantFrom('1.0', '1.1', '2.0'), { maxLength: 3 }),
  })
  .map(({ minute, treatment, control, metrics, ...rest }) =>
    rollupOf({
      at: NOON + minute * MINUTE,
      arms: { treatment, control },
      ...(metrics && { metrics }),
      ...rest,
    }),
  );
