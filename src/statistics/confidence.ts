import type { Trials } from '../model/shapes.js';

import { logBeta, logGamma, logIncompleteBeta } from './log-gamma.js';

/** Failures among trials; 0 of none. */
export function rateOf({ trials, failures }: Trials): number {
  return trials === 0 ? 0 : failures / trials;
}

/** An interval of rates, or of differences of rates; fractions. */
export interface Interval {
  readonly lower: number;
  readonly upper: number;
}

/** The error probability for which the mixture's width is tuned; it decides where it is tight, not whether it is valid. */
const TUNING_ALPHA = 0.05;
/** The number of trials at which an interval is narrowest; it is valid at every number. */
const OPTIMAL_TRIALS = 200;
/** Halvings until an interval of rates is as narrow as a double can show. */
const BISECTIONS = 60;

/**
 * The log of a mixture of likelihood ratios against "each trial succeeds with chance `rate`": an e-process in which the
 * alternative is Beta distributed around `rate`. The expected value of its exponential is 1 under the null at any time.
 *
 * Source: Howard, Ramdas, McAuliffe and Sekhon, *Time-uniform, nonparametric, nonasymptotic confidence sequences*
 * (Annals of Statistics 2021), the beta-binomial mixture (proposition 7), with the tuning of its section 3.5.
 *
 * @param count - Trials that had the property whose rate is in question.
 * @param rate - The null rate, above 0 and below 1. `oneSided`: only rates above it are alternatives.
 */
export function betaBinomialLogMixture(
  count: number,
  trials: number,
  rate: number,
  { optimalTrials, oneSided }: { readonly optimalTrials: number; readonly oneSided: boolean },
): number {
  const logTuning = -2 * Math.log(oneSided ? 2 * TUNING_ALPHA : TUNING_ALPHA);
  const strength = Math.max(optimalTrials / (logTuning + Math.log1p(logTuning)) - 1, 1e-3);
  const a = strength * rate;
  const b = strength * (1 - rate);
  const rest = trials - count;
  const logRatio =
    logBeta(a + count, b + rest) - logBeta(a, b) - count * Math.log(rate) - rest * Math.log1p(-rate);
  if (!oneSided) return logRatio;
  // Only alternatives above the null: the same integrals from `rate` to 1, by symmetry from 0 to 1 − rate.
  return logRatio + logIncompleteBeta(1 - rate, b + rest, a + count) - logIncompleteBeta(1 - rate, b, a);
}

/**
 * An interval that contains the true failure rate **at every time at once** with chance `1 − alpha`, however often and
 * whenever it is read: the rates that {@link betaBinomialLogMixture} has not refuted at `1/alpha`.
 */
export function rateConfidenceInterval(
  { trials, failures }: Trials,
  alpha: number,
  optimalTrials = OPTIMAL_TRIALS,
): Interval {
  if (trials === 0) return { lower: 0, upper: 1 };
  const refuted = (rate: number) =>
    betaBinomialLogMixture(failures, trials, rate, { optimalTrials, oneSided: false }) >= -Math.log(alpha);
  const observed = failures / trials;
  return {
    lower: failures === 0 ? 0 : boundary(0, observed, refuted),
    upper: failures === trials ? 1 : boundary(1, observed, refuted),
  };
}

/**
 * A rate that the true failure rate exceeds, at any time, with a chance of at most `alpha`. One-sided, therefore lower
 * than the upper end of {@link rateConfidenceInterval}.
 */
export function rateUpperBound(
  { trials, failures }: Trials,
  alpha: number,
  optimalTrials = OPTIMAL_TRIALS,
): number {
  if (failures === trials) return 1;
  const successes = trials - failures;
  const refuted = (rate: number) =>
    betaBinomialLogMixture(successes, trials, 1 - rate, { optimalTrials, oneSided: true }) >=
    -Math.log(alpha);
  return boundary(1, failures / trials, refuted);
}

/** The normal quantile that 2.5 % exceed. */
const Z_95 = 1.959963984540054;

/**
 * An interval that contains the true failure rate with a chance of about 95 %, of independent trials that are examined once: for a chart, not for
 * decisions.
 *
 * Source: Wilson, *Probable inference, the law of succession, and statistical inference* (JASA 1927).
 */
export function wilsonInterval({ trials, failures }: Trials): Interval {
  if (trials === 0) return { lower: 0, upper: 1 };
  const rate = failures / trials;
  const weight = Z_95 ** 2 / trials;
  const middle = rate + weight / 2;
  const half = Z_95 * Math.sqrt((rate * (1 - rate) + weight / 4) / trials);
  return {
    lower: failures === 0 ? 0 : Math.max(0, (middle - half) / (1 + weight)),
    upper: failures === trials ? 1 : Math.min(1, (middle + half) / (1 + weight)),
  };
}

/**
 * Fisher's exact test, one-sided: the chance that so many of all failures, or more, belong to the first arm, if both fail
 * alike.
 *
 * Source: Fisher, *Statistical Methods for Research Workers* (1934).
 */
export function fisherTail(first: Trials, second: Trials): number {
  const failures = first.failures + second.failures;
  const trials = first.trials + second.trials;
  const all = logChoose(trials, failures);
  const most = Math.min(failures, first.trials);
  let tail = 0;
  for (let count = first.failures; count <= most; count++) {
    const rest = failures - count;
    if (rest > second.trials) continue;
    const term = Math.exp(logChoose(first.trials, count) + logChoose(second.trials, rest) - all);
    tail += term;
    // Beyond the mode, terms only fall.
    if (term < tail * 1e-12) break;
  }
  return Math.min(tail, 1);
}

function logChoose(n: number, k: number): number {
  return logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1);
}

/** The last rate, going from `refutedEnd` towards `observed`, that is still refuted: bisection errs to the wide side. */
function boundary(refutedEnd: number, observed: number, refuted: (rate: number) => boolean): number {
  let outside = refutedEnd;
  let inside = observed;
  for (let i = 0; i < BISECTIONS; i++) {
    const middle = (outside + inside) / 2;
    if (middle === outside || middle === inside) break;
    if (refuted(middle)) outside = middle;
    else inside = middle;
  }
  return outside;
}
