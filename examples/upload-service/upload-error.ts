/** Why an upload could not be accepted: always the request's fault, never the upload path's. */
export type UploadErrorCode =
  | 'NO_FILE'
  | 'SEVERAL_FILES'
  | 'FILE_TOO_LARGE'
  | 'UPLOAD_INCOMPLETE'
  | 'UPLOAD_STALLED'
  | 'NOT_MULTIPART'
  | 'FILE_NOT_FOUND'
  | 'FILE_NOT_READABLE';

/** The user's own mistake. The guard records it as `expected`: it counts against no arm. */
export class UploadError extends Error {
  override readonly name = 'UploadError';

  constructor(
    readonly code: UploadErrorCode,
    /** The HTTP status to answer with. */
    readonly statusCode: number,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** The file is larger than the service accepts. */
  static tooLarge(maxFileBytes: number): UploadError {
    const message = `The file is larger than the allowed ${maxFileBytes} bytes.`;
    return new UploadError('FILE_TOO_LARGE', 413, message);
  }
}

/** Whether the user's own request is to blame for `error`. */
export function isUploadError(error: unknown): error is UploadError {
  return error instanceof UploadError;
}
