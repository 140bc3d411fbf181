import {
  type EvaluationContextLike,
  EXPOSURE_SLOT,
  type ExposureSink,
  type ExposureSlot,
  type FlagClient,
  type FlagSource,
} from '../model/flags.js';
import type { Attributes, Evaluation, Exposure, Outcome } from '../model/shapes.js';
import { answerOf } from '../support/async/callbacks.js';
import type { Clock } from '../support/clock.js';
import { type ArmFunction, type Attempted, type AttemptPolicy, runAttempts } from './attempts.js';
import { areConsumed, ConsumedInputError, unreadSources } from './consumed-input.js';
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

/**
 * Options of `guard.operation()`. `isRetryable`, `classifyError` and `attributes` are needed at once: what one of them throws,
 * or a promise that it returns, is reported once as a fault, and the default applies; after a fault in `isRetryable`, nothing
 * is retried.
 */
export interface OperationOptions<Input, Value, Given = Input> extends OperationPolicy {
  /** The new code path, for users whose flag is on. */
  readonly treatment: ArmFunction<Input, Value>;
  /** The old code path, for all other users. */
  readonly control: ArmFunction<Input, Value>;
  /**
   * Makes the input of an arm from what the caller gave, anew for each attempt: `input: (path) => createReadStream(path)`. What
   * it throws counts as an error of the arm, and its time as the arm's.
   * @default what the caller gave; after an arm has read from a stream in it, there is neither a retry nor a fallback
   */
  readonly input?: ((given: Given) => Promise<Input> | Input) | undefined;
  /** Which errors are retried; see `isRetryableError`. @default broken connections, time-outs and servers that ask for a retry */
  readonly isRetryable?: ((error: unknown) => boolean) | undefined;
  /**
   * What an error means; `undefined` leaves it to the default.
   * @default `critical` for exhausted memory, disk or file handles and for the error types that the triggers name, else `failure`
   */
  readonly classifyError?: ((error: unknown) => ErrorClass | undefined) | undefined;
  /** Values for the outcome log, such as the size of a file. */
  readonly attributes?: ((input: Given, context: EvaluationContextLike) => Attributes) | undefined;
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
  readonly flags: Partial<FlagSource>;
  /** The flag is stopped in this process: no treatment may start. */
  isOverridden(): boolean;
  /** The flag was stopped after this exposure of the treatment: returns the one under which the control runs instead. */
  toControl(exposure: Exposure): Exposure;
  record(outcome: Outcome): void;
  /** Reports once for each `what` that something of the user's does not work. */
  fault(what: string, error: unknown): void;
}

/** Builds the function that a service calls instead of its old code. */
export function guardedOperation<Input, Value, Given = Input>(
  host: OperationHost,
  options: OperationOptions<Input, Value, Given>,
  defaults: ResolvedOperationPolicy,
): GuardedOperation<Given, Value> {
  const { clock } = host;
  const fault = (what: string, error: unknown) => host.fault(what, error);
  const { input: makeInput, attributes, classifyError } = options;
  const armOf = (arm: ArmFunction<Input, Value>): ArmFunction<Given, Value> =>
    makeInput === undefined
      ? (arm as unknown as ArmFunction<Given, Value>)
      : async (given, run) => arm(await makeInput(given), run);
  const treatment = armOf(options.treatment);
  const control = armOf(options.control);
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
      answerOf('isRetryable', () => isRetryable(error), false, fault) && classify(error) === 'failure',
  };

  // A treatment that fails after the stop falls back at once: another attempt would only cost the user time.
  const treatmentPolicy: AttemptPolicy = {
    ...policy,
    isRetryable: (error) => !host.isOverridden() && policy.isRetryable(error),
  };

  return async function operate(context, input, call) {
    const slot: ExposureSlot = { exposure: undefined, sink: host.sink };
    let evaluation = NOT_EVALUATED;
    try {
      const client = host.client();
      const direct = host.flags.evaluateDirectly?.(client, context, host.sink);
      if (direct === undefined) {
        const hookHints = { [EXPOSURE_SLOT]: slot };
        evaluation = await client.getBooleanDetails(host.flagKey, false, context, { hookHints });
      } else slot.exposure = await direct;
    } catch (error) {
      host.fault('evaluating the flag', error);
    }
    // Without a registered hook, the operation captures the exposure itself.
    let exposure = slot.exposure ?? host.sink.exposed(evaluation, context?.targetingKey, true);
    if (exposure.arm === 'treatment' && host.isOverridden()) {
      // The guard stopped the flag while OpenFeature was still awaiting hooks.
      exposure = host.toControl(exposure);
    }
    const onTreatment = exposure.arm === 'treatment';
    const sources = makeInput === undefined ? unreadSources(input) : NO_SOURCES;
    const armCall = { input, signal: call?.signal, sources, variant: exposure.variant };
    const startedAt = clock.monotonic();
    const own = onTreatment
      ? await runAttempts(treatment, armCall, treatmentPolicy, startedAt)
      : await runAttempts(control, armCall, policy, startedAt);
    const ending = own.ok ? SUCCESS : endingOf(own);
    const mayFallBack = onTreatment && fallback && ending.result === 'failure';
    const isConsumed = mayFallBack && areConsumed(sources);
    const fallsBack = mayFallBack && !isConsumed;
    const served = fallsBack ? await runAttempts(control, armCall, policy, clock.monotonic()) : own;
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
      attributes: attributes && answerOf('attributes', () => attributes(input, context), undefined, fault),
      // The operation began with its exposure: this saves a call of the wall clock.
      at: exposure.at + durationMs,
    });
    if (served.ok) return served.value;
    if (!isConsumed) throw served.error;
    const error = new ConsumedInputError(served.error);
    host.fault('the fallback', error);
    throw error;
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
    const answer = classifyError && answerOf('classifyError', () => classifyError(error), undefined, fault);
    if (answer !== undefined && ERROR_CLASSES.has(answer)) return answer;
    return isCriticalError(error, host.criticalErrorTypes) ? 'critical' : 'failure';
  }
}

type Ending = Pick<Outcome, 'result' | 'errorType' | 'critical'>;

const NOT_EVALUATED: Evaluation = { value: false, reason: 'ERROR', errorCode: 'GENERAL' };

const NO_SOURCES: readonly object[] = [];

const SUCCESS: Ending = { result: 'success', errorType: undefined, critical: false };

const ERROR_CLASSES: ReadonlySet<ErrorClass> = new Set(['failure', 'expected', 'critical']);
