import type { Arm, ArmCounts, Outcome, Result } from '../model/shapes.js';

/** The counts of one arm, in the order in which they are stored and sent. */
export const COUNT_FIELDS = [
  'successes',
  'failures',
  'expected',
  'aborted',
  'critical',
  'fallbacks',
  'retried',
  'complaints',
  // Fallbacks that succeeded.
  'fallbackSuccesses',
] as const satisfies readonly (keyof ArmCounts | 'fallbackSuccesses')[];

/** Counts of both arms in one array: those of the treatment, then those of the control. */
export const COUNTS_LENGTH = 2 * COUNT_FIELDS.length;

const CRITICAL = 4;
const FALLBACKS = 5;
const RETRIED = 6;
const COMPLAINTS = 7;
const FALLBACK_SUCCESSES = 8;

function offsetOf(arm: Arm): number {
  return arm === 'treatment' ? 0 : COUNT_FIELDS.length;
}

/**
 * Which counts an outcome raises, as one number, so that it is examined once and then counted in every window: the
 * lowest five bits are the index of its result (or complaint), each bit above is one of the others that is raised as well.
 */
export type CountCode = number;

const RESULT_BITS = 5;
const RESULT_MASK = 2 ** RESULT_BITS - 1;
const CRITICAL_BIT = 1 << RESULT_BITS;
const FALLBACK_BIT = 2 << RESULT_BITS;
const RETRIED_BIT = 4 << RESULT_BITS;
const FALLBACK_SUCCESS_BIT = 8 << RESULT_BITS;

/** The counts that an outcome raises. */
export function countCode(outcome: Outcome): CountCode {
  const { exposure, result, critical, fallbackUsed, userSucceeded, attempts } = outcome;
  const flags =
    (critical ? CRITICAL_BIT : 0) |
    (fallbackUsed ? FALLBACK_BIT | (userSucceeded ? FALLBACK_SUCCESS_BIT : 0) : 0) |
    (attempts > 1 && result === 'success' ? RETRIED_BIT : 0);
  return (offsetOf(exposure.arm) + resultOffset(result)) | flags;
}

/** The count that a complaint of a user of this arm raises. */
export function complaintCode(arm: Arm): CountCode {
  return offsetOf(arm) + COMPLAINTS;
}

/** Raises counts in the block that begins at `start`. */
export function raiseCounts(counts: Float64Array, start: number, code: CountCode): void {
  const result = code & RESULT_MASK;
  counts[start + result]! += 1;
  if (code === result) return;
  const first = start + (result < COUNT_FIELDS.length ? 0 : COUNT_FIELDS.length);
  if (code & CRITICAL_BIT) counts[first + CRITICAL]! += 1;
  if (code & FALLBACK_BIT) counts[first + FALLBACKS]! += 1;
  if (code & RETRIED_BIT) counts[first + RETRIED]! += 1;
  if (code & FALLBACK_SUCCESS_BIT) counts[first + FALLBACK_SUCCESSES]! += 1;
}

/** A switch, because a table costs an eighth of recording an outcome. */
function resultOffset(result: Result): number {
  switch (result) {
    case 'success':
      return 0;
    case 'failure':
      return 1;
    case 'expected':
      return 2;
    case 'aborted':
      return 3;
  }
}

/** The counts of one arm as a record. */
export function armCounts(counts: ArrayLike<number>, arm: Arm): ArmCounts {
  const first = offsetOf(arm);
  return {
    successes: counts[first]!,
    failures: counts[first + 1]!,
    expected: counts[first + 2]!,
    aborted: counts[first + 3]!,
    critical: counts[first + CRITICAL]!,
    fallbacks: counts[first + FALLBACKS]!,
    retried: counts[first + RETRIED]!,
    complaints: counts[first + COMPLAINTS]!,
  };
}

/** Fallbacks of one arm that succeeded. */
export function fallbackSuccesses(counts: ArrayLike<number>, arm: Arm): number {
  return counts[offsetOf(arm) + FALLBACK_SUCCESSES]!;
}
