import type { Trials } from '../model/shapes.js';
import { logGamma } from './log-gamma.js';

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
