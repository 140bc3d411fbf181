import type { FileApi } from '../provider-client.js';

/** An answer that is not a file object. */
export interface Refusal {
  readonly status: number;
  readonly body: unknown;
}

/** Why an upload is refused. */
export type RefusalReason =
  | 'unauthorized'
  | 'invalid'
  | 'too-large'
  | 'too-many-at-once'
  | 'too-frequent'
  | 'trouble';

/**
 * Each API's own words. Kimi: https://www.kimi.com/help/kimi-api/api-error-codes, types as its API sends them. GLM:
 * https://docs.z.ai/api-reference/api-code, an HTTP status and a code of its own beside it.
 */
const WORDS: Record<FileApi, Record<RefusalReason, { status: number; name: string; message: string }>> = {
  kimi: {
    unauthorized: { status: 401, name: 'invalid_authentication_error', message: 'Invalid Authentication' },
    invalid: { status: 400, name: 'invalid_request_error', message: 'Invalid request' },
    'too-large': { status: 400, name: 'invalid_request_error', message: 'File size exceeds 100MB' },
    'too-many-at-once': {
      status: 429,
      name: 'rate_limit_reached_error',
      message: 'Your account request reached max concurrency',
    },
    'too-frequent': {
      status: 429,
      name: 'rate_limit_reached_error',
      message: 'Your account reached max RPM',
    },
    trouble: { status: 500, name: 'server_error', message: 'The server had an error' },
  },
  glm: {
    unauthorized: { status: 401, name: '1000', message: 'Authentication Failed' },
    invalid: { status: 400, name: '1214', message: 'Invalid parameter' },
    'too-large': { status: 435, name: '1214', message: 'File size exceeds 100MB' },
    'too-many-at-once': { status: 429, name: '1302', message: 'High concurrency usage of this API' },
    'too-frequent': { status: 429, name: '1303', message: 'High frequency usage of this API' },
    trouble: { status: 500, name: '500', message: 'Internal Error' },
  },
};

/** The API's status and error body. `detail` says more than the API's usual message. */
export function refusal(api: FileApi, reason: RefusalReason, detail?: string): Refusal {
  const { status, name, message } = WORDS[api][reason];
  const text = detail === undefined ? message : `${message}: ${detail}`;
  const error = api === 'kimi' ? { message: text, type: name } : { code: name, message: text };
  return { status, body: { error } };
}
