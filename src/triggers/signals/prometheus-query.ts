import { z } from 'zod';
import {
  AnswerTooLargeError,
  exchange,
  type HttpAnswer,
  NoAnswerError,
} from '../../support/connection/http.js';
import { withoutTrailingSlashes } from '../../support/connection/http-schemas.js';
import { parseJson } from '../../support/json.js';
import type { SignalReading } from '../trigger.js';

/** A Prometheus that supports the parameter `limit` sends no more series: one is right, a few show what is wrong. */
const MAX_SERIES = 100;
/** Longer error texts are cut. */
const LONGEST_ERROR = 200;
/** Shorter header values are not secrets, and hiding them would make an error unreadable. */
const SHORTEST_SECRET = 4;

const sampleSchema = z.tuple([z.number(), z.string().min(1)]);

const answerSchema = z.lazy(() =>
  z.union([
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
  ]),
);

type Data = Extract<z.infer<typeof answerSchema>, { status: 'success' }>['data'];

interface PrometheusQueryOptions {
  readonly url: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/**
 * One instant query, sent with each call of the function. It returns the number with the time of its evaluation; undefined when
 * the query selects nothing. As a form in a POST, so that neither the query nor its length is part of the URL:
 * https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries
 *
 * @throws Error for an operator, without the address and the headers; or the signal's reason. Both from the function.
 */
export function prometheusQuery({
  url,
  query,
  headers,
  timeoutMs,
}: PrometheusQueryOptions): (
  signal: AbortSignal,
  fetch: typeof globalThis.fetch,
) => Promise<SignalReading | undefined> {
  const all = new Headers({ 'user-agent': 'unleash-rollout-guard', accept: 'application/json' });
  for (const [name, value] of Object.entries(headers)) all.set(name, value);
  all.set('content-type', 'application/x-www-form-urlencoded');
  // Prometheus then cancels the query as well when it times out here.
  const timeout = `${Math.ceil(timeoutMs)}ms`;
  const request = {
    method: 'POST',
    url: endpointOf(url),
    headers: Object.fromEntries(all),
    body: new URLSearchParams({ query, timeout, limit: String(MAX_SERIES) }).toString(),
  } as const;
  const secrets = secretsOf(headers);
  return async (signal, fetch) => {
    const answer = await exchange(fetch, request, timeoutMs, signal).catch((error: unknown) => {
      if (error instanceof AnswerTooLargeError) {
        throw new Error(`${error.message}; aggregate the query to one series, for example with sum(…)`);
      }
      if (!(error instanceof NoAnswerError)) throw error;
      throw new Error(
        `Prometheus does not answer (${error.message})${error.help === undefined ? '' : `. ${error.help}`}`,
      );
    });
    return readingOf(dataOf(answer, secrets));
  };
}

/** The header values and their parts, the longest first: a part that is hidden first would leave the rest of the whole. */
function secretsOf(headers: PrometheusQueryOptions['headers']): readonly string[] {
  return Object.values(headers)
    .flatMap((value) => [value, ...value.split(/\s+/)])
    .filter((secret) => secret.length >= SHORTEST_SECRET)
    .sort((one, other) => other.length - one.length);
}

function dataOf({ ok, status, body }: HttpAnswer, secrets: readonly string[]): Data {
  const parsed = answerSchema.safeParse(parseJson(body));
  if (parsed.data?.status === 'error') {
    // A proxy in front of Prometheus may repeat what it was sent.
    const error = secrets.reduce(
      (rest, secret) => rest.replaceAll(secret, '…'),
      `${parsed.data.errorType}: ${parsed.data.error}`,
    );
    throw new Error(`Prometheus refused the query (${error.replace(/\s+/g, ' ').slice(0, LONGEST_ERROR)})`);
  }
  if (!ok) throw new Error(`Prometheus answered ${status}`);
  if (!parsed.success)
    throw new Error(`the server that answered ${status} is not Prometheus, or the path of the URL is wrong`);
  return parsed.data.data;
}

/** The address of the query API, from that of Prometheus, with or without the API's own path. */
function endpointOf(url: string): string {
  const { origin, pathname, search } = new URL(url);
  const path = withoutTrailingSlashes(pathname).replace(/\/api\/v1(\/query)?$/, '');
  return `${origin}${path}/api/v1/query${search}`;
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
