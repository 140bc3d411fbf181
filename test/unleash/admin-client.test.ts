import { inspect } from 'node:util';
import nock from 'nock';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { UnleashAdminClient, type UnleashAdminClientOptions } from '../../src/unleash/admin-client.js';
import { AdminError, isAdminError } from '../../src/unleash/admin-error.js';

const ORIGIN = 'https://unleash.example.com';
const TOKEN = '*:*.s3cr3t-5f3c9d';
const FEATURE = '/api/admin/projects/default/features/async-upload';
const OFF = `${FEATURE}/environments/production/off`;

const flagBody = {
  name: 'async-upload',
  project: 'default',
  type: 'release',
  environments: [
    { name: 'development', enabled: false, strategies: [] },
    {
      name: 'production',
      enabled: true,
      sortOrder: 3,
      strategies: [
        {
          id: 's1',
          name: 'flexibleRollout',
          title: null,
          disabled: false,
          parameters: { rollout: '10' },
          segments: [],
        },
      ],
    },
  ],
  links: [{ id: 'l1', url: 'https://reports.example.com/1', title: null }],
  somethingNew: { in: 'a later version' },
};

function client(options: Partial<UnleashAdminClientOptions> = {}): UnleashAdminClient {
  return new UnleashAdminClient({
    url: `${ORIGIN}/api`,
    token: TOKEN,
    environment: 'production',
    ...options,
  });
}

const failureOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => expect.unreachable('the call succeeded'),
    (error: unknown) => error,
  );

beforeAll(() => {
  nock.disableNetConnect();
});
afterEach(() => {
  vi.useRealTimers();
  nock.cleanAll();
});
afterAll(() => {
  nock.enableNetConnect();
  nock.restore();
});

describe('UnleashAdminClient', () => {
  it.each([
    ['https://unleash.example.com/api', '/api/admin'],
    ['https://unleash.example.com/api/', '/api/admin'],
    ['https://unleash.example.com', '/api/admin'],
    ['https://unleash.example.com/flags/api', '/flags/api/admin'],
    ['https://unleash.example.com/flags/', '/flags/api/admin'],
  ])('finds the admin API from %s', async (url, admin) => {
    const request = nock(ORIGIN)
      .post(`${admin}/projects/default/features/async-upload/environments/production/off`)
      .reply(200);
    await client({ url }).disable('async-upload');
    expect(request.isDone()).toBe(true);
  });

  it('sends the token and no body', async () => {
    const request = nock(ORIGIN, { reqheaders: { authorization: TOKEN } })
      .post(OFF, '')
      .reply(200);
    await client().disable('async-upload');
    expect(request.isDone()).toBe(true);
  });

  it('escapes names in paths', async () => {
    const request = nock(ORIGIN)
      .post('/api/admin/projects/my%20project/features/a%2Fb/environments/pre%20prod/off')
      .reply(200);
    await client({ project: 'my project', environment: 'pre prod' }).disable('a/b');
    expect(request.isDone()).toBe(true);
  });

  it('refuses a client token before any request, without repeating it', () => {
    const create = () => client({ token: 'default:production.s3cr3t' });
    expect(create).toThrow(expect.objectContaining({ name: 'AdminError', code: 'ADMIN_TOKEN' }));
    expect(create).toThrow(/client or frontend token/);
    expect(create).not.toThrow(/s3cr3t/);
  });

  it('reads the flag in its environment and ignores unknown fields', async () => {
    nock(ORIGIN).get(FEATURE).reply(200, flagBody);
    expect(await client().readFlag('async-upload')).toEqual({
      key: 'async-upload',
      project: 'default',
      type: 'release',
      enabled: true,
      strategies: [
        {
          id: 's1',
          name: 'flexibleRollout',
          title: undefined,
          disabled: false,
          parameters: { rollout: '10' },
        },
      ],
      links: [{ id: 'l1', url: 'https://reports.example.com/1', title: undefined }],
    });
  });

  it('names the environments that the flag has when it lacks the requested one', async () => {
    nock(ORIGIN).get(FEATURE).reply(200, flagBody);
    const error = await failureOf(client({ environment: 'staging' }).readFlag('async-upload'));
    expect(error).toMatchObject({ name: 'AdminError', code: 'ADMIN_NOT_FOUND' });
    expect(error).toMatchObject({ missing: 'environment' });
    expect(String(error)).toMatch(/"staging".*development, production/);
  });

  it.each([
    ['a page of HTML', '<!doctype html><title>Log in</title>', /not a JSON object/],
    [
      'an answer without environments',
      { name: 'async-upload', project: 'default', type: 'release' },
      /environments/,
    ],
    [
      'an enabled that is no boolean',
      { ...flagBody, environments: [{ name: 'production', enabled: 'yes' }] },
      /enabled/,
    ],
  ])('rejects %s as a reply about a flag', async (_, body, message) => {
    nock(ORIGIN).get(FEATURE).reply(200, body);
    const error = await failureOf(client().readFlag('async-upload'));
    expect(error).toMatchObject({ name: 'AdminError', code: 'ADMIN_RESPONSE' });
    expect(String(error)).toMatch(message);
  });

  it('sorts the history, newest first', async () => {
    const event = (id: number, type: string) => ({
      id,
      type,
      createdBy: 'ada',
      createdAt: '2026-03-01T10:00:00.000Z',
      environment: id === 1 ? null : 'production',
    });
    nock(ORIGIN)
      .get('/api/admin/events/async-upload')
      .reply(200, { events: [event(1, 'feature-created'), event(2, 'feature-environment-enabled')] });
    expect(await client().history('async-upload')).toEqual([
      {
        id: 2,
        type: 'feature-environment-enabled',
        createdBy: 'ada',
        createdAt: Date.UTC(2026, 2, 1, 10),
        environment: 'production',
      },
      {
        id: 1,
        type: 'feature-created',
        createdBy: 'ada',
        createdAt: Date.UTC(2026, 2, 1, 10),
        environment: undefined,
      },
    ]);
  });

  const TYPE = { name: 'rollout-guard', description: 'Where it stands', icon: 'g' };
  const TAGS = '/api/admin/features/async-upload/tags';
  const other = { type: 'simple', value: 'stopped' };

  it('replaces the tags of one type at once, and leaves those of others', async () => {
    const tags = [other, { type: 'rollout-guard', value: 'stage:10' }];
    nock(ORIGIN).get(TAGS).reply(200, { tags });
    nock(ORIGIN).post('/api/admin/tag-types', TYPE).reply(409, { name: 'NameExistsError' });
    const changed = nock(ORIGIN)
      .put(TAGS, {
        addedTags: [{ type: 'rollout-guard', value: 'stopped' }],
        removedTags: [{ type: 'rollout-guard', value: 'stage:10' }],
      })
      .reply(200);
    expect(await client().setTags('async-upload', TYPE, ['stopped'])).toBe(true);
    expect(changed.isDone()).toBe(true);
  });

  it('changes no tags that are there, and makes no type for a removal', async () => {
    const tags = [other, { type: 'rollout-guard', value: 'stopped' }];
    nock(ORIGIN).get(TAGS).times(2).reply(200, { tags });
    expect(await client().setTags('async-upload', TYPE, ['stopped'])).toBe(false);
    const removed = nock(ORIGIN)
      .put(TAGS, { addedTags: [], removedTags: [{ type: 'rollout-guard', value: 'stopped' }] })
      .reply(200);
    expect(await client().setTags('async-upload', TYPE, [])).toBe(true);
    expect(removed.isDone()).toBe(true);
  });

  const isOurs = ({ title = '' }) => title.startsWith('rollout-guard: ');

  it('adds a link', async () => {
    nock(ORIGIN).get(FEATURE).reply(200, flagBody);
    const link = { url: 'https://reports.example.com/2', title: 'rollout-guard: slow' };
    const request = nock(ORIGIN).post(`${FEATURE}/link`, link).reply(204);
    await client().setLink('async-upload', link, isOurs);
    expect(request.isDone()).toBe(true);
  });

  it('replaces its own link, and none of others', async () => {
    const links = [
      { id: 'a', url: 'https://wiki.example.com', title: 'Runbook' },
      { id: 'b', url: 'https://reports.example.com/1', title: 'rollout-guard: slow' },
    ];
    nock(ORIGIN)
      .get(FEATURE)
      .reply(200, { ...flagBody, links });
    const link = { url: 'https://reports.example.com/2', title: 'rollout-guard: fails' };
    const request = nock(ORIGIN).put(`${FEATURE}/link/b`, link).reply(204);
    await client().setLink('async-upload', link, isOurs);
    expect(request.isDone()).toBe(true);
  });

  it('changes no link that is there already', async () => {
    const links = [{ id: 'a', url: 'https://reports.example.com/1', title: 'rollout-guard: slow' }];
    nock(ORIGIN)
      .get(FEATURE)
      .reply(200, { ...flagBody, links });
    const link = { url: 'https://www.reports.example.com/1/', title: 'rollout-guard: slow' };
    await client().setLink('async-upload', link, isOurs);
    expect(nock.pendingMocks()).toEqual([]);
  });

  it.each([
    [true, 'complete', { status: 'kept' }],
    [false, 'uncomplete', {}],
  ])('sets the lifecycle: complete %s', async (isComplete, path, body) => {
    const request = nock(ORIGIN).post(`${FEATURE}/lifecycle/${path}`, body).reply(200);
    await client().setComplete('async-upload', isComplete);
    expect(request.isDone()).toBe(true);
  });

  const says = (name: string, message: string) => ({ id: '1', name, message, details: [{ message }] });
  const elsewhere = `There's no feature named "async-upload" in project "default", but there's a feature with that name in project "web"`;
  it.each([
    [
      'an unknown token',
      401,
      says('UnauthorizedError', 'You must log in to use Unleash.'),
      'ADMIN_TOKEN',
      /expired/,
    ],
    [
      'a missing permission',
      403,
      says('PermissionError', 'You need UPDATE_FEATURE_ENVIRONMENT'),
      'ADMIN_PERMISSION',
      /UPDATE_FEATURE_ENVIRONMENT.*permissions for project "default" and environment "production"/,
    ],
    [
      "a client token's",
      403,
      { message: 'invalid token: expected a different token type for this endpoint' },
      'ADMIN_PERMISSION',
      /client or frontend token/,
    ],
    [
      'a change request',
      403,
      says('PermissionError', 'You need the "SKIP_CHANGE_REQUEST" permission'),
      'ADMIN_CHANGE_REQUEST',
      /"production" need a change request/,
    ],
    [
      'a rule of Unleash',
      403,
      says('OperationDeniedError', 'Too many links (10) exist for this feature'),
      'ADMIN_RESPONSE',
      /Too many links/,
    ],
    [
      'an unknown flag',
      404,
      says('NotFoundError', `There's no feature named "async-upload" in project "default".`),
      'ADMIN_NOT_FOUND',
      /no flag "async-upload" in project "default"/,
    ],
    ['another project', 404, says('NotFoundError', elsewhere), 'ADMIN_NOT_FOUND', /Correct the project/],
    [
      'an unknown environment',
      404,
      says('NotFoundError', 'Could not find environment production for feature: async-upload'),
      'ADMIN_NOT_FOUND',
      /no environment "production"/,
    ],
    ['a wrong address', 404, '<html>nginx</html>', 'ADMIN_NOT_FOUND', /URL of the API/],
    ['a conflict', 409, says('NameExistsError', 'It exists'), 'ADMIN_RESPONSE', /It exists/],
    [
      'bad data',
      400,
      { name: 'BadDataError', message: 'See details.', details: [{ message: '/body/value is too short' }] },
      'ADMIN_RESPONSE',
      /too short/,
    ],
    ['too many requests', 429, '', 'ADMIN_RATE_LIMIT', /rate/],
    ['a slow request', 408, '', 'ADMIN_UNAVAILABLE', /cannot process the request/],
    ['a fault', 500, says('InternalError', 'Oh no'), 'ADMIN_UNAVAILABLE', /Oh no/],
    ['a proxy without server', 502, '<html>Bad Gateway</html>', 'ADMIN_UNAVAILABLE', /502/],
    [
      'maintenance',
      503,
      says('Error', 'Unleash is currently in maintenance mode.'),
      'ADMIN_UNAVAILABLE',
      /maintenance/,
    ],
  ] as const)('explains the answer to %s (%i)', async (_, status, body, code, message) => {
    nock(ORIGIN).post(OFF).reply(status, body);
    const error = await failureOf(client().disable('async-upload'));
    expect(error).toBeInstanceOf(AdminError);
    expect(isAdminError(error)).toBe(true);
    expect(error).toMatchObject({ code, status, request: `POST ${OFF}`, name: 'AdminError' });
    expect(String(error)).toMatch(message);
    expect(String(error)).toContain(`POST ${OFF}`);
    // Where the flag is now.
    const project = message.source === 'Correct the project' ? 'web' : 'default';
    // What a retry may repair needs an operator only if it lasts.
    const when = (error as AdminError).retryable ? ' if it lasts for five minutes' : '';
    expect(String(error)).toContain(
      `Turn the flag off by hand in the Unleash UI (https://unleash.example.com/projects/${project}/features/async-upload)${when}.`,
    );
  });

  it('asks for nothing by hand when the flag is archived', async () => {
    const message = 'Cannot perform this operation on archived features';
    nock(ORIGIN).post(OFF).reply(400, says('ArchivedFeatureError', message));
    const error = await failureOf(client().disable('async-upload'));
    expect(error).toMatchObject({ code: 'ADMIN_NOT_FOUND', missing: 'flag' });
    expect(String(error)).toMatch(/is archived/);
    expect(String(error)).not.toMatch(/by hand/);
  });

  it('does not take an address that this Unleash does not have for a missing flag', async () => {
    nock(ORIGIN).get('/api/admin/user').reply(404, says('NotFoundError', 'Not found'));
    await expect(client().readAccess(0)).rejects.toMatchObject({
      code: 'ADMIN_NOT_FOUND',
      missing: 'address',
      message: expect.stringContaining('404 to GET /api/admin/user'),
    });
  });

  it('reports which of flag, project, environment and address is missing', async () => {
    const missing = [];
    for (const message of [
      `There's no feature named "async-upload" in project "default".`,
      elsewhere,
      'Could not find project with id default',
      'Could not find async-upload in production',
      'The path you were looking for (/api/admin/x) is not available.',
    ]) {
      nock(ORIGIN).post(OFF).reply(404, says('NotFoundError', message));
      missing.push(((await failureOf(client().disable('async-upload'))) as AdminError).missing);
    }
    expect(missing).toEqual(['flag', 'project', 'project', 'environment', 'address']);
  });

  it('does not follow a redirect, where a POST would become a GET', async () => {
    nock(ORIGIN)
      .post(OFF)
      .reply(302, '', { location: `https://login.example.com${OFF}?state=abc` });
    const error = await failureOf(client().disable('async-upload'));
    expect(error).toMatchObject({ name: 'AdminError', code: 'ADMIN_RESPONSE' });
    expect(String(error)).toContain(`redirects to https://login.example.com${OFF} (302`);
  });

  it('reports a missing reply', async () => {
    nock(ORIGIN)
      .post(OFF)
      .replyWithError(Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }));
    const error = await failureOf(client().disable('async-upload'));
    expect(error).toMatchObject({ name: 'AdminError', code: 'ADMIN_UNAVAILABLE' });
    expect(String(error)).toContain('ECONNREFUSED');
    expect(String(error)).toMatch(/Turn the flag off by hand .+ if it lasts for five minutes\.$/);
  });

  it('waits no longer than the time-out, for the answer or for its body', async () => {
    vi.useFakeTimers();
    const never = (signal: AbortSignal) =>
      new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const stuck: (typeof fetch)[] = [
      (_, init) => never(init!.signal!),
      async (_, init) =>
        ({ ok: true, status: 200, headers: new Headers(), text: () => never(init!.signal!) }) as never,
    ];
    for (const fetch of stuck) {
      const result = failureOf(client({ fetch, timeoutMs: 5_000 }).disable('async-upload'));
      await vi.advanceTimersByTimeAsync(5_000);
      const error = await result;
      expect(error).toMatchObject({ name: 'AdminError', code: 'ADMIN_UNAVAILABLE' });
      expect(String(error)).toContain('timed out after 5000 ms');
    }
    expect(vi.getTimerCount()).toBe(0);
  });

  it('refuses a reply that is too large, and names its size and the limit', async () => {
    nock(ORIGIN)
      .get(FEATURE)
      .reply(200, `{"name":"${'x'.repeat(9_000_000)}"}`);
    const error = await failureOf(client().readFlag('async-upload'));
    expect(error).toMatchObject({ name: 'AdminError', code: 'ADMIN_RESPONSE' });
    expect(String(error)).toMatch(
      /the answer has 9,\d+,\d+ bytes( or more)?, above the limit of 8,388,608 bytes/,
    );
  });

  it('takes the status of a change, however long its reply is', async () => {
    nock(ORIGIN).post(OFF).reply(200, 'x'.repeat(9_000_000));
    await client().disable('async-upload');
    nock(ORIGIN).post(OFF).reply(503, 'x'.repeat(9_000_000));
    expect(await failureOf(client().disable('async-upload'))).toMatchObject({ code: 'ADMIN_UNAVAILABLE' });
  });

  it("rejects with the caller's reason when aborted during a request", async () => {
    const controller = new AbortController();
    const reason = new Error('the guard stops');
    const fetch: typeof globalThis.fetch = (_, init) =>
      new Promise((_, reject) => init!.signal!.addEventListener('abort', () => reject(init!.signal!.reason)));
    const result = client({ fetch }).disable('async-upload', { signal: controller.signal });
    controller.abort(reason);
    await expect(result).rejects.toBe(reason);
  });

  it.each([
    ['7', 7_000],
    ['Sun, 01 Mar 2026 00:01:00 GMT', 60_000],
    ['soon', undefined],
  ])('reads how long Unleash requests to wait: "%s"', async (retryAfter, retryAfterMs) => {
    const clock = { now: () => Date.UTC(2026, 2, 1), monotonic: () => 0 };
    const fetch = async () => new Response('', { status: 429, headers: { 'retry-after': retryAfter } });
    const error = await failureOf(client({ fetch, clock }).disable('async-upload'));
    expect(error).toMatchObject({ retryable: true, retryAfterMs });
  });

  it.each([400, 401, 403, 404, 408, 409, 429, 500, 503])(
    'sends one request, also when Unleash replies %i',
    async (status) => {
      let requests = 0;
      const fetch = async () => {
        requests++;
        return new Response('', { status });
      };
      await failureOf(client({ fetch }).disable('async-upload'));
      expect(requests).toBe(1);
    },
  );

  it('keeps the token out of every error, even when the server repeats it', async () => {
    const failures = [
      new Response(JSON.stringify({ name: 'UnauthorizedError', message: `Bad token ${TOKEN}` }), {
        status: 401,
      }),
      new Response(JSON.stringify({ name: 'BadDataError', message: 'x', details: [{ message: TOKEN }] }), {
        status: 400,
      }),
      new TypeError(`Headers.append: "${TOKEN}" is an invalid header value.`),
    ];
    for (const failure of failures) {
      const fetch = async () => {
        if (failure instanceof Error) throw failure;
        return failure;
      };
      const error = await failureOf(client({ fetch }).disable('async-upload'));
      expect(isAdminError(error)).toBe(true);
      expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('s3cr3t');
    }
    expect(inspect(client(), { depth: 10, showHidden: true })).not.toContain('s3cr3t');
    expect(JSON.stringify(client())).not.toContain('s3cr3t');
  });
});
