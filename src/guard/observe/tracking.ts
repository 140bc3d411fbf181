import { boundedErrorType } from '../../measure/error-counts.js';
import type { TrackedEvent } from '../../model/flags.js';
import type { Attributes, Exposure, Outcome } from '../../model/shapes.js';

/**
 * Reads an outcome from `client.track('<flag>', context, { value, success, errorType, critical, … })`: `value` is the
 * duration in milliseconds, `success` is required, everything else becomes an attribute. Pure.
 *
 * @param criticalErrorTypes - Error types that are critical without saying so.
 * @returns the outcome, or one sentence that says what is wrong with the event.
 */
export function outcomeOfTrack(
  event: TrackedEvent,
  exposure: Exposure,
  criticalErrorTypes: ReadonlySet<string>,
  at: number,
): Outcome | string {
  const { success, errorType, critical, ...rest } = event.details;
  if (typeof success !== 'boolean') {
    return `track('${event.name}') needs { success: true | false } in its details, got ${typeof success}.`;
  }
  const failedWith = success ? undefined : errorTypeOfTrack(errorType);
  const namedCritical = failedWith !== undefined && criticalErrorTypes.has(failedWith);
  return {
    exposure,
    result: success ? 'success' : 'failure',
    durationMs: event.value,
    errorType: failedWith,
    critical: namedCritical || (!success && critical === true),
    fallbackUsed: false,
    userSucceeded: success,
    attempts: 1,
    attributes: attributesOf(rest),
    at,
  };
}

function errorTypeOfTrack(errorType: unknown): string {
  return typeof errorType === 'string' && errorType !== '' ? boundedErrorType(errorType) : 'unnamed';
}

/** The numbers, texts and booleans among the details; undefined when there are none. */
export function attributesOf(details: Readonly<Record<string, unknown>>): Attributes | undefined {
  const plain = Object.entries(details).filter((entry): entry is [string, string | number | boolean] =>
    ['string', 'number', 'boolean'].includes(typeof entry[1]),
  );
  return plain.length === 0 ? undefined : Object.fromEntries(plain);
}
