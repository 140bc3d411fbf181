import { onAbort } from '../support/async/abort.js';
import type { Clock } from '../support/clock.js';
import type { RequestOptions, UnleashAdminClient } from './admin-client.js';
import type { AdminAccess } from './admin-rights.js';

interface AccessRequest {
  readonly answer: Promise<AdminAccess>;
  readonly controller: AbortController;
  /** Until when the answer counts for others, by the monotonic clock; undefined while it is under way. */
  countsUntil: number | undefined;
}

/** That Unleash does not answer, or refuses the token, is asked again sooner. */
const REUSE_FAILURE_MS = 1_000;

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
    const { countsUntil = Number.POSITIVE_INFINITY } = this.#request ?? {};
    if (this.#clock.monotonic() >= countsUntil) this.forget();
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
    if (this.#request?.countsUntil !== undefined) this.#request = undefined;
  }

  #send(usedForMs: number): AccessRequest {
    const controller = new AbortController();
    const answer = this.#admin.readAccess(usedForMs, { signal: controller.signal });
    const request: AccessRequest = { answer, controller, countsUntil: undefined };
    const end = (reuseMs: number) => {
      request.countsUntil = this.#clock.monotonic() + Math.min(reuseMs, this.#reuseMs);
      if (this.#reuseMs === 0) this.forget();
    };
    answer.then(
      // A token that expires is asked about again then, and one of which something is wrong or unknown, soon.
      ({ mayToggle, expiry }) => {
        if (mayToggle === false || expiry === undefined) end(REUSE_FAILURE_MS);
        else end((expiry.expiresAt ?? Number.POSITIVE_INFINITY) - this.#clock.now());
      },
      () => end(REUSE_FAILURE_MS),
    );
    return request;
  }
}
