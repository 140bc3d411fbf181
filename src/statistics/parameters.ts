import type { Trials } from '../model/shapes.js';
import { ConfigError } from '../support/config-error.js';

export type { Trials } from '../model/shapes.js';

/** A probability of a false stop that a test may be given: above 0, below 0.5. @throws {@link ConfigError} */
export function checkAlpha(what: string, alpha: number): number {
  if (alpha > 0 && alpha < 0.5) return alpha;
  const hint = alpha >= 1 && alpha < 50 ? `did you mean ${alpha / 100}?` : undefined;
  return refuse(what, 'alpha', 'a probability above 0 and below 0.5', alpha, hint);
}

/** A finite number above 0, such as a ratio. @throws {@link ConfigError} */
export function checkPositive(what: string, name: string, value: number): number {
  if (value > 0 && Number.isFinite(value)) return value;
  return refuse(what, name, 'a number above 0', value);
}

/** A rate strictly between 0 and 1. @throws {@link ConfigError} */
export function checkOpenRate(what: string, name: string, value: number): number {
  if (value > 0 && value < 1) return value;
  return refuse(what, name, 'a fraction above 0 and below 1', value);
}

/** A fraction from 0 up to, but not including, 1. @throws {@link ConfigError} */
export function checkShare(what: string, name: string, value: number): number {
  if (value >= 0 && value < 1) return value;
  return refuse(what, name, 'a fraction from 0 up to, but not including, 1', value);
}

/** A whole number of at least `least`. @throws {@link ConfigError} */
export function checkWhole(what: string, name: string, value: number, least: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value;
  return refuse(what, name, `a whole number, ${least} or more`, value);
}

/** Counts that can be: whole numbers, not more failures than trials. @throws {@link ConfigError} */
export function checkTrials(what: string, { trials, failures }: Trials): void {
  checkWhole(what, 'trials', trials, 0);
  checkWhole(what, 'failures', failures, 0);
  if (failures > trials) refuse(what, 'failures', `at most the ${trials} trials`, failures);
}

/**
 * Splits one chance of a false stop between several tests: test *i* gets `alpha · weightᵢ`, so that by the union bound
 * all of them together keep `alpha`.
 *
 * @param weights - By test name; each above 0, together 1.
 * @returns The `alpha` of each test, by the same names.
 * @throws {@link ConfigError} when `alpha` is outside (0, 0.5), there are no weights, one is not above 0, or they do not add
 * up to 1.
 */
export function splitAlpha<Name extends string>(
  alpha: number,
  weights: Readonly<Record<Name, number>>,
): Record<Name, number> {
  checkAlpha('splitAlpha', alpha);
  // Without TypeScript anything may come.
  const given: unknown = weights;
  if (typeof given !== 'object' || given === null) {
    refuse(
      'splitAlpha',
      'weights',
      'weights by test name, such as { failure: 0.6, latency: 0.4 }',
      `${given}`,
    );
  }
  const names = Object.keys(weights) as Name[];
  for (const name of names) checkPositive('splitAlpha', `weights.${name}`, weights[name]);
  const sum = names.reduce((total, name) => total + weights[name], 0);
  if (Math.abs(sum - 1) > 1e-9) {
    const got = `${names.map((name) => weights[name]).join(' + ')} = ${Number(sum.toPrecision(9))}`;
    throw new ConfigError('splitAlpha', [{ path: 'weights', expected: 'weights that add up to 1', got }]);
  }
  return Object.fromEntries(names.map((name) => [name, alpha * weights[name]])) as Record<Name, number>;
}

/** How alpha is divided unless the user says otherwise. */
export const DEFAULT_ALPHA_WEIGHTS = { failure: 0.4, absolute: 0.2, latency: 0.4 } as const;

/** Refuses one parameter. @throws {@link ConfigError}, always */
export function refuse(
  what: string,
  path: string,
  expected: string,
  got: number | string,
  hint?: string,
): never {
  const problem = { path, expected, got: String(got) };
  throw new ConfigError(what, [hint === undefined ? problem : { ...problem, hint }]);
}
