import { readFileSync } from 'node:fs';

interface Golden {
  readonly log_beta_binomial_mixture: {
    readonly cases: readonly { n: number; failures: number; logE: number }[];
  };
  readonly conditional_block: { readonly cases: readonly (readonly number[])[] };
  readonly block_mixture_restart: { readonly cases: readonly (readonly number[])[] };
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

/** Numbers of independent implementations (SciPy, confseq); the file names the source of each group. */
export const golden: Golden = JSON.parse(
  readFileSync(new URL('./sequential-golden.json', import.meta.url), 'utf8'),
);

/** The error of `actual` in units of `expected`. */
export function relativeError(actual: number, expected: number): number {
  return Math.abs(actual - expected) / Math.abs(expected);
}
