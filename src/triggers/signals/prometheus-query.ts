import { z } from 'zod';
import { exchange, type HttpAnswer, NoAnswerError } from '../../support/http.js';
import type { SignalReading } from '../trigger.js';

/** A Prometheus that knows the parameter sends no more series: one is right, and a few show what is wrong. */
const MAX_SERIES = 100;
/** Longer error texts are cut. */
const LONGEST_ERROR = 200;
/** Shorter header values are not secrets, and hiding them would make an error unreadable. */
const SHORTEST_SECRET = 4;

const sampleSchema = z.tuple([z.number(), z.string().min(1)]);

const answerSchema = z.union([
  z.object({ status: z.literal('error'), errorType: z.string(), error: z.string() }),
  z.object({
    status: z.literal('success'),
    data: z.discriminatedUnion('resultType', [
      z.object({
        resultType: z.literal('vector'),
        result: z.array(z.object({ value: sampleSchema.optional() })),
      }),
      z.object({ resultType: z.literal('scalar'), result: sampleSchema }),
      z.object({ resultType: z.literal('matrix') }),
      z.object({ resultType: z.literal('string') }),
    ]),
  }),
]);

type Data = Extract<z.infer<typeof answerSchema>, { status: 'success' }>['data'];

/**
 * One instant query, sent repeatedly. As a form in a POST, so that neither the query nor its length is part of the URL: https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries
 */
export class PrometheusQuery {
  readonly #endpoint: string;
  readonly #body: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #secrets: readonly string[];
  readonly #fetch: typeof fetch;
  readonly #timeoutMs: number;

  constructor(options: {
    readonly url: string;
    readonly query: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly fetch: typeof fetch;
    readonly timeoutMs: number;
  }) {
    const { url, query, headers, timeoutMs } = options;
    this.#endpoint = endpointOf(url);
    this.#timeoutMs = timeoutMs;
    this.#fetch = options.fetch;
    // Prometheus then cancels the query as well when it times out here.
    const timeout = `${Math.ceil(timeoutMs)}ms`;
    this.#body = new URLSearchParams({ query, timeout, limit: String(MAX_SERIES) }).toString();
    const all = new Headers({ 'user-agent': 'unleash-rollout-guard', accept: 'application/json' });
    for (const [name, value] of Object.entries(headers)) all.set(name, value);
    all.set('content-type', 'application/x-www-form-urlencoded');
    this.#headers = Object.fromEntries(all);
    this.#secrets = Object.values(headers)
      .flatMap((value) => [value, ...value.split(/\s+/)])
      .filter((secret) => secret.length >= SHORTEST_SECRET)
      // A part that is hidden first would leave the rest of the whole.
      .sort((one, other) => other.length - one.length);
  }

  /**
   * Sends the query and returns the number with the time of its evaluation; undefined when the query selects nothing.
   *
   * @throws Error for an operator, without the address and the headers; or the signal's reason.
   */
  async read(signal: AbortSignal): Promise<SignalReading | undefined> {
    const request = {
      method: 'POST',
      url: this.#endpoint,
      headers: this.#headers,
      body: this.#body,
    } as const;
    const answer = await exchange(this.#fetch, request, this.#timeoutMs, signal).catch((error: unknown) => {
      if (!(error instanceof NoAnswerError)) throw error;
      throw new Error(`Prometheus does not answer (${error.message})`);
    });
    return readingOf(this.#dataOf(answer));
  }

  #dataOf({ ok, status, body }: HttpAnswer): Data {
    const parsed = answerSchema.safeParse(jsonOf(body));
    if (parsed.data?.status === 'error') {
      const { errorType, error } = parsed.data;
      throw new Error(`Prometheus refused the query (${this.#quote(`${errorType}: ${error}`)})`);
    }
    if (!ok) throw new Error(`Prometheus answered ${status}`);
    if (!parsed.success)
      throw new Error(`what answered ${status} is no Prometheus, or the URL has a wrong path`);
    return parsed.data.data;
  }

  /** A proxy in front of Prometheus may repeat what it was sent. */
  #quote(text: string): string {
    const quoted = this.#secrets.reduce((rest, secret) => rest.replaceAll(secret, '…'), text);
    return quoted.replace(/\s+/g, ' ').slice(0, LONGEST_ERROR);
  }
}

/** The address of the query API, from that of Prometheus, with or without the API's own path. */
function endpointOf(url: string): string {
  const { origin, pathname, search } = new URL(url);
  const path = pathname.replace(/\/+$/, '').replace(/\/api\/v1(\/query)?$/, '');
  return `${origin}${path}/api/v1/query${search}`;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readingOf(data: Data): SignalReading | undefined {
  switch (data.resultType) {
    case 'scalar':
      return sampleOf(data.result);
    case 'vector': {
      const [first, ...others] = data.result;
      if (first === undefined) return undefined;
      if (others.length > 0) {
        const count = `${data.result.length}${data.result.length < MAX_SERIES ? '' : ' or more'}`;
        throw new Error(`the query returned ${count} series; aggregate it to one, for example with sum(…)`);
      }
      if (first.value === undefined) {
        throw new Error(
          'the query returned a histogram; make it a number, for example with histogram_quantile(…)',
        );
      }
      return sampleOf(first.value);
    }
    default:
      throw new Error(
        `the query returned a ${data.resultType}; a scalar or a vector of one element is needed`,
      );
  }
}

/** Numbers are text in JSON, because it has neither `NaN` nor `+Inf`; times are seconds. */
function sampleOf([seconds, text]: z.infer<typeof sampleSchema>): SignalReading {
  const value = /^[+-]?Inf$/.test(text) ? Number(text.replace('Inf', 'Infinity')) : Number(text);
  return { value, at: Math.round(seconds * 1_000) };
}
