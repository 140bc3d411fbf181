import { recognizeCopies } from '../support/data/kind.js';

/**
 * Why a request to Unleash's admin API failed. Stable.
 *
 * - `ADMIN_TOKEN`: Unleash does not accept the token (401), or its form shows that it is not an admin token.
 * - `ADMIN_PERMISSION`: the token lacks a permission (403).
 * - `ADMIN_CHANGE_REQUEST`: the environment needs change requests, and the token may not skip them (403).
 * - `ADMIN_NOT_FOUND`: no such project, flag, environment or address (404); see `missing`.
 * - `ADMIN_RATE_LIMIT`: too many requests (429).
 * - `ADMIN_CONNECTION`: no connection until an operator acts: a proxy refuses it, or a certificate is not accepted.
 * - `ADMIN_UNAVAILABLE`: no reply, a late one, or a fault of the server (408, 5xx).
 * - `ADMIN_RESPONSE`: Unleash refused the request itself (400, 409 and others), or its reply cannot be read.
 */
export type AdminErrorCode =
  | 'ADMIN_TOKEN'
  | 'ADMIN_PERMISSION'
  | 'ADMIN_CHANGE_REQUEST'
  | 'ADMIN_NOT_FOUND'
  | 'ADMIN_RATE_LIMIT'
  | 'ADMIN_CONNECTION'
  | 'ADMIN_UNAVAILABLE'
  | 'ADMIN_RESPONSE';

/** What may work again without an operator. */
export const RETRYABLE: ReadonlySet<AdminErrorCode> = new Set(['ADMIN_RATE_LIMIT', 'ADMIN_UNAVAILABLE']);

/** What Unleash does not have. `address`: the URL does not lead to an admin API that supports the request. */
export type MissingAtUnleash = 'project' | 'flag' | 'environment' | 'address';

/** What is known of a failed request beside its code. Never contains a token. */
export type AdminErrorDetails = Partial<
  Pick<AdminError, 'request' | 'status' | 'retryAfterMs' | 'missing' | 'byHand'>
>;

/**
 * A request to Unleash's admin API failed. The message is what happened and what an operator can do about it; neither
 * it nor any other field contains a token.
 */
export class AdminError extends Error {
  override readonly name = 'AdminError';
  /** What went wrong, for code that must distinguish. */
  readonly code: AdminErrorCode;
  /** Whether the same request may succeed later without an operator. */
  readonly retryable: boolean;
  /** Method and path of the request, such as `POST /api/admin/…/off`; undefined when none was sent. */
  readonly request: string | undefined;
  /** The HTTP status; undefined when no reply came. */
  readonly status: number | undefined;
  /** How long to wait before a retry, as Unleash requests it, in milliseconds; undefined when it requests none. */
  readonly retryAfterMs: number | undefined;
  /** What does not exist; only with `ADMIN_NOT_FOUND`. */
  readonly missing: MissingAtUnleash | undefined;
  /** What an operator can do instead of the request, as the message says it; undefined when it says nothing of that. */
  readonly byHand: string | undefined;

  constructor(code: AdminErrorCode, message: string, details: AdminErrorDetails = {}) {
    super(message);
    this.code = code;
    this.retryable = RETRYABLE.has(code);
    this.request = details.request;
    this.status = details.status;
    this.retryAfterMs = details.retryAfterMs;
    this.missing = details.missing;
    this.byHand = details.byHand;
  }
}

/** Whether an error is an {@link AdminError}; works across copies of this package. */
export function isAdminError(error: unknown): error is AdminError {
  return (
    error instanceof Error &&
    'code' in error &&
    String(error.code).startsWith('ADMIN_') &&
    'retryable' in error
  );
}

recognizeCopies(AdminError, isAdminError);

/** For `retry`: repeats a request where that can help, after the pause that Unleash requests. */
export const ADMIN_RETRY = {
  retries: 3,
  initialDelayMs: 500,
  maxDelayMs: 30_000,
  shouldRetry: (error: unknown): number | false =>
    isAdminError(error) && error.retryable && (error.retryAfterMs ?? 0),
} as const;
