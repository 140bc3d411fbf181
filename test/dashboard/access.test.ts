import { afterEach, describe, expect, it } from 'vitest';
import type { ApiProblem, Overview } from '../../src/dashboard/api.js';
import type { DashboardOptions } from '../../src/dashboard/dashboard-options.js';
import { type Reply, Served, TestSource } from './served.js';

const TOKEN = 'a-token-of-operators';
const READ = 'a-token-of-readers-';
const CONTROLS = '/api/flags/async-upload/controls';
const JSON_TYPE = { 'content-type': 'application/json' };
const STOP = JSON.stringify({ type: 'stop', reason: 'it fails' });

let source: TestSource;
let served: Served | undefined;

afterEach(() => served?.close());

async function dashboard(options: DashboardOptions): Promise<Served> {
  source = new TestSource();
  served = await Served.dashboard([source, new TestSource('read-only', false)], options);
  return served;
}

const problem = ({ status, text }: Reply) => [status, (JSON.parse(text) as ApiProblem).message];

/** What a browser keeps of a reply. */
const cookieOf = ({ headers }: Reply) => headers['set-cookie']?.[0]?.split(';')[0] ?? '';

/** Signs in as a browser does, and loads the page's data. */
async function signedIn(to: Served, token = TOKEN) {
  const cookie = cookieOf(await to.ask(`/?token=${token}`));
  const overview = await to.json<Overview>('/api/flags', { headers: { cookie } });
  const headers = { ...JSON_TYPE, cookie, 'x-csrf-token': overview.csrfToken ?? '' };
  return { cookie, overview, headers };
}

describe('the controls of a dashboard', () => {
  it('are refused, and not shown, without the option', async () => {
    const to = await dashboard({});
    expect((await to.json<Overview>('/api/flags')).controls).toEqual([]);
    const reply = await to.ask(CONTROLS, { method: 'POST', headers: JSON_TYPE, body: STOP });
    expect(problem(reply)).toEqual([403, 'This dashboard is read-only.']);
    expect(source.asked).toEqual([]);
  });

  it('are there for whoever has the token', async () => {
    const to = await dashboard({ controls: { token: TOKEN, by: 'ada' } });
    const anyone = await to.json<Overview>('/api/flags');
    expect([anyone.controls, anyone.csrfToken, anyone.flags.length]).toEqual([[], undefined, 2]);
    const { overview, headers } = await signedIn(to);
    expect(overview.controls).toEqual(['stop', 'hold', 'resume', 'advance', 'acknowledge', 'mute', 'unmute']);
    const reply = await to.ask(CONTROLS, { method: 'POST', headers, body: STOP });
    expect([reply.status, JSON.parse(reply.text)]).toEqual([200, { accepted: true, message: 'Done.' }]);
    expect(source.asked).toEqual([{ type: 'stop', reason: 'it fails', by: 'ada' }]);
  });

  it('are there for a program with the token, which needs no cookie', async () => {
    const to = await dashboard({ controls: { token: TOKEN } });
    const headers = { ...JSON_TYPE, authorization: `Bearer ${TOKEN}` };
    const reply = await to.ask(CONTROLS, { method: 'POST', headers, body: STOP });
    expect(reply.status).toBe(200);
    expect(source.asked).toMatchObject([{ by: 'dashboard' }]);
  });

  it.each<[string, Record<string, string>, number]>([
    ['no sign-in', {}, 401],
    ['a wrong token', { authorization: 'Bearer not-the-token-at-all' }, 401],
    ['a forged cookie', { cookie: `rollout_guard=abc.${'a'.repeat(32)}.${'b'.repeat(43)}` }, 401],
    ['a cookie without a part', { cookie: 'rollout_guard=' }, 401],
  ])('are refused with %s', async (_, headers, status) => {
    const to = await dashboard({ controls: { token: TOKEN } });
    const reply = await to.ask(CONTROLS, {
      method: 'POST',
      headers: { ...JSON_TYPE, ...headers },
      body: STOP,
    });
    expect(reply.status).toBe(status);
    expect((JSON.parse(reply.text) as ApiProblem).message).toMatch(/./);
    expect(source.asked).toEqual([]);
  });

  it.each<[string, Record<string, string | undefined>]>([
    ['the token against forgery', { 'x-csrf-token': undefined }],
    ['the right one', { 'x-csrf-token': 'x'.repeat(43) }],
    ['the same origin', { origin: 'https://evil.example.com' }],
    ['an origin at all', { origin: 'null' }],
    ['the same site', { 'sec-fetch-site': 'cross-site' }],
    ['the same site, exactly', { 'sec-fetch-site': 'same-site' }],
  ])('are refused without %s, although the cookie is there', async (_, change) => {
    const to = await dashboard({ controls: { token: TOKEN } });
    const { headers } = await signedIn(to);
    const changed = Object.entries({ ...headers, ...change }).filter(([, value]) => value !== undefined);
    const reply = await to.ask(CONTROLS, {
      method: 'POST',
      headers: Object.fromEntries(changed) as Record<string, string>,
      body: STOP,
    });
    expect(reply.status).toBe(403);
    expect(source.asked).toEqual([]);
  });

  it('are accepted from the page itself, behind a proxy too', async () => {
    const to = await dashboard({ controls: { token: TOKEN }, hosts: ['app.example.com'] });
    const { headers } = await signedIn(to);
    for (const more of [
      { origin: `http://127.0.0.1:${to.port}` },
      { origin: 'https://app.example.com' },
      { origin: 'https://other.example.com', 'sec-fetch-site': 'same-origin' },
    ]) {
      const reply = await to.ask(CONTROLS, { method: 'POST', headers: { ...headers, ...more }, body: STOP });
      expect(reply.status).toBe(200);
    }
  });

  it('need the token against forgery of the same sign-in', async () => {
    const to = await dashboard({ controls: { token: TOKEN } });
    const [first, second] = [await signedIn(to), await signedIn(to)];
    const headers = { ...first.headers, cookie: second.cookie };
    expect((await to.ask(CONTROLS, { method: 'POST', headers, body: STOP })).status).toBe(403);
  });

  it.each<[string, string, Record<string, string>, number, RegExp]>([
    ['another type', STOP, { 'content-type': 'text/plain' }, 415, /application\/json/],
    [
      'a form',
      'type=stop',
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
      /application\/json/,
    ],
    ['no JSON', '{', {}, 400, /not JSON/],
    ['a list', '[]', {}, 400, /not a JSON object/],
    ['null', 'null', {}, 400, /not a JSON object/],
    ['nothing', '', {}, 400, /not JSON/],
    ['an unknown control', '{"type":"explode"}', {}, 400, /type/],
    ['no reason', '{"type":"stop"}', {}, 400, /reason/],
    ['an empty reason', '{"type":"stop","reason":""}', {}, 400, /reason/],
    ['more than it takes', '{"type":"resume","force":true}', {}, 400, /force|unrecognized/i],
    ['who asks', '{"type":"resume","by":"the boss"}', {}, 400, /"by"/],
    ['too much', JSON.stringify({ type: 'stop', reason: 'x'.repeat(20_000) }), {}, 413, /16 kB/],
  ])('refuse %s', async (_, body, change, status, message) => {
    const to = await dashboard({ controls: { token: TOKEN } });
    const { headers } = await signedIn(to);
    const reply = await to.ask(CONTROLS, { method: 'POST', headers: { ...headers, ...change }, body });
    expect(reply.status).toBe(status);
    expect((JSON.parse(reply.text) as ApiProblem).message).toMatch(message);
    expect(source.asked).toEqual([]);
  });

  it('are refused where the flag can only be shown', async () => {
    const to = await dashboard({ controls: { token: TOKEN } });
    const { headers } = await signedIn(to);
    const path = '/api/flags/read-only/controls';
    expect((await to.ask(path, { method: 'POST', headers, body: STOP })).status).toBe(403);
    const none = '/api/flags/none/controls';
    expect((await to.ask(none, { method: 'POST', headers, body: STOP })).status).toBe(404);
  });

  it('are limited to some within a minute', async () => {
    const to = await dashboard({ controls: { token: TOKEN } });
    const { headers } = await signedIn(to);
    const ask = () => to.ask(CONTROLS, { method: 'POST', headers, body: '{"type":"resume"}' });
    const statuses = [];
    for (let index = 0; index < 31; index++) statuses.push((await ask()).status);
    expect(statuses.slice(0, 30).every((status) => status === 200)).toBe(true);
    const refused = await ask();
    expect([refused.status, refused.headers['retry-after']]).toEqual([429, '60']);
  });

  it('may be decided by the application', async () => {
    const to = await dashboard({
      controls: {
        authorize: async ({ headers }) => {
          if (headers.authorization === 'Basic broken') throw new Error('the directory is down');
          return headers.authorization === 'Basic ada' ? 'ada@example.com' : undefined;
        },
      },
    });
    const overviewOf = async (authorization: string) => {
      const reply = await to.ask('/api/flags', { headers: { authorization } });
      return { overview: JSON.parse(reply.text) as Overview, cookie: cookieOf(reply) };
    };
    for (const nobody of ['Basic bob', 'Basic broken', 'Bearer anything']) {
      const { overview } = await overviewOf(nobody);
      expect([overview.controls, overview.csrfToken]).toEqual([[], undefined]);
    }
    const { overview, cookie } = await overviewOf('Basic ada');
    expect(overview.controls).toHaveLength(7);
    const headers = { ...JSON_TYPE, authorization: 'Basic ada' };
    const ask = async (more: Record<string, string>) =>
      (await to.ask(CONTROLS, { method: 'POST', headers: { ...headers, ...more }, body: STOP })).status;
    expect(await ask({})).toBe(403);
    expect(await ask({ cookie })).toBe(403);
    expect(await ask({ cookie, 'x-csrf-token': overview.csrfToken! })).toBe(200);
    expect(await ask({ cookie, 'x-csrf-token': overview.csrfToken!, authorization: 'Basic bob' })).toBe(403);
    expect(source.asked).toMatchObject([{ by: 'ada@example.com' }]);
  });
});

describe('the token of a dashboard', () => {
  it('is needed for data, and given once in the address', async () => {
    const to = await dashboard({ token: READ });
    for (const path of ['/api/flags', '/api/events', '/api/flags/async-upload/series', '/api/flags/none']) {
      expect((await to.ask(path)).status).toBe(401);
    }
    const reply = await to.ask(`/?token=${READ}`);
    expect([reply.status, reply.headers.location, reply.text]).toEqual([303, './', '']);
    expect(reply.headers['set-cookie']?.[0]).toMatch(/; HttpOnly; SameSite=Strict; Max-Age=43200$/);
    expect(reply.headers['set-cookie']?.[0]).not.toContain(READ);
    expect(reply.headers['referrer-policy']).toBe('no-referrer');
    const headers = { cookie: `other=1; ${cookieOf(reply)}` };
    expect((await to.ask('/api/flags', { headers })).status).toBe(200);
    expect((await to.json<Overview>('/api/flags', { headers })).controls).toEqual([]);
  });

  it('may be given by a program in a header', async () => {
    const to = await dashboard({ token: READ });
    const status = async (authorization: string) =>
      (await to.ask('/api/flags', { headers: { authorization } })).status;
    expect(await status(`Bearer ${READ}`)).toBe(200);
    expect(await status(`bearer  ${READ}`)).toBe(200);
    expect(await status(`Bearer ${READ}x`)).toBe(401);
  });

  it('lets a reader not act', async () => {
    const to = await dashboard({ token: READ, controls: { token: TOKEN } });
    const reader = await signedIn(to, READ);
    expect(reader.overview.controls).toEqual([]);
    const reply = await to.ask(CONTROLS, { method: 'POST', headers: reader.headers, body: STOP });
    expect(reply.status).toBe(401);
    expect((await signedIn(to)).overview.controls).toHaveLength(7);
  });

  it('is refused when it is wrong, and after some attempts for a while', async () => {
    const to = await dashboard({ token: READ });
    for (let index = 0; index < 10; index++) {
      expect(problem(await to.ask('/?token=wrong'))).toEqual([401, 'The token is wrong.']);
    }
    const reply = await to.ask(`/?token=${READ}`);
    expect([reply.status, reply.headers['retry-after']]).toEqual([429, '60']);
  });

  it('marks the cookie for TLS behind a proxy', async () => {
    const to = await dashboard({ token: READ });
    const reply = await to.ask(`/?token=${READ}`, { headers: { 'x-forwarded-proto': 'https' } });
    expect(reply.headers['set-cookie']?.[0]).toMatch(/; Secure$/);
  });
});

describe('the name of a dashboard', () => {
  const statusOf = async (host: string, hosts: string[] = []) => {
    const to = await dashboard({ hosts });
    const { status } = await to.ask('/api/flags', { headers: { host } });
    await to.close();
    served = undefined;
    return status;
  };

  it.each(['localhost', 'localhost:1', '127.0.0.1:80', '127.9.9.9', '[::1]:3000', 'app.localhost:3000'])(
    'may be %s',
    async (host) => expect(await statusOf(host)).toBe(200),
  );

  it.each(['evil.example.com', '127.0.0.1.evil.example.com', 'localhost.evil.example.com:80', '10.0.0.1'])(
    'may not be "%s" on a loopback address',
    async (host) => expect(await statusOf(host)).toBe(403),
  );

  it('may be one of the option', async () => {
    const hosts = ['app.example.com', 'exact.example.com:8443'];
    expect(await statusOf('app.example.com', hosts)).toBe(200);
    expect(await statusOf('app.example.com:3000', hosts)).toBe(200);
    expect(await statusOf('exact.example.com:8443', hosts)).toBe(200);
    expect(await statusOf('exact.example.com:1', hosts)).toBe(403);
    expect(await statusOf('sub.app.example.com', hosts)).toBe(403);
  });

  it('is named in the refusal', async () => {
    const to = await dashboard({});
    const reply = await to.ask('/', { headers: { host: 'app.example.com' } });
    expect(problem(reply)).toEqual([
      403,
      'The dashboard is not known as "app.example.com". If that is its name, add it to the option "hosts".',
    ]);
  });
});
