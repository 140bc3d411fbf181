import { z } from 'zod';
import type { LatencySummary } from '../model/baseline.js';
import type { Verdict } from '../model/shapes.js';
import type { Snapshot } from '../model/snapshot.js';
import { parseConfig } from '../support/config-error.js';
import { countSchema, durationMsSchema, ratioSchema } from '../support/config-schemas.js';
import { formatCount, formatDuration, formatQuantity } from '../support/wording.js';
import type { ThresholdTrigger, TriggerOptions } from './trigger.js';
import { controlOf, type Finding, noVerdict, triggerFields, verdictOf } from './window-rule.js';

/** A quantile of the successes' durations. */
export type LatencyQuantile = 'p50' | 'p95' | 'p99';

/** Options of {@link latencyAbove}. */
export interface LatencyAboveOptions extends TriggerOptions {
  /** The quantile that is compared, or several, of which any may breach. @default ['p50', 'p95'] */
  readonly quantile?: LatencyQuantile | readonly LatencyQuantile[] | undefined;
  /** How many successes each side needs before there is a verdict. @default 100 */
  readonly minOutcomes?: number | undefined;
  /** For how long the rollout must have been unchanged, in milliseconds. @default 600_000 (10 minutes) */
  readonly forMs?: number | undefined;
}

const QUANTILE = "'p50', 'p95' or 'p99', or a list of them";

const quantileSchema = z.enum(['p50', 'p95', 'p99'], { error: QUANTILE });

const schema = z.strictObject({
  ratio: ratioSchema,
  options: z.strictObject({
    quantile: z
      .union([quantileSchema.transform((one) => [one]), z.array(quantileSchema).min(1)], { error: QUANTILE })
      .default(['p50', 'p95']),
    minOutcomes: countSchema.default(100),
    forMs: durationMsSchema.default(600_000),
    ...triggerFields('latency-above'),
  }),
});

/**
 * Breaches when a quantile of the treatment's durations is more than `ratio` times the control's: the point rule "latency
 * above 120 % of the baseline, sustained". Sustained, because it compares all successes since the epoch began, which a short
 * peak hardly moves, and has no verdict before the epoch is `forMs` old. The control is that of the same epoch; with fewer than
 * `minOutcomes` of it, the recorded control of an earlier time, if there is one.
 *
 * A rule of this kind breaches now and then by chance alone, more often with fewer outcomes; `latencyRegression` bounds that
 * chance and needs no minimum.
 *
 * @param ratio - For example `1.2`; exactly that is no breach.
 * @throws ConfigError that lists everything that is wrong.
 */
export function latencyAbove(ratio: number, options: LatencyAboveOptions = {}): ThresholdTrigger {
  const config = parseConfig(schema, { ratio, options }, 'latencyAbove');
  const { minOutcomes, forMs, name, dryRun, quantile: quantiles } = config.options;
  const threshold = config.ratio;
  const rule = { name, windowMs: 0, threshold, unit: 'ratio', dryRun, minOutcomes, forMs } as const;
  return Object.freeze({
    ...rule,
    quantiles,
    evaluate(snapshot: Snapshot, now: number): Verdict {
      const finding = examine(snapshot, now, config);
      const { treatment, control } = snapshot.total;
      const successes = { treatment: successesOf(treatment), control: successesOf(control) };
      return verdictOf(rule, finding, finding.sampleSize ?? successes, snapshot, now);
    },
  });
}

function examine(snapshot: Snapshot, now: number, { ratio, options }: z.infer<typeof schema>): Finding {
  const { quantile: quantiles, minOutcomes, forMs } = options;
  const { total, baseline } = snapshot;
  const { latency } = total.treatment;
  if (latency === undefined || latency.count < minOutcomes) {
    return notYet(
      `${formatCount(latency?.count ?? 0)} of ${formatCount(minOutcomes)} successes of the treatment`,
    );
  }
  if (now - snapshot.epochStartedAt < forMs) {
    return notYet(`the rollout changed less than ${formatDuration(forMs)} ago`);
  }
  const control = controlOf<Durations>(
    total.control,
    baseline?.control,
    minOutcomes,
    now,
    successesOf,
    'of the control at the same time',
  );
  const reference = control?.counts.latency;
  if (control === undefined || reference === undefined) {
    return notYet(`fewer than ${minOutcomes} successes of the control, now and before`);
  }
  const compared = quantiles.map((quantile) => {
    const [ms, controlMs] = [latency[`${quantile}Ms`], reference[`${quantile}Ms`]];
    return { quantile, ms, controlMs, observed: ms / controlMs };
  });
  // A duration below the histogram's range counts as 0 and has no ratio.
  const [worst] = compared
    .filter(({ controlMs }) => controlMs > 0)
    .sort((one, other) => other.observed - one.observed);
  if (worst === undefined) return notYet("the control's durations are too short to be compared");
  const breached = worst.observed > ratio;
  const found = `The treatment's ${worst.quantile} is ${milliseconds(worst.ms)}, ${formatQuantity(worst.observed, 'ratio', ratio)} the control's ${milliseconds(worst.controlMs)}`;
  const relation = `${breached ? '' : 'not '}above ${formatQuantity(ratio, 'ratio')}`;
  return {
    status: breached ? 'breach' : 'ok',
    observed: worst.observed,
    message: `${found} (${formatCount(latency.count)} successes, and ${control.words}): ${relation}.`,
    sampleSize: { treatment: latency.count, control: control.size },
  };
}

type Durations = { readonly latency?: LatencySummary | undefined };

function successesOf({ latency }: Durations): number {
  return latency?.count ?? 0;
}

function milliseconds(ms: number): string {
  return `${Number(ms.toPrecision(3))} ms`;
}

function notYet(why: string): Finding {
  return noVerdict('latency', why);
}
