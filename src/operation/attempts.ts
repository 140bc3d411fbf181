import { onAbort } from '../support/async/abort.js';
import { recognizeCopies } from '../support/data/kind.js';
import { areConsumed } from './consumed-input.js';
import type { Deadlines, Expiring } from './deadlines.js';

/** What a treatment or control receives beside its input. */
export interface RunContext {
  /** Aborts when the time is up or the caller aborts. */
  readonly signal: AbortSignal;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** OpenFeature's: the name of the user's variant; `on` or `off` where the flag has none. */
  readonly variant: string | undefined;
}

/** One arm's code. It may be called several times with the same input: by retries, and as the fallback. */
export type ArmFunction<Input, Value> = (input: Input, run: RunContext) => Promise<Value> | Value;

/** When and how often an arm is retried. */
export interface AttemptPolicy {
  readonly retries: number;
  readonly timeoutMs: number;
  readonly retryDelayMs: number;
  /** Must not throw. */
  readonly isRetryable: (error: unknown) => boolean;
  readonly random: () => number;
  /** Of `timeoutMs` each, shared by all runs. */
  readonly deadlines: Deadlines;
}

/** One call of an operation, as each arm that it runs gets it. */
export interface ArmCall<Input> {
  readonly input: Input;
  /** Of the caller. */
  readonly signal: AbortSignal | undefined;
  /** What the input has that can be read only once: after it was read, nothing is retried. */
  readonly sources: readonly object[];
  /** For the arm's code. */
  readonly variant: string | undefined;
}

/** How an arm ended, after all its attempts. */
export type Attempted<Value> =
  | { readonly ok: true; readonly value: Value; readonly attempts: number }
  | { readonly ok: false; readonly error: unknown; readonly attempts: number; readonly aborted: boolean };

/** An arm had not finished when its time was up. */
export class OperationTimeoutError extends Error {
  /** Always the same; {@link isOperationTimeoutError} recognises the error. */
  readonly code = 'OPERATION_TIMEOUT';
  override readonly name = 'OperationTimeoutError';

  constructor(
    /** The time that the arm had, in milliseconds. */
    readonly timeoutMs: number,
  ) {
    super(`The operation did not finish within ${timeoutMs} ms.`);
  }
}

/** Whether `error` is an {@link OperationTimeoutError}. */
export function isOperationTimeoutError(error: unknown): error is OperationTimeoutError {
  return error instanceof Error && 'code' in error && error.code === 'OPERATION_TIMEOUT';
}

recognizeCopies(OperationTimeoutError, isOperationTimeoutError);

/**
 * Runs one arm until it succeeds, fails for good, runs out of time or is aborted by the caller. Never rejects.
 * The later result of an abandoned attempt is ignored.
 *
 * @param startedAt - The current time of the clock of `policy.deadlines`.
 */
export function runAttempts<Input, Value>(
  run: ArmFunction<Input, Value>,
  call: ArmCall<Input>,
  policy: AttemptPolicy,
  startedAt: number,
): Promise<Attempted<Value>> {
  return new ArmRun(run, call, policy).start(startedAt);
}

/** One run of one arm. It is itself the context that the arm's code receives. */
class ArmRun<Input, Value> implements RunContext, Expiring {
  attempt = 0;
  expiresAt = 0;
  earlier: Expiring | undefined;
  later: Expiring | undefined;
  readonly #run: ArmFunction<Input, Value>;
  readonly #call: ArmCall<Input>;
  readonly #policy: AttemptPolicy;
  #resolve!: (attempted: Attempted<Value>) => void;
  #ignoreCaller: (() => void) | undefined;
  #pause: NodeJS.Timeout | undefined;
  #ended = false;
  #abortReason: unknown;
  #controller: AbortController | undefined;

  constructor(run: ArmFunction<Input, Value>, call: ArmCall<Input>, policy: AttemptPolicy) {
    this.#run = run;
    this.#call = call;
    this.#policy = policy;
  }

  get variant(): string | undefined {
    return this.#call.variant;
  }

  /** Made on first use: an AbortController costs more than the rest of the run together. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  start(now: number): Promise<Attempted<Value>> {
    const caller = this.#call.signal;
    if (caller?.aborted) {
      return Promise.resolve({ ok: false, error: caller.reason, attempts: 0, aborted: true });
    }
    return new Promise((resolve) => {
      this.#resolve = resolve;
      this.#ignoreCaller = caller && onAbort(caller, () => this.#abort(caller.reason, true));
      this.#policy.deadlines.add(this, now);
      this.#try();
    });
  }

  /** The time is up. */
  expire(): void {
    this.#abort(new OperationTimeoutError(this.#policy.timeoutMs), false);
  }

  #try(): void {
    if (this.#ended) return;
    if (this.#policy.deadlines.isCatchingUp) {
      // Connections that were closed during a freeze seem to be open until then.
      setImmediate(() => this.#try());
      return;
    }
    this.attempt++;
    let answer: Promise<Value> | Value;
    try {
      answer = this.#run(this.#call.input, this);
    } catch (error) {
      this.#onError(error);
      return;
    }
    Promise.resolve(answer).then(
      (value) => this.#end({ ok: true, value, attempts: this.attempt }),
      (error) => this.#onError(error),
    );
  }

  #onError(error: unknown): void {
    if (this.#ended) return;
    const { retries, retryDelayMs, isRetryable, random } = this.#policy;
    if (this.attempt > retries || areConsumed(this.#call.sources) || !isRetryable(error)) {
      this.#fail(error, false);
      return;
    }
    const longest = retryDelayMs * 2 ** (this.attempt - 1);
    this.#pause = setTimeout(() => {
      // The flag may have been stopped during the pause.
      if (isRetryable(error)) this.#try();
      else this.#fail(error, false);
    }, longest * random());
  }

  #abort(reason: unknown, aborted: boolean): void {
    // First settle, so that the arm's own reaction to its signal is no longer its result.
    this.#fail(reason, aborted);
    this.#abortReason = reason;
    this.#controller?.abort(reason);
  }

  #fail(error: unknown, aborted: boolean): void {
    this.#end({ ok: false, error, attempts: this.attempt, aborted });
  }

  #end(attempted: Attempted<Value>): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#policy.deadlines.remove(this);
    clearTimeout(this.#pause);
    this.#ignoreCaller?.();
    this.#resolve(attempted);
  }
}
