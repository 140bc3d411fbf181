import { onAbort } from '../support/async/abort.js';
import type { Clock } from '../support/clock.js';
import type { RequestOptions, UnleashAdminClient } from './admin-client.js';
import type { AdminAccess } from './admin-rights.js';

interface AccessRequest {
  readonly answer: Promise<AdminAccess>;
  readonly controller: AbortController;
  /** By the monotonic clock; undefined while it is under way. */
  endedAt: number | undefined;
}

/** Asks Unleash once, for all guards that share a token, what it may do and when it expires. */
export class AccessReader {
  readonly #admin: Pick<UnleashAdminClient, 'readAccess'>;
  readonly #clock: Clock;
  readonly #reuseMs: number;
  #request: AccessRequest | undefined;
  #waiting = 0;

  /** @param reuseMs - For so long an answer counts for other guards too, in milliseconds; 0 while there is one guard only. */
  constructor(admin: Pick<UnleashAdminClient, 'readAccess'>, clock: Clock, reuseMs: number) {
    this.#admin = admin;
    this.#clock = clock;
    this.#reuseMs = reuseMs;
  }

  /** See {@link UnleashAdminClient.readAccess}. The request ends early when nobody waits for it any more. */
  async read(usedForMs: number, { signal }: RequestOptions = {}): Promise<AdminAccess> {
    signal?.throwIfAborted();
    const { endedAt = Number.POSITIVE_INFINITY } = this.#request ?? {};
    if (this.#clock.monotonic() - endedAt >= this.#reuseMs) this.forget();
    this.#request ??= this.#send(usedForMs);
    const { answer, controller } = this.#request;
    this.#waiting++;
    let ignore = () => {};
    const aborted = new Promise<never>((_, reject) => {
      if (signal) ignore = onAbort(signal, () => reject(signal.reason));
    });
    try {
      return await Promise.race([answer, aborted]);
    } finally {
      ignore();
      this.#waiting--;
      if (this.#waiting === 0 && signal?.aborted) controller.abort(signal.reason);
    }
  }

  /** An answer that has come does not count any more: the token was refused since. */
  forget(): void {
    if (this.#request?.endedAt !== undefined) this.#request = undefined;
  }

  #send(usedForMs: number): AccessRequest {
    const controller = new AbortController();
    const answer = this.#admin.readAccess(usedForMs, { signal: controller.signal });
    const request: AccessRequest = { answer, controller, endedAt: undefined };
    const end = () => {
      request.endedAt = this.#clock.monotonic();
      if (this.#reuseMs === 0) this.forget();
    };
    answer.then(end, end);
    return request;
  }
}
