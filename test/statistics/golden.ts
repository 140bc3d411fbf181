import { readFileSync } from 'node:fs';

interface Golden {
  readonly log_beta_binomial_mixture: {
    readonly cases: readonly { n: number; failures: number; logE: number }[];
  };
  readonly one_sample_mixture_no_restart: {
    readonly cases: readonly { n: number; failures: number; logE: number }[];
  };
  readonly bernoulli_confidence_interval: {
    readonly cases: readonly {
      successes: number;
      n: number;
      alpha: number;
      tOpt: number;
      interval: readonly [number, number];
    }[];
  };
}

/** Evidence after events of units: `[1, chance]` is one of the treatment. */
interface EventCase {
  readonly name: string;
  readonly ratio: number;
  readonly events?: readonly (readonly [treated: number, chance: number])[];
  readonly logE?: readonly number[];
  /** Long cases: a digit for each event, and runs of events with the same chance. */
  readonly eventsText?: string;
  readonly chances?: readonly (readonly [events: number, chance: number])[];
  readonly logEAt?: Readonly<Record<string, number>>;
  readonly peakLogE: number;
}

const read = (name: string) => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'));

/** Numbers of independent implementations (SciPy, confseq); the file names the source of each group. */
export const golden: Golden = read('./sequential-golden.json');

/** Numbers of a separate implementation of the event test. */
export const eventCases: readonly EventCase[] = read('./user-test-golden.json').cases;

/** The error of `actual` in units of `expected`. */
export function relativeError(actual: number, expected: number): number {
  return actual === expected ? 0 : Math.abs(actual - expected) / Math.abs(expected);
}
