import { rm } from 'node:fs/promises';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ApiProblem, DecisionView, Overview, Series } from '../../src/dashboard/api.js';
import { resolveDashboardOptions } from '../../src/dashboard/dashboard-options.js';
import { DashboardServer } from '../../src/dashboard/server/dashboard-server.js';
import { PageFiles } from '../../src/dashboard/server/page-files.js';
import type { RolloutView } from '../../src/model/rollout-view.js';
import { processorMs } from '../helpers/machine-time.js';
import { decision } from '../notify/events.js';
import { Served, TestSource, testPage } from './served.js';

const HOSTILE = `<img src=x onerror="alert(1)">/../"'\u2028`;

let source: TestSource;
let served: Served;

beforeEach(async () => {
  source = new TestSource();
  source.decided = [
    { decision: decision({ id: 'd-2' }), failures: [] },
    { decision: decision({ id: HOSTILE }), failures: [] },
  ];
  served = await Served.dashboard([source, new TestSource(HOSTILE, false)]);
});

afterEach(() => served.close());

describe('the routes of a dashboard', () => {
  it('are the page, its files and the API', async () => {
    expect((await served.ask('/')).text).toBe('<!doctype html><title>page</title>');
    expect((await served.ask('/?x=1#y')).status).toBe(200);
    expect((await served.ask('/assets/index-Ab12_cd3.js')).text).toContain('export const page');
    expect((await served.ask('/favicon.svg')).headers['content-type']).toBe('image/svg+xml');
    const overview = await served.json<Overview>('/api/flags');
    expect(overview.flags.map(({ flagKey }) => flagKey)).toEqual(['async-upload', HOSTILE]);
    expect(overview).toMatchObject({ controls: [] });
    expect(await served.json<RolloutView>('/api/flags/async-upload')).toMatchObject({
      flagKey: 'async-upload',
    });
    expect(await served.json<Series>('/api/flags/async-upload/series')).toMatchObject({ at: [] });
    const decisions = await served.json<DecisionView[]>('/api/flags/async-upload/decisions');
    expect(decisions.map((each) => each.decision.id)).toEqual(['d-2', HOSTILE]);
    expect(await served.json<DecisionView>('/api/flags/async-upload/decisions/d-2')).toEqual(decisions[0]);
  });

  it('take a hostile key or id as what it is', async () => {
    const path = `/api/flags/${encodeURIComponent(HOSTILE)}`;
    const reply = await served.ask(path);
    expect(reply.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(reply.headers['x-content-type-options']).toBe('nosniff');
    expect(JSON.parse(reply.text)).toMatchObject({ flagKey: HOSTILE });
    const ofDecision = `/api/flags/async-upload/decisions/${encodeURIComponent(HOSTILE)}`;
    expect(await served.json(ofDecision)).toMatchObject({ decision: { id: HOSTILE } });
  });

  it.each([
    '/api',
    '/api/',
    '/api/flags/',
    '/api/flags/none',
    '/api/flags/__proto__',
    '/api/flags/constructor/series',
    '/api/flags/async-upload/decisions/none',
    '/api/flags/async-upload/series/more',
    '/api/flags/async-upload/decisions/d-2/more',
    '/api/events?flag=none',
    '/api/nothing',
    '/nothing',
    '/index.html/',
    '/..',
    '/../package.json',
    '/assets/../../package.json',
    '/assets/..%2f..%2fpackage.json',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/assets/%2e%2e/index.html',
    '/assets//index-Ab12_cd3.js',
    '//evil.example.com/',
    '/assets/index-Ab12_cd3.js%00.html',
    '/assets\\..\\index.html',
    '/constructor',
    '/__proto__',
  ])('answer %s with 404', async (path) => {
    const reply = await served.ask(path);
    expect(reply.status).toBe(404);
    expect((JSON.parse(reply.text) as ApiProblem).message).toMatch(/./);
    expect(reply.text).not.toContain('root:');
  });

  it('answer what cannot be decoded with 400', async () => {
    for (const path of ['/%', '/api/flags/%ff', '/%e0%a4%a'])
      expect((await served.ask(path)).status).toBe(400);
  });

  it('allow GET and HEAD, and POST for controls alone', async () => {
    for (const path of ['/', '/assets/index-Ab12_cd3.js', '/api/flags', '/api/events']) {
      for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
        const reply = await served.ask(path, { method });
        expect([path, method, reply.status, reply.headers.allow]).toEqual([path, method, 405, 'GET, HEAD']);
      }
    }
    const reply = await served.ask('/api/flags/async-upload/controls');
    expect([reply.status, reply.headers.allow]).toEqual([405, 'POST']);
  });

  it('answer HEAD like GET without the body', async () => {
    for (const path of ['/', '/assets/index-Ab12_cd3.js', '/api/flags', '/api/flags/none']) {
      const [get, head] = [await served.ask(path), await served.ask(path, { method: 'HEAD' })];
      expect([head.status, head.text]).toEqual([get.status, '']);
      expect(head.headers['content-length']).toBe(get.headers['content-length']);
      expect(head.headers['content-type']).toBe(get.headers['content-type']);
    }
    const events = await served.ask('/api/events', { method: 'HEAD' });
    expect(events.headers['content-type']).toContain('text/event-stream');
  });

  it('send strict headers with every reply', async () => {
    for (const path of ['/', '/assets/index-Ab12_cd3.js', '/api/flags', '/nothing']) {
      const { headers } = await served.ask(path);
      expect(headers['content-security-policy']).toMatch(/^default-src 'none'; script-src 'self'; /);
      expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
      expect(headers['content-security-policy']).not.toMatch(/unsafe|\*/);
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'x-frame-options': 'DENY',
      });
    }
  });

  it('let files with a hash be kept for good, the page be asked for again, and data be kept nowhere', async () => {
    const cached = async (path: string) => (await served.ask(path)).headers['cache-control'];
    expect(await cached('/assets/index-Ab12_cd3.js')).toBe('public, max-age=31536000, immutable');
    expect(await cached('/')).toBe('no-cache');
    expect(await cached('/favicon.svg')).toBe('no-cache');
    for (const path of ['/api/flags', '/api/flags/none', '/api/flags/async-upload/series'])
      expect(await cached(path)).toBe('no-store');
  });

  it('answer an unchanged file with 304', async () => {
    const { etag } = (await served.ask('/')).headers;
    const again = await served.ask('/', { headers: { 'if-none-match': `"other", ${etag}` } });
    expect([again.status, again.text]).toEqual([304, '']);
    expect((await served.ask('/', { headers: { 'if-none-match': '"other"' } })).status).toBe(200);
  });

  it('compress files and long data for those who accept it', async () => {
    const open = async (path: string, encoding: string) => {
      const response = await served.open(path, { headers: { 'accept-encoding': encoding } });
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      return { encoding: response.headers['content-encoding'], body: Buffer.concat(chunks) };
    };
    const path = '/assets/index-Ab12_cd3.js';
    const plain = await open(path, 'identity');
    const br = await open(path, 'gzip, deflate, br');
    expect([plain.encoding, br.encoding]).toEqual([undefined, 'br']);
    expect(brotliDecompressSync(br.body)).toEqual(plain.body);
    expect(br.body.length).toBeLessThan(plain.body.length / 10);
    const gzip = await open(path, 'gzip;q=0.5, br;q=0');
    expect(gunzipSync(gzip.body)).toEqual(plain.body);
    source.decided = Array.from({ length: 20 }, (_, id) => ({
      decision: decision({ id: `d-${id}` }),
      failures: [],
    }));
    const data = await open('/api/flags/async-upload/decisions', 'gzip');
    expect(data.encoding).toBe('gzip');
    expect(JSON.parse(gunzipSync(data.body).toString())).toHaveLength(20);
  });

  it.each([
    ['from=x', '"from" is not a number.'],
    ['from=5&to=5', '"from" is not before "to".'],
    ['points=1', '"points" is not a whole number from 2 to 2000.'],
    ['points=100000', '"points" is not a whole number from 2 to 2000.'],
    ['points=2.5', '"points" is not a whole number from 2 to 2000.'],
    ['stepMs=1', '"stepMs" is not a multiple of 60000.'],
    ['stepMs=-60000', '"stepMs" is not a multiple of 60000.'],
    ['to=Infinity', '"to" is not a number.'],
  ])('refuse a series with %s', async (query, message) => {
    const reply = await served.ask(`/api/flags/async-upload/series?${query}`);
    expect([reply.status, JSON.parse(reply.text)]).toEqual([400, { message }]);
  });

  it('show what is known of a flag that cannot be read now, and why', async () => {
    expect((await served.json<Overview>('/api/flags')).flags).toHaveLength(2);
    source.shown = new Error('Redis does not reply.');
    await new Promise((resolve) => setTimeout(resolve, 220));
    const overview = await served.json<Overview>('/api/flags');
    expect(overview.flags).toHaveLength(2);
    expect(overview.problems).toEqual([{ flagKey: 'async-upload', message: 'Redis does not reply.' }]);
  });

  it('say that nothing is known yet', async () => {
    source.shown = undefined;
    const reply = await served.ask('/api/flags/async-upload');
    expect([reply.status, JSON.parse(reply.text)]).toEqual([
      503,
      { message: 'Nothing is known of the flag yet.' },
    ]);
    expect((await served.json<Overview>('/api/flags')).flags).toHaveLength(1);
  });

  it('contain a source that fails', async () => {
    source.history = () => Promise.reject(new Error('the rollups are damaged'));
    const reply = await served.ask('/api/flags/async-upload/series');
    expect([reply.status, JSON.parse(reply.text)]).toEqual([500, { message: 'the rollups are damaged' }]);
  });

  it('ask a source once for all who ask at the same time', async () => {
    const began = performance.now();
    const replies = await Promise.all(Array.from({ length: 50 }, () => served.ask('/api/flags')));
    expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 50 }, () => 200));
    // One view each 200 ms, however long a busy machine needs for the replies.
    expect(source.reads).toBeLessThanOrEqual(3 + (performance.now() - began) / 200);
  });

  it('show 200 flags on the overview', async () => {
    const sources = Array.from({ length: 200 }, (_, index) => new TestSource(`flag-${index}`));
    const many = await Served.dashboard(sources);
    const usedMs = await processorMs(async () =>
      expect((await many.json<Overview>('/api/flags')).flags).toHaveLength(200),
    );
    expect(usedMs).toBeLessThan(1_000);
    await many.close();
  });

  it('follow flags that come and go', async () => {
    const sources = [source];
    const changing = await Served.dashboard(() => sources);
    sources.push(new TestSource('another'));
    expect((await changing.json<Overview>('/api/flags')).flags).toHaveLength(2);
    sources.shift();
    expect((await changing.ask('/api/flags/async-upload')).status).toBe(404);
    await changing.close();
  });
});

describe('a dashboard whose page has not been built', () => {
  it('says how to build it, and finds it once it is there', async () => {
    const folder = await testPage();
    const files = new PageFiles(`${folder}/page`);
    const server = new DashboardServer(() => [source], resolveDashboardOptions(), files);
    const unbuilt = await Served.of((request, response) => void server.handle(request, response));
    const reply = await unbuilt.ask('/');
    expect(reply.status).toBe(503);
    expect(reply.text).toContain('npm run build:page');
    expect((await unbuilt.ask('/api/flags')).status).toBe(200);
    await testPageAt(`${folder}/page`);
    expect((await unbuilt.ask('/')).status).toBe(200);
    await unbuilt.close();
    await rm(folder, { recursive: true });
  });
});

async function testPageAt(folder: string): Promise<void> {
  const { cp } = await import('node:fs/promises');
  const from = await testPage();
  await cp(from, folder, { recursive: true });
  await rm(from, { recursive: true });
}
