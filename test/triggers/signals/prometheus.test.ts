import { afterEach, describe, expect, it } from 'vitest';
import {
  type PrometheusOptions,
  prometheusAbove,
  prometheusBelow,
} from '../../../src/triggers/signals/prometheus.js';
import { type Answer, startReceiver } from '../../notify/receiver.js';
import { NOW, snapshotOf } from '../snapshots.js';

const URL_ONLY = { url: 'http://127.0.0.1:9', query: 'up', threshold: 1 };
const TOKEN = 'tok-5f2c9a71';

let receiver: Awaited<ReturnType<typeof startReceiver>> | undefined;

afterEach(async () => {
  await receiver?.close();
  receiver = undefined;
});

const json = (value: unknown, status = 200): Answer => ({ status, body: JSON.stringify(value) });
const success = (resultType: string, result: unknown) =>
  json({ status: 'success', data: { resultType, result } });
const vector = (...values: string[]) =>
  success(
    'vector',
    values.map((value, index) => ({
      metric: { instance: String(index) },
      value: [1_700_000_000.123, value],
    })),
  );

/** Reads once from a server that gives this answer. */
async function read(answer: Answer, options: Partial<PrometheusOptions> = {}) {
  receiver = await startReceiver(answer);
  const url = new URL(receiver.url).origin;
  const { signal } = prometheusAbove({ ...URL_ONLY, url, ...options });
  return signal.read({ signal: new AbortController().signal });
}

describe('prometheusAbove and prometheusBelow', () => {
  it('refuse an answer that is too large, as of a query without an aggregation', async () => {
    const many = vector(...Array.from({ length: 50_000 }, String));
    await expect(read(many)).rejects.toThrow(
      /^the answer has [\d,]+ bytes or more, above the limit of 1,048,576 bytes; aggregate the query to one series/,
    );
  });

  it('send the query as a form, with the headers and a timeout for Prometheus', async () => {
    const query = `sum(rate(errors_total{path=~"/a&b=.*"}[1m])) / 2 + ${'0 + '.repeat(3_000)} 1`;
    const headers = { Authorization: `Bearer ${TOKEN}`, 'Content-Type': 'text/plain' };
    await read(vector('1'), { query, headers, timeoutMs: 2_500 });
    const [request] = receiver!.received;
    expect(request?.headers).toMatchObject({
      authorization: `Bearer ${TOKEN}`,
      'content-type': 'application/x-www-form-urlencoded',
    });
    const form = Object.fromEntries(new URLSearchParams(request?.body));
    expect(form).toEqual({ query, timeout: '2500ms', limit: '100' });
  });

  it.each([
    ['https://p.example.com', 'https://p.example.com/api/v1/query'],
    ['https://p.example.com/', 'https://p.example.com/api/v1/query'],
    ['https://example.com/prometheus/', 'https://example.com/prometheus/api/v1/query'],
    ['http://p.example.com:9090/api/v1', 'http://p.example.com:9090/api/v1/query'],
    ['http://p.example.com/api/v1/query', 'http://p.example.com/api/v1/query'],
    ['http://p.example.com/x?tenant=a#part', 'http://p.example.com/x/api/v1/query?tenant=a'],
  ])('with the URL %s send the query to %s', async (url, queried) => {
    const requests: string[] = [];
    const fetch = async (input: unknown, init?: RequestInit) => {
      requests.push(`${init?.method} ${String(input)}`);
      return new Response('{}');
    };
    const { signal } = prometheusBelow({ ...URL_ONLY, url, fetch });
    await signal.read({ signal: new AbortController().signal }).catch(() => {});
    expect(requests).toEqual([`POST ${queried}`]);
  });

  it.each<[string, Answer, number | undefined]>([
    ['a vector of one element', vector('0.25'), 0.25],
    ['a scalar', success('scalar', [1_700_000_000.123, '1e+06']), 1_000_000],
    ['infinity', vector('+Inf'), Number.POSITIVE_INFINITY],
    ['minus infinity', vector('-Inf'), Number.NEGATIVE_INFINITY],
    ['NaN', vector('NaN'), Number.NaN],
  ])('read %s with the time of its evaluation', async (_, answer, value) => {
    expect(await read(answer)).toEqual({ value, at: 1_700_000_000_123 });
  });

  it('treat an empty vector as no data', async () => {
    expect(await read(vector())).toBeUndefined();
  });

  it.each<[string, Answer, string]>([
    [
      'several series',
      vector('1', '2', '3'),
      'the query returned 3 series; aggregate it to one, for example with sum(…)',
    ],
    [
      'as many series as are sent',
      vector(...Array<string>(100).fill('1')),
      'the query returned 100 or more series; aggregate it to one, for example with sum(…)',
    ],
    [
      'a native histogram',
      success('vector', [{ metric: {}, histogram: [1_700_000_000, { count: '1' }] }]),
      'the query returned a histogram; make it a number, for example with histogram_quantile(…)',
    ],
    [
      'a matrix',
      success('matrix', []),
      'the query returned a matrix; a scalar or a vector of one element is needed',
    ],
    [
      'text',
      success('string', [1_700_000_000, 'x']),
      'the query returned a string; a scalar or a vector of one element is needed',
    ],
    [
      'a query that does not parse',
      json(
        { status: 'error', errorType: 'bad_data', error: 'invalid parameter "query":\n1:4: parse error' },
        400,
      ),
      'Prometheus refused the query (bad_data: invalid parameter "query": 1:4: parse error)',
    ],
    ['another status', { status: 502, body: '<html>' }, 'Prometheus answered 502'],
    ['a redirect', { status: 302, headers: { location: '/login' } }, 'Prometheus answered 302'],
    [
      'a page',
      { status: 200, body: '<html>' },
      'the server that answered 200 is not Prometheus, or the path of the URL is wrong',
    ],
    [
      'other JSON',
      json({ status: 'ok' }),
      'the server that answered 200 is not Prometheus, or the path of the URL is wrong',
    ],
    [
      'a value without digits',
      vector(''),
      'the server that answered 200 is not Prometheus, or the path of the URL is wrong',
    ],
  ])('report what is wrong with %s', async (_, answer, message) => {
    await expect(read(answer)).rejects.toThrow(new Error(message));
  });

  it('report that Prometheus does not answer, in time or at all', async () => {
    await expect(read('hang', { timeoutMs: 20 })).rejects.toThrow(
      'Prometheus does not answer (timed out after 20 ms)',
    );
    const url = new URL(receiver!.url).origin;
    await receiver!.close();
    receiver = undefined;
    const { signal } = prometheusAbove({ ...URL_ONLY, url });
    await expect(signal.read({ signal: new AbortController().signal })).rejects.toThrow(
      'Prometheus does not answer (ECONNREFUSED)',
    );
  });

  it('end when the signal is aborted', async () => {
    receiver = await startReceiver('hang');
    const url = new URL(receiver.url).origin;
    const ending = new AbortController();
    const { signal } = prometheusAbove({ ...URL_ONLY, url });
    const reading = signal.read({ signal: ending.signal });
    ending.abort(new Error('the guard is closed'));
    await expect(reading).rejects.toThrow('the guard is closed');
  });

  it('show no header in an error that repeats it, whole or in part, and cut a long one', async () => {
    const error = `denied: authorization "Bearer ${TOKEN}", token ${TOKEN} ${'x'.repeat(1_000)}`;
    const headers = { Authorization: `Bearer ${TOKEN}` };
    const failed = read(json({ status: 'error', errorType: 'forbidden', error }, 403), { headers });
    const { message } = await failed.then(
      () => expect.unreachable('the read succeeded'),
      (reason: unknown) => reason as Error,
    );
    expect(message).not.toContain(TOKEN);
    expect(message).toMatch(/^Prometheus refused the query \(forbidden: denied: authorization "…", token …/);
    expect(message.length).toBeLessThan(260);
  });

  it('show neither address nor headers in the trigger', () => {
    const url = 'https://prometheus.example.com/?key=hush-hush';
    const trigger = prometheusAbove({ ...URL_ONLY, url, headers: { Authorization: `Bearer ${TOKEN}` } });
    const shown = JSON.stringify([trigger, Object.entries(trigger), trigger.evaluate(snapshotOf(), NOW)]);
    expect(shown).not.toMatch(/hush-hush|prometheus\.example|tok-/);
  });

  it.each<[typeof prometheusAbove, number, string, string]>([
    [prometheusAbove, 1.5, 'breach', 'In Prometheus, up is 1.5 (2 s ago), above 1.'],
    [prometheusAbove, 1, 'ok', 'In Prometheus, up is 1 (2 s ago), not above 1.'],
    [prometheusBelow, 1, 'ok', 'In Prometheus, up is 1 (2 s ago), not below 1.'],
    [prometheusBelow, 0, 'breach', 'In Prometheus, up is 0 (2 s ago), below 1.'],
  ])('evaluate what was read (%o, %d)', (factory, value, status, message) => {
    const trigger = factory(URL_ONLY);
    const signals = [{ trigger: trigger.name, reading: { value, at: NOW - 2_000 }, problem: undefined }];
    expect(trigger.evaluate({ ...snapshotOf(), signals }, NOW)).toMatchObject({ status, message });
  });

  it('have names of their own, and cut a long query in messages', () => {
    const query = `sum(\n  rate(${'x'.repeat(200)}[1m]))`;
    expect(prometheusAbove({ ...URL_ONLY, query })).toMatchObject({ name: 'prometheus-above', query });
    expect(prometheusBelow(URL_ONLY).name).toBe('prometheus-below');
    const { message } = prometheusBelow({ ...URL_ONLY, query, name: 'few-uploads' }).evaluate(
      snapshotOf(),
      NOW,
    );
    expect(message).toMatch(/^In Prometheus, sum\( rate\(x+… has no verdict: nothing has been read yet\.$/);
    expect(message.length).toBeLessThan(180);
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    [
      'no URL',
      { url: undefined },
      /url: expected a URL with its scheme, without user and password, got nothing/,
    ],
    ['no scheme', { url: 'prometheus:9090' }, /url: expected a URL with its scheme/],
    [
      'user and password in the URL',
      { url: 'https://me:hush@p.example.com' },
      /url: expected a URL with its scheme, without user and password, got "https:\/\/…@p\.example\.com"$/,
    ],
    ['no query', { query: ' ' }, /query: expected a PromQL query/],
    ['no threshold', { threshold: undefined }, /threshold: expected a number, got nothing/],
    ['a threshold that is text', { threshold: '5' }, /threshold: expected a number, got "5"/],
    [
      'a header that breaks the request',
      { headers: { Authorization: 'Bearer hush\nx: y' } },
      /headers\.Authorization: expected the value of a header, got a string \(not shown\)$/,
    ],
    ['too short an age', { maxAgeMs: 15_000 }, /maxAgeMs: expected more than everyMs/],
    ['an unknown option', { interval: 5 }, /interval: .*got an unknown option/],
  ])('refuse %s', (_, wrong, message) => {
    const make = () => prometheusAbove({ ...URL_ONLY, ...wrong } as PrometheusOptions);
    expect(make).toThrow(/^Invalid prometheusAbove: /);
    expect(make).toThrow(message);
    expect(make).not.toThrow(/hush/);
  });
});
