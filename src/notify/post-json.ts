import { z } from 'zod';
import { type Clock, systemClock } from '../support/clock.js';
import { fetchOver } from '../support/connection/connection.js';
import { exchange, NoAnswerError, retryAfterMs } from '../support/connection/http.js';
import { type HttpOptions, httpOptionsSchema } from '../support/connection/http-options.js';
import { clockSchema, fetchSchema } from '../support/connection/http-schemas.js';
import { NotifyError } from './notifier.js';

/** Longer than any attempt: the queue's signal ends the request. */
const TIMEOUT_MS = 60_000;
/** Enough of a reply to quote why it is a failure. */
const MAX_REPLY_BYTES = 64 * 1024;

/** What the options of notifiers over HTTP have in common. */
export interface HttpNotifierOptions {
  /** Its name in faults. @default its kind, for example 'slack' */
  readonly name?: string | undefined;
  /** In place of `http`. @default one over `http` */
  readonly fetch?: typeof fetch | undefined;
  /** How it connects. @default as the guard does */
  readonly http?: HttpOptions | undefined;
  /** What pauses between attempts are measured with. @default the machine's clocks */
  readonly clock?: Clock | undefined;
}

export const httpNotifierOptions = {
  name: z.string().min(1).optional(),
  fetch: fetchSchema,
  http: httpOptionsSchema.optional(),
  clock: clockSchema,
};

/** What {@link postJson} sends. */
interface JsonPost extends Pick<HttpNotifierOptions, 'clock'> {
  /** The receiver's name in errors, instead of its address. */
  readonly receiver: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body: string;
  readonly signal: AbortSignal;
  readonly fetch: typeof fetch;
  /** What may be quoted of a failed answer's body; the rest may repeat what was sent. */
  readonly quote?: (body: string) => string | undefined;
}

/** The `fetch` of a notifier: by its own options, or by those of the guard that calls it. */
export function notifierFetch({
  fetch,
  http,
}: HttpNotifierOptions): (ofGuard?: typeof fetch) => typeof globalThis.fetch {
  const own = fetchOver({ fetch, http });
  const hasOwn = fetch !== undefined || http !== undefined;
  return (ofGuard) => (hasOwn ? own : (ofGuard ?? own));
}

/**
 * Posts JSON once.
 *
 * @throws {@link NotifyError} without the address, or the signal's reason.
 */
export async function postJson(post: JsonPost): Promise<void> {
  const { receiver, url, body, signal, fetch, clock = systemClock } = post;
  const headers = {
    'user-agent': 'unleash-rollout-guard',
    ...post.headers,
    'content-type': 'application/json',
  };
  const request = { method: 'POST', url, headers, body, mayCut: true, maxBytes: MAX_REPLY_BYTES } as const;
  const answer = await exchange(fetch, request, TIMEOUT_MS, signal).catch((error: unknown) => {
    if (!(error instanceof NoAnswerError)) throw error;
    throw new NotifyError(`${receiver} does not answer (${error.message}).${error.helpAfter}`, {
      retryable: true,
    });
  });
  if (answer.ok) return;
  const { status } = answer;
  const quoted = post.quote?.(answer.body);
  throw new NotifyError(`${receiver} answered ${status}${quoted === undefined ? '' : ` (${quoted})`}.`, {
    retryable: status === 408 || status === 425 || status === 429 || status >= 500,
    retryAfterMs: retryAfterMs(answer.headers.get('retry-after'), clock.now()),
  });
}
