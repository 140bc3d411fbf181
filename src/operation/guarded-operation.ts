import {
  type EvaluationContextLike,
  EXPOSURE_SLOT,
  type ExposureSink,
  type ExposureSlot,
  type FlagClient,
} from '../model/flags.js';
import type { Attributes, Evaluation, Exposure, Outcome } from '../model/shapes.js';
import type { Clock } from '../support/clock.js';
import { type ArmFunction, type Attempted, type AttemptPolicy, runAttempts } from './attempts.js';
import { Deadlines } from './deadlines.js';
import { errorTypeOf, isCriticalError, isRetryableError } from './error-type.js';

/** What an error means: the arm's `failure`, the user's own mistake (`expected`), or a `critical` failure. */
export type ErrorClass = 'failure' | 'expected' | 'critical';

/** How an operation behaves when an arm fails. */
export interface OperationPolicy {
  /** Further attempts after a retryable error. @default 2 */
  readonly retries?: number | undefined;
  /** Time for one arm, its retries and waits included, in milliseconds. @default 30_000 */
  readonly timeoutMs?: number | undefined;
  /** First wait before a retry, in milliseconds; doubled each time, with full jitter. @default 100 */
  readonly retryDelayMs?: number | undefined;
  /** Run the control for the user after the treatment failed. @default true */
  readonly fallback?: boolean | undefined;
}

/** {@link OperationPolicy}, complete. */
type ResolvedOperationPolicy = {
  readonly [K in keyof OperationPolicy]-?: NonNullable<OperationPolicy[K]>;
};

/** Options of `guard.operation()`. */
export interface OperationOptions<Input, Value> extends OperationPolicy {
  /** The new code path, for users whose flag is on. */
  readonly treatment: ArmFunction<Input, Value>;
  /** The old code path, for all other users. */
  readonly control: ArmFunction<Input, Value>;
  /** Which errors are retried. @default network errors, time-outs and the statuses 408, 425, 429 and 5xx but 501 and 505 */
  readonly isRetryable?: ((error: unknown) => boolean) | undefined;
  /**
   * What an error means; `undefined` leaves it to the default.
   * @default `critical` for exhausted memory, disk or file handles and for the error types that the triggers name, else `failure`
   */
  readonly classifyError?: ((error: unknown) => ErrorClass | undefined) | undefined;
  /** Values for the outcome log, such as the size of a file. */
  readonly attributes?: ((input: Input, context: EvaluationContextLike) => Attributes) | undefined;
}

/** Options of one call. */
export interface CallOptions {
  /** The caller's own abort: it ends the operation and counts neither as success nor as failure. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Evaluates the flag for `context`, runs the arm on `input`, and returns its value or throws its error.
 * When the treatment and then the fallback failed, the error is the control's: the one without the rollout.
 */
export type GuardedOperation<Input, Value> = (
  context: EvaluationContextLike,
  input: Input,
  call?: CallOptions,
) => Promise<Value>;

/** What an operation needs of its guard. None of its methods may throw. */
export interface OperationHost {
  readonly flagKey: string;
  readonly clock: Clock;
  readonly random: () => number;
  /** Further codes and classes of errors that are critical by default. */
  readonly criticalErrorTypes: ReadonlySet<string>;
  /** The guard itself: the hook passes exposures to it. */
  readonly sink: ExposureSink;
  /** The OpenFeature client to evaluate with. */
  client(): FlagClient;
  /** The flag is stopped in this process: no treatment may start. */
  isOverridden(): boolean;
  /** The flag was stopped after this exposure of the treatment: returns the one under which the control runs instead. */
  toControl(exposure: Exposure): Exposure;
  record(outcome: Outcome): void;
  /** Reports a fault in a function that the user passed in. */
  fault(what: string, error: unknown): void;
}

/** Builds the function that a service calls instead of its old code. */
export function guardedOperation<Input, Value>(
  host: OperationHost,
  options: OperationOptions<Input, Value>,
  defaults: ResolvedOperationPolicy,
): GuardedOperation<Input, Value> {
  const { clock } = host;
  const { treatment, control, attributes, classifyError } = options;
  const fallback = options.fallback ?? defaults.fallback;
  const isRetryable = options.isRetryable ?? isRetryableError;
  const timeoutMs = options.timeoutMs ?? defaults.timeoutMs;
  const policy: AttemptPolicy = {
    retries: options.retries ?? defaults.retries,
    timeoutMs,
    deadlines: new Deadlines(timeoutMs, clock),
    retryDelayMs: options.retryDelayMs ?? defaults.retryDelayMs,
    random: host.random,
    isRetryable: (error) =>
      guarded('isRetryable', () => isRetryable(error), false) && classify(error) === 'failure',
  };

  // A treatment that fails after the stop falls back at once: another attempt would only cost the user time.
  const treatmentPolicy: AttemptPolicy = {
    ...policy,
    isRetryable: (error) => !host.isOverridden() && policy.isRetryable(error),
  };

  return async function operate(context, input, call) {
    const slot: ExposureSlot = { exposure: undefined, sink: host.sink };
    let evaluation: Evaluation;
    try {
      const hookHints = { [EXPOSURE_SLOT]: slot };
      evaluation = await host.client().getBooleanDetails(host.flagKey, false, context, { hookHints });
    } catch (error) {
      host.fault('evaluating the flag', error);
      evaluation = NOT_EVALUATED;
    }
    // Without a registered hook, the operation sees the exposure itself.
    let exposure = slot.exposure ?? host.sink.exposed(evaluation, context?.targetingKey);
    if (exposure.arm === 'treatment' && host.isOverridden()) {
      // The guard stopped the flag while OpenFeature was still awaiting hooks.
      exposure = host.toControl(exposure);
    }
    const onTreatment = exposure.arm === 'treatment';
    const startedAt = clock.monotonic();
    const own = onTreatment
      ? await runAttempts(treatment, input, treatmentPolicy, call?.signal, startedAt)
      : await runAttempts(control, input, policy, call?.signal, startedAt);
    const ending = own.ok ? SUCCESS : endingOf(own);
    const fallsBack = onTreatment && fallback && ending.result === 'failure';
    const served = fallsBack
      ? await runAttempts(control, input, policy, call?.signal, clock.monotonic())
      : own;
    const durationMs = clock.monotonic() - startedAt;
    host.record({
      exposure,
      result: ending.result,
      durationMs,
      errorType: ending.errorType,
      critical: ending.critical,
      fallbackUsed: fallsBack,
      userSucceeded: served.ok,
      attempts: own.attempts,
      attributes: attributes && guarded('attributes', () => attributes(input, context), undefined),
      // The operation began with its exposure: this saves a call of the wall clock.
      at: exposure.at + durationMs,
    });
    if (served.ok) return served.value;
    throw served.error;
  };

  function endingOf(failed: Attempted<Value> & { ok: false }): Ending {
    const errorType = errorTypeOf(failed.error);
    if (failed.aborted) return { result: 'aborted', errorType, critical: false };
    const errorClass = classify(failed.error);
    return {
      result: errorClass === 'expected' ? 'expected' : 'failure',
      errorType,
      critical: errorClass === 'critical',
    };
  }

  function classify(error: unknown): ErrorClass {
    const answer = classifyError && guarded('classifyError', () => classifyError(error), undefined);
    if (answer !== undefined && ERROR_CLASSES.has(answer)) return answer;
    return isCriticalError(error, host.criticalErrorTypes) ? 'critical' : 'failure';
  }

  /** Runs a user's function; if it throws, `otherwise` is the result. */
  function guarded<T>(what: string, run: () => T, otherwise: T): T {
    try {
      return run();
    } catch (error) {
      host.fault(what, error);
      return otherwise;
    }
  }
}

type Ending = Pick<Outcome, 'result' | 'errorType' | 'critical'>;

const NOT_EVALUATED: Evaluation = { value: false, reason: 'ERROR', errorCode: 'GENERAL' };

const SUCCESS: Ending = { result: 'success', errorType: undefined, critical: false };

const ERROR_CLASSES: ReadonlySet<ErrorClass> = new Set(['failure', 'expected', 'critical']);
