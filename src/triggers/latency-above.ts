import { z } from 'zod';
import type { LatencySummary } from '../model/baseline.js';
import type { Snapshot, Verdict } from '../model/shapes.js';
import { parseConfig } from '../support/config-error.js';
import { countSchema, durationMsSchema, ratioSchema } from '../support/config-schemas.js';
import { formatDuration, formatRate, formatThreshold } from '../support/wording.js';
import type { ThresholdTrigger } from './trigger.js';
import { describeReference, type Finding, triggerNameSchema } from './window-rule.js';

/** A quantile of the successes' durations. */
export type LatencyQuantile = 'p50' | 'p95' | 'p99';

export interface LatencyAboveOptions {
  /** The quantile that is compared, or several, of which any may breach. @default ['p50', 'p95'] */
  readonly quantile?: LatencyQuantile | readonly LatencyQuantile[] | undefined;
  /** How many successes each side needs before there is a verdict. @default 100 */
  readonly minOutcomes?: number | undefined;
  /** For how long the rollout must have been unchanged, in milliseconds. @default 600_000 (10 minutes) */
  readonly forMs?: number | undefined;
  /** Needed when a guard has two triggers of one kind. @default 'latency-above' */
  readonly name?: string | undefined;
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
    name: triggerNameSchema.default('latency-above'),
  }),
});

/**
 * Breaches when a quantile of the treatment's durations is more than `ratio` times the control's: the literal rule "latency
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
  const { quantile: quantiles, minOutcomes, forMs, name } = config.options;
  const rule: Rule = { ratio: config.ratio, quantiles, minOutcomes, forMs };
  return Object.freeze({
    name,
    windowMs: 0,
    threshold: rule.ratio,
    unit: 'ratio' as const,
    minOutcomes,
    forMs,
    evaluate: (snapshot: Snapshot, now: number): Verdict => {
      const { treatment, control } = snapshot.total;
      const { status, observed, message, sampleSize } = examine(snapshot, now, rule);
      return {
        trigger: name,
        status,
        observed,
        threshold: rule.ratio,
        unit: 'ratio',
        sampleSize: sampleSize ?? {
          treatment: treatment.latency?.count ?? 0,
          control: control.latency?.count ?? 0,
        },
        windowMs: Math.max(0, now - snapshot.epochStartedAt),
        freshnessMs:
          treatment.lastOutcomeAt === undefined ? undefined : Math.max(0, now - treatment.lastOutcomeAt),
        message,
      };
    },
  });
}

interface Rule {
  readonly ratio: number;
  readonly quantiles: readonly LatencyQuantile[];
  readonly minOutcomes: number;
  readonly forMs: number;
}

function examine(snapshot: Snapshot, now: number, { ratio, quantiles, minOutcomes, forMs }: Rule): Finding {
  const { latency } = snapshot.total.treatment;
  if (latency === undefined || latency.count < minOutcomes) {
    return notYet(`${latency?.count ?? 0} of ${minOutcomes} successes of the treatment`);
  }
  if (now - snapshot.epochStartedAt < forMs) {
    return notYet(`the rollout changed less than ${formatDuration(forMs)} ago`);
  }
  const control = controlOf(snapshot, minOutcomes, now);
  if (control === undefined) {
    return notYet(`fewer than ${minOutcomes} successes of the control, now and before`);
  }
  const compared = quantiles.map((quantile) => ({
    quantile,
    ms: at(latency, quantile),
    controlMs: at(control.latency, quantile),
    observed: at(latency, quantile) / at(control.latency, quantile),
  }));
  // A duration below the histogram's range counts as 0 and has no ratio.
  const worst = compared
    .filter(({ controlMs }) => controlMs > 0)
    .reduce<(typeof compared)[number] | undefined>(
      (most, one) => (most === undefined || one.observed > most.observed ? one : most),
      undefined,
    );
  if (worst === undefined) return notYet("the control's durations are too short to be compared");
  const breached = worst.observed > ratio;
  const found = `The treatment's ${worst.quantile} is ${milliseconds(worst.ms)}, ${formatRate(worst.observed, ratio)} of the control's ${milliseconds(worst.controlMs)}`;
  const relation = `${breached ? '' : 'not '}above ${formatThreshold(ratio)}`;
  return {
    status: breached ? 'breach' : 'ok',
    observed: worst.observed,
    message: `${found} (${latency.count} successes, and ${control.words}): ${relation}.`,
    sampleSize: { treatment: latency.count, control: control.latency.count },
  };
}

function controlOf(
  { total, baseline }: Snapshot,
  minOutcomes: number,
  now: number,
): { readonly latency: LatencySummary; readonly words: string } | undefined {
  const { latency } = total.control;
  if (latency !== undefined && latency.count >= minOutcomes) {
    return { latency, words: `${latency.count} of the control at the same time` };
  }
  const recorded = baseline?.control;
  if (recorded?.latency === undefined || recorded.latency.count < minOutcomes) return undefined;
  return { latency: recorded.latency, words: describeReference(recorded, recorded.latency.count, now) };
}

function at(latency: LatencySummary, quantile: LatencyQuantile): number {
  switch (quantile) {
    case 'p50':
      return latency.p50Ms;
    case 'p95':
      return latency.p95Ms;
    case 'p99':
      return latency.p99Ms;
  }
}

function milliseconds(ms: number): string {
  return `${Number(ms.toPrecision(3))} ms`;
}

function notYet(why: string): Finding {
  return { status: 'insufficient-data', message: `No verdict on latency yet: ${why}.` };
}
