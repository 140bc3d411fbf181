import type { BlockCounts } from './evidence-state.js';

/** Sums are brought back below this, so that blocks of any size fit into a double. */
const LARGEST = 1e250;
const LOG_LARGEST = Math.log(LARGEST);
/** A term this small beside the sum no longer changes it. */
const NEGLIGIBLE = 1e-18;

/**
 * The log probability that, of a block's failures, exactly the observed number is the treatment's, when its odds of
 * failing are `oddsRatio` times the control's: Fisher's noncentral hypergeometric distribution.
 *
 * The weights `C(m_T, j)·C(m_C, F − j)·ωʲ` are summed relative to the observed one, each from its neighbour by their
 * ratio, outwards until they vanish: no factorial is needed and large ones do not cancel. The weights are
 * log-concave in `j`, so once they fall they continue to fall.
 *
 * @param oddsRatio - ω, above 0.
 */
export function logNoncentralHypergeometric(block: BlockCounts, oddsRatio: number): number {
  const { observed, treatmentTrials, failures, spare, least, most } = marginsOf(block);
  let sum = 1;
  let logScale = 0;
  const addOutwards = (terms: number, ratioOf: (i: number) => number) => {
    let term = Math.exp(-logScale);
    for (let i = 0; i < terms; i++) {
      const ratio = ratioOf(i);
      term *= ratio;
      sum += term;
      if (sum > LARGEST) {
        sum /= LARGEST;
        term /= LARGEST;
        logScale += LOG_LARGEST;
      } else if (ratio < 1 && term < NEGLIGIBLE * sum) break;
    }
  };
  addOutwards(most - observed, (i) => {
    const j = observed + i;
    return (oddsRatio * (treatmentTrials - j) * (failures - j)) / ((j + 1) * (spare + j + 1));
  });
  addOutwards(observed - least, (i) => {
    const j = observed - i;
    return (j * (spare + j)) / (oddsRatio * (treatmentTrials - j + 1) * (failures - j + 1));
  });
  return -Math.log(sum) - logScale;
}

/** Of the treatment's failures: how many there were, could have been at least and could have been at most. */
function marginsOf({ treatment, control }: BlockCounts) {
  const failures = treatment.failures + control.failures;
  // Control trials that did not fail when no failure is the treatment's.
  const spare = control.trials - failures;
  return {
    observed: treatment.failures,
    treatmentTrials: treatment.trials,
    failures,
    spare,
    least: Math.max(0, -spare),
    most: Math.min(treatment.trials, failures),
  };
}

/** Blocks with more possible outcomes than this are left to {@link logNoncentralHypergeometric}. */
const MOST_OUTCOMES = 64;
/** No ratio is larger than the tolerated odds' 1/P; beyond this it might overflow when it is used. */
const LARGEST_RATIO = 1e200;
/** Scratch, overwritten by each call: nothing is allocated for a block. */
const weights = new Float64Array(MOST_OUTCOMES);

/**
 * The same for the small blocks that are the rule, for all alternatives at once and without logarithms: writes
 * `P(observed; alternatives[k]) / P(observed; tolerated)` to `out[k]`.
 *
 * @returns False when the block, or what happened in it, is too far out for this; `out` is then undefined.
 */
export function likelihoodRatios(
  block: BlockCounts,
  tolerated: number,
  alternatives: Float64Array,
  out: Float64Array,
): boolean {
  const { observed: treatmentFailures, treatmentTrials, failures, spare, least, most } = marginsOf(block);
  const last = most - least;
  if (last >= MOST_OUTCOMES) return false;
  const observed = treatmentFailures - least;
  weights[observed] = 1;
  for (let i = observed, j = treatmentFailures; i < last; i++, j++) {
    weights[i + 1] = (weights[i]! * (treatmentTrials - j) * (failures - j)) / ((j + 1) * (spare + j + 1));
  }
  for (let i = observed, j = treatmentFailures; i > 0; i--, j--) {
    weights[i - 1] = (weights[i]! * j * (spare + j)) / ((treatmentTrials - j + 1) * (failures - j + 1));
  }
  const sum = inverseProbability(observed, last, tolerated);
  if (!(sum < LARGEST_RATIO)) return false;
  for (let k = 0; k < alternatives.length; k++) {
    out[k] = sum / inverseProbability(observed, last, alternatives[k]!);
  }
  return true;
}

/** 1/P of the observed outcome: the sum of all weights relative to its own, by Horner's rule on either side of it. */
function inverseProbability(observed: number, last: number, oddsRatio: number): number {
  let more = 0;
  for (let i = last; i > observed; i--) more = (more + weights[i]!) * oddsRatio;
  const inverse = 1 / oddsRatio;
  let fewer = 0;
  for (let i = 0; i < observed; i++) fewer = (fewer + weights[i]!) * inverse;
  return 1 + more + fewer;
}
