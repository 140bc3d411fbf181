import type { Clock } from '../support/clock.js';
import { exchange, type HttpAnswer, NoAnswerError } from '../support/http.js';
import { errorForAnswer, errorForSilence } from './admin-failure.js';

/** One request to the admin API, and what it is about. */
export interface AdminRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Begins with `/api/admin/`. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly flagKey: string;
  readonly project: string;
  readonly environment: string;
  /** What a person can do instead of the request; absent when nothing is lost without it. */
  readonly byHand?: string;
}

/** Sends single requests; the only place that holds the token. */
export class RequestSender {
  readonly #baseUrl: string;
  readonly #token: string;
  readonly #timeoutMs: number;
  readonly #fetch: typeof fetch;
  readonly #clock: Clock;

  constructor(options: {
    baseUrl: string;
    token: string;
    timeoutMs: number;
    fetch: typeof fetch;
    clock: Clock;
  }) {
    this.#baseUrl = options.baseUrl;
    this.#token = options.token;
    this.#timeoutMs = options.timeoutMs;
    this.#fetch = options.fetch;
    this.#clock = options.clock;
  }

  /**
   * Sends a request and waits for the whole answer, no longer than the time-out and the caller's signal allow.
   *
   * @returns the body of a successful answer.
   * @throws {AdminError}, or the signal's reason.
   */
  async send(request: AdminRequest, signal: AbortSignal | undefined): Promise<string> {
    const { ok, status, headers, body } = await this.#exchange(request, signal);
    if (ok) return body;
    const answer = {
      status,
      // Whatever stands between here and Unleash may repeat what it was sent.
      body: body.replaceAll(this.#token, '…'),
      retryAfter: headers.get('retry-after'),
      location: headers.get('location'),
    };
    throw errorForAnswer(answer, request, this.#clock.now());
  }

  async #exchange(request: AdminRequest, signal: AbortSignal | undefined): Promise<HttpAnswer> {
    const { method, path } = request;
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const headers = {
      authorization: this.#token,
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const url = `${this.#baseUrl}${path}`;
    try {
      return await exchange(this.#fetch, { method, url, headers, body }, this.#timeoutMs, signal);
    } catch (error) {
      if (error instanceof NoAnswerError) throw errorForSilence(error.message, request);
      throw error;
    }
  }
}
