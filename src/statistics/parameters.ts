import { z } from 'zod';
import { ConfigError, parseConfig } from '../support/config-error.js';
import { alphaSchema } from '../support/config-schemas.js';

const weightSchema = z.number({ error: 'a number above 0' }).positive({ error: 'a number above 0' });

const splitSchema = z.object({
  alpha: alphaSchema,
  weights: z.record(z.string(), weightSchema, {
    error: 'weights by test name, such as { failure: 0.6, latency: 0.4 }',
  }),
});

/**
 * Splits one chance of a false stop between several tests: test *i* gets `alpha · weightᵢ`, so that by the union bound
 * all of them together keep `alpha`.
 *
 * @param weights - By test name; each above 0, together 1.
 * @returns The `alpha` of each test, by the same names.
 * @throws ConfigError when `alpha` is outside (0, 0.5), there are no weights, one is not above 0, or they do not add up to 1.
 */
export function splitAlpha<Name extends string>(
  alpha: number,
  weights: Readonly<Record<Name, number>>,
): Record<Name, number> {
  parseConfig(splitSchema, { alpha, weights }, 'splitAlpha');
  const names = Object.keys(weights) as Name[];
  const sum = names.reduce((total, name) => total + weights[name], 0);
  if (Math.abs(sum - 1) > 1e-9) {
    const got = `${names.map((name) => weights[name]).join(' + ')} = ${Number(sum.toPrecision(9))}`;
    throw new ConfigError('splitAlpha', [{ path: 'weights', expected: 'weights that add up to 1', got }]);
  }
  return Object.fromEntries(names.map((name) => [name, alpha * weights[name]])) as Record<Name, number>;
}

/** How `asyncUploadRollout` splits its alpha. */
export const DEFAULT_ALPHA_WEIGHTS = { failure: 0.7, limit: 0.2, aborted: 0.05, latency: 0.05 } as const;
