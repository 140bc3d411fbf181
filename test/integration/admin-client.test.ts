import { beforeAll, describe, expect, it } from 'vitest';
import { retry } from '../../src/support/retry.js';
import { UnleashAdminClient, type UnleashAdminClientOptions } from '../../src/unleash/admin-client.js';
import { ADMIN_RETRY } from '../../src/unleash/admin-error.js';
import { openLink } from '../helpers/breakable-link.js';
import { type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';

let unleash: SharedUnleash;

beforeAll(async () => {
  unleash = await sharedUnleash();
  await unleash.createFlag('known-flag');
});

function client(options: Partial<UnleashAdminClientOptions> = {}): UnleashAdminClient {
  const { apiUrl, adminToken, environment } = unleash;
  // Much time for a request: many suites share the machine.
  const timeoutMs = 20_000;
  return new UnleashAdminClient({ url: apiUrl, token: adminToken, environment, timeoutMs, ...options });
}

const failureOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => expect.unreachable('the call succeeded'),
    (error: unknown) => error,
  );

describe('UnleashAdminClient with a real Unleash', () => {
  it('turns a flag off and reads it back', async () => {
    await unleash.createFlag('turned-off', { percentage: 10 });
    const before = await client().readFlag('turned-off');
    expect(before).toMatchObject({
      key: 'turned-off',
      project: 'default',
      type: 'release',
      enabled: true,
      strategies: [{ name: 'flexibleRollout', disabled: false, parameters: { rollout: '10' } }],
    });

    await client().disable('turned-off');
    const after = await client().readFlag('turned-off');
    expect(after).toEqual({ ...before, enabled: false });
    await client().disable('turned-off');
    expect((await unleash.flag('turned-off')).enabled).toBe(false);
  });

  it('moves the percentage of a gradual rollout, only from where it is expected to be, and nothing else of it', async () => {
    const constraint = {
      contextName: 'userId',
      operator: 'NOT_IN',
      values: ['banned'],
      inverted: false,
      caseInsensitive: false,
    };
    const parameters = { rollout: '10', stickiness: 'userId', groupId: 'moved' };
    await unleash.createFlag('moved', {
      strategies: [{ name: 'flexibleRollout', parameters, constraints: [constraint] }],
    });
    expect(await client().movePercentage('moved', { from: 1, to: 50 })).toBe('refused');
    expect(await client().movePercentage('moved', { from: 10, to: 50 })).toBe('moved');
    expect(await client().movePercentage('moved', { from: 10, to: 50 })).toBe('there');
    const { strategies } = await unleash.flag('moved');
    expect(strategies).toMatchObject([
      { parameters: { ...parameters, rollout: '50' }, constraints: [{ values: ['banned'] }] },
    ]);

    await unleash.addStrategy('moved', { name: 'default' });
    expect(await client().movePercentage('moved', { from: 50, to: 100 })).toBe('refused');
  });

  it('shows in the history who turned it off, and who on', async () => {
    await unleash.createFlag('with-history');
    const startedAt = Date.now();
    await client().disable('with-history');
    await unleash.enable('with-history');

    const [on, off, ...earlier] = await client().history('with-history');
    expect(on).toMatchObject({
      type: 'feature-environment-enabled',
      createdBy: unleash.user.username,
      environment: 'development',
    });
    expect(off).toMatchObject({ type: 'feature-environment-disabled', environment: 'development' });
    expect(off?.createdBy).not.toBe(unleash.user.username);
    expect(Math.abs(off!.createdAt - startedAt)).toBeLessThan(60_000);
    expect(earlier.at(-1)).toMatchObject({ type: 'feature-created', environment: undefined });
  });

  it('shows tags of a type of its own and one link, however often they change, and touches no others', async () => {
    await unleash.createFlag('decorated');
    const type = { name: 'rollout-guard-test', description: 'Where it stands', icon: '🛡' };
    const other = { type: 'simple', value: 'of-a-colleague' };
    const runbook = { url: 'https://wiki.example.com/runbook', title: 'Runbook' };
    await unleash.request('POST', '/api/admin/features/decorated/tags', other);
    await unleash.request('POST', '/api/admin/projects/default/features/decorated/link', runbook);
    const isOurs = ({ title = '' }) => title.startsWith('guard: ');
    for (const [number, value] of ['stage:0.5', 'review', 'review', 'stopped'].entries()) {
      await client().setTags('decorated', type, [value]);
      const link = { url: `https://www.reports.example.com/?id=${number}`, title: `guard: ${value} <b>` };
      await client().setLink('decorated', link, isOurs);
    }
    const flag = await unleash.flag('decorated');
    expect(flag.tags).toEqual([{ type: type.name, value: 'stopped' }, other]);
    expect(flag.links).toEqual([
      runbook,
      { url: 'https://reports.example.com/?id=3', title: 'guard: stopped <b>' },
    ]);

    await client().setTags('decorated', type, []);
    expect((await unleash.flag('decorated')).tags).toEqual([other]);
  });

  it('says in the lifecycle that a flag is complete, and that it is not', async () => {
    await unleash.createFlag('finished');
    const stages = async () => {
      const path = '/api/admin/projects/default/features/finished/lifecycle';
      const stages = (await unleash.request('GET', path)) as { stage: string }[];
      return stages.map(({ stage }) => stage);
    };
    for (let times = 0; times < 2; times++) await client().setComplete('finished', true);
    expect(await stages()).toContain('completed');
    for (let times = 0; times < 2; times++) await client().setComplete('finished', false);
    expect(await stages()).not.toContain('completed');
  });

  it('explains that Unleash rejects an unknown token', async () => {
    const error = await failureOf(client({ token: '*:*.made-up' }).disable('known-flag'));
    expect(error).toMatchObject({ name: 'AdminError', code: 'ADMIN_TOKEN' });
    expect(String(error)).not.toContain('made-up');
  });

  it('explains a client token, which its form would have shown before any request', async () => {
    expect(() => client({ token: unleash.clientToken })).toThrow(
      expect.objectContaining({ name: 'AdminError', code: 'ADMIN_TOKEN' }),
    );
    // Unleash decides about a token of an unknown form; here a header smuggles the real one in.
    const asClientToken: typeof fetch = (input, init) =>
      fetch(input, { ...init, headers: { ...init?.headers, authorization: unleash.clientToken } });
    const error = await failureOf(
      client({ token: 'unknown-form', fetch: asClientToken }).disable('known-flag'),
    );
    expect(error).toMatchObject({ name: 'AdminError', code: 'ADMIN_PERMISSION' });
    expect(String(error)).toMatch(/client or frontend token/);
  });

  it.each([
    ['flag', {}, 'no-such-flag'],
    ['project', { project: 'no-such-project' }, 'known-flag'],
    ['environment', { environment: 'no-such-environment' }, 'known-flag'],
  ])('says that the %s is unknown', async (missing, options, flagKey) => {
    const admin = client(options);
    for (const call of [() => admin.disable(flagKey), () => admin.readFlag(flagKey)]) {
      const error = await failureOf(call());
      expect(error).toMatchObject({ name: 'AdminError', code: 'ADMIN_NOT_FOUND' });
      expect(error).toMatchObject({ missing });
    }
  });

  it('reports a wrong address', async () => {
    const error = await failureOf(client({ url: `${unleash.url}/api/elsewhere` }).readFlag('known-flag'));
    expect(error).toMatchObject({ missing: 'address' });
  });

  it('is retried while Unleash is down, and succeeds when it is back', async () => {
    await unleash.createFlag('stopped-late');
    await using link = await openLink(unleash.url);
    const url = `${link.url}/api`;
    await link.pause();
    const down = await failureOf(client({ url }).readFlag('stopped-late'));
    expect(down).toMatchObject({ name: 'AdminError', code: 'ADMIN_UNAVAILABLE' });
    expect(String(down)).toMatch(/ECONNREFUSED|ECONNRESET|SOCKET/);

    let retries = 0;
    let resumed: Promise<void> | undefined;
    await retry(() => client({ url }).disable('stopped-late'), {
      ...ADMIN_RETRY,
      retries: Number.POSITIVE_INFINITY,
      initialDelayMs: 5,
      shouldRetry: (error) => {
        retries++;
        if (retries === 3) resumed = link.resume();
        return ADMIN_RETRY.shouldRetry(error);
      },
    });
    await resumed;
    expect(retries).toBeGreaterThanOrEqual(3);
    expect((await unleash.flag('stopped-late')).enabled).toBe(false);
  });
});
