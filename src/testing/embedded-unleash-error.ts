/**
 * Why an embedded Unleash failed.
 *
 * - `MISSING_PACKAGE`: the packages that it is made of are not installed.
 * - `START_FAILED`: the server did not come up.
 * - `STOPPED`: the server was stopped, or has ended by itself: then the message says how, and quotes its last lines.
 * - `REQUEST_FAILED`: Unleash refused a helper's request.
 */
export type EmbeddedUnleashErrorCode = 'MISSING_PACKAGE' | 'START_FAILED' | 'STOPPED' | 'REQUEST_FAILED';

/** Thrown by `startEmbeddedUnleash` and by the helpers of the server that it starts. */
export class EmbeddedUnleashError extends Error {
  override readonly name = 'EmbeddedUnleashError';
  /** What went wrong, for code that must distinguish. */
  readonly code: EmbeddedUnleashErrorCode;

  constructor(code: EmbeddedUnleashErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
