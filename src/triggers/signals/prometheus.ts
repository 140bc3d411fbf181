import { z } from 'zod';
import { parseConfig } from '../../support/config-error.js';
import { fetchOver } from '../../support/connection/connection.js';
import { type HttpOptions, httpOptionsSchema } from '../../support/connection/http-options.js';
import { fetchSchema, headersSchema, httpUrlSchema } from '../../support/connection/http-schemas.js';
import type { TriggerOptions } from '../trigger.js';
import { triggerNameSchema } from '../window-rule.js';
import { prometheusQuery } from './prometheus-query.js';
import {
  limitSchema,
  readFields,
  refineTiming,
  type SignalReadOptions,
  type SignalTrigger,
  signalTrigger,
} from './signal-trigger.js';

/** Options of {@link prometheusAbove} and {@link prometheusBelow}. */
export interface PrometheusOptions extends SignalReadOptions, TriggerOptions {
  /**
   * Prometheus, or another server with its API, for example `https://prometheus.example.com`; a path before `/api/v1`
   * belongs to it. User and password go into `headers`, as `Authorization`.
   */
  readonly url: string;
  /** PromQL that evaluates to one number: a scalar, or a vector of one element. */
  readonly query: string;
  /** What the number is compared with; exactly that is no breach. */
  readonly threshold: number;
  /** Sent with every request, for example `{ Authorization: 'Bearer …' }`. No log or error shows a value. @default none */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** In place of `http`. @default one over `http` */
  readonly fetch?: typeof fetch | undefined;
  /** How it connects. @default as the guard does */
  readonly http?: HttpOptions | undefined;
}

/** A trigger on the answer of Prometheus. */
export interface PrometheusTrigger extends SignalTrigger {
  /** The query, as it is sent. */
  readonly query: string;
}

/** Longer queries are cut in sentences. */
const LONGEST_QUERY = 100;

const optionsSchema = (name: string) =>
  z
    .strictObject({
      url: httpUrlSchema(),
      query: z.string({ error: 'a PromQL query' }).regex(/\S/, { error: 'a PromQL query' }),
      threshold: limitSchema,
      headers: headersSchema,
      name: triggerNameSchema.default(name),
      fetch: fetchSchema,
      http: httpOptionsSchema.optional(),
      ...readFields,
    })
    .superRefine(refineTiming);

/**
 * Breaches when the answer to a PromQL query is above `threshold`. The guard queries it every 15 seconds while the flag is on,
 * beside the requests. No answer, an empty one, NaN, infinity, or an answer older than a minute lead to no verdict.
 *
 * ```ts
 * prometheusAbove({
 *   url: 'https://prometheus.example.com',
 *   query: 'sum(rate(upload_errors_total[1m])) / sum(rate(uploads_total[1m]))',
 *   threshold: 0.05,
 * })
 * ```
 *
 * @throws ConfigError that lists everything that is wrong.
 */
export function prometheusAbove(options: PrometheusOptions): PrometheusTrigger {
  return prometheusTrigger('above', options, 'prometheusAbove');
}

/**
 * Breaches when the answer to a PromQL query is below `threshold`; otherwise like {@link prometheusAbove}.
 *
 * @throws ConfigError that lists everything that is wrong.
 */
export function prometheusBelow(options: PrometheusOptions): PrometheusTrigger {
  return prometheusTrigger('below', options, 'prometheusBelow');
}

function prometheusTrigger(
  direction: 'above' | 'below',
  options: PrometheusOptions,
  factory: string,
): PrometheusTrigger {
  const config = parseConfig(optionsSchema(`prometheus-${direction}`), options, factory);
  const { url, query, threshold, headers = {}, name, fetch, http, timeoutMs } = config;
  const own = fetchOver({ fetch, http });
  const hasOwn = fetch !== undefined || http !== undefined;
  const read = prometheusQuery({ url, query, headers, timeoutMs });
  const words = query.replace(/\s+/g, ' ').trim();
  const shown = words.length > LONGEST_QUERY ? `${words.slice(0, LONGEST_QUERY)}…` : words;
  const rule = { name, subject: `In Prometheus, ${shown}`, direction, threshold };
  return Object.freeze({
    ...signalTrigger(rule, ({ signal, fetch }) => read(signal, hasOwn ? own : (fetch ?? own)), config),
    query,
  });
}
