/** Stable names of what can go wrong at Unleash's admin API. */
export type AdminErrorCode =
  | 'ADMIN_TOKEN'
  | 'ADMIN_PERMISSION'
  | 'ADMIN_CHANGE_REQUEST'
  | 'ADMIN_NOT_FOUND'
  | 'ADMIN_RATE_LIMIT'
  | 'ADMIN_UNAVAILABLE'
  | 'ADMIN_RESPONSE';

/** What is known of a failed request. Never holds a token. */
export interface AdminFailure {
  /** Method and path, for example `POST /api/admin/projects/default/features/x/environments/production/off`. */
  readonly request?: string | undefined;
  /** The HTTP status; undefined when no answer came. */
  readonly status?: number | undefined;
  /** How long Unleash asked to wait, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
}

/**
 * A request to Unleash's admin API failed. The message says what happened and what a person can do about it; neither
 * it nor any other field holds a token.
 */
export abstract class AdminError extends Error {
  abstract readonly code: AdminErrorCode;
  /** Whether the same request may succeed later without anybody's help. */
  abstract readonly retryable: boolean;
  /** Method and path of the request; undefined when none was sent. */
  readonly request: string | undefined;
  /** The HTTP status; undefined when no answer came. */
  readonly status: number | undefined;
  /** How long Unleash asked to wait, in milliseconds; undefined when it did not say. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, failure: AdminFailure = {}) {
    super(message);
    this.request = failure.request;
    this.status = failure.status;
    this.retryAfterMs = failure.retryAfterMs;
  }
}

/** Unleash does not know the token (401), or its form already shows that it is not an admin token. */
export class AdminTokenError extends AdminError {
  override readonly name = 'AdminTokenError';
  readonly code = 'ADMIN_TOKEN';
  readonly retryable = false;
}

/** The token is valid but may not do this (403). */
export class AdminPermissionError extends AdminError {
  override readonly name = 'AdminPermissionError';
  readonly code = 'ADMIN_PERMISSION';
  readonly retryable = false;
}

/** The environment takes changes through change requests only, and the token may not skip them (403). */
export class ChangeRequestError extends AdminError {
  override readonly name = 'ChangeRequestError';
  readonly code = 'ADMIN_CHANGE_REQUEST';
  readonly retryable = false;
}

/** What Unleash does not have. `address`: the URL does not lead to an admin API that can do this. */
export type MissingAtUnleash = 'project' | 'flag' | 'environment' | 'address';

/** Unleash has no such project, flag, environment or address (404). */
export class AdminNotFoundError extends AdminError {
  override readonly name = 'AdminNotFoundError';
  readonly code = 'ADMIN_NOT_FOUND';
  readonly retryable = false;
  readonly missing: MissingAtUnleash;

  constructor(message: string, missing: MissingAtUnleash, failure?: AdminFailure) {
    super(message, failure);
    this.missing = missing;
  }
}

/** Too many requests (429). */
export class AdminRateLimitError extends AdminError {
  override readonly name = 'AdminRateLimitError';
  readonly code = 'ADMIN_RATE_LIMIT';
  readonly retryable = true;
}

/** No answer, an answer too late, or one that says that Unleash is in trouble (408, 5xx). */
export class AdminUnavailableError extends AdminError {
  override readonly name = 'AdminUnavailableError';
  readonly code = 'ADMIN_UNAVAILABLE';
  readonly retryable = true;
}

/** Unleash answered something that the request did not ask for, or refused the request itself (400, 409 and others). */
export class AdminResponseError extends AdminError {
  override readonly name = 'AdminResponseError';
  readonly code = 'ADMIN_RESPONSE';
  readonly retryable = false;
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
