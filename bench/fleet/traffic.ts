import { keysOf } from '../../src/fleet/redis/redis-keys.js';
import { asyncUploadRollout } from '../../src/guard/options/async-upload-rollout.js';
import { MemoryOutcomeStore } from '../../src/measure/memory-outcome-store.js';
import type { Arm, Outcome } from '../../src/model/shapes.js';

export const ENVIRONMENT = 'production';
/** The definition that all instances have seen. */
export const REVISION = 'fifty';

/** On which the changes of a flag's fleet are announced. */
export function channelOf(flagKey: string): string {
  return keysOf('rollout-guard', { environment: ENVIRONMENT, flagKey }).channel;
}

/** The rules of the first rollout, sequential tests included. */
export const TRIGGERS = [...(asyncUploadRollout.rollback ?? []), ...(asyncUploadRollout.review ?? [])];

/** An empty store, as a guard with these rules makes it: 0.6 MB, of which 512 KiB remember which users have counted. */
export function emptyStore(flagKey: string): MemoryOutcomeStore {
  const windowsMs = TRIGGERS.map(({ windowMs }) => windowMs);
  return new MemoryOutcomeStore({ flagKey, windowsMs, evidenceFor: TRIGGERS });
}

/** Milliseconds by the machine's one steady clock, so that times of several processes compare. */
export function steadyMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** The value below which a share of the values lies; NaN without any. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** Durations that lie around 400 ms, most of them between 200 and 800. */
const DURATIONS_MS = Array.from(
  { length: 4_093 },
  () => 400 * Math.exp(Math.random() + Math.random() + Math.random() - 1.5),
);
const ERROR_TYPES = ['TimeoutError', 'ECONNRESET', 'HTTP 503'];
let made = 0;

/** One outcome of the flag at 50 %. In a healthy rollout four in a thousand fail, in both arms. */
export function outcomeOf(flagKey: string, epoch: number, facts: { arm: Arm; isBroken?: boolean }): Outcome {
  const index = made++;
  const at = Date.now();
  const fails = facts.isBroken === true || Math.random() < 0.004;
  return {
    exposure: {
      flagKey,
      arm: facts.arm,
      variant: undefined,
      reason: 'SPLIT',
      errorCode: undefined,
      targetingKey: `user-${index % 1_000_003}`,
      epoch,
      at,
    },
    result: fails ? 'failure' : 'success',
    durationMs: DURATIONS_MS[index % DURATIONS_MS.length],
    errorType: fails ? ERROR_TYPES[index % ERROR_TYPES.length] : undefined,
    critical: false,
    fallbackUsed: fails && facts.arm === 'treatment',
    userSucceeded: !fails,
    attempts: 1,
    attributes: undefined,
    at,
  };
}
