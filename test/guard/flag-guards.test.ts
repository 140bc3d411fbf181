import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type GuardedFlags, guardFlags } from '../../hooks/guard-flags.js';
import { dashboard } from '../../src/dashboard/index.js';
import type { SharedStore } from '../../src/fleet/fleet-options.js';
import type { FlagGuardsOptions } from '../../src/guard/several/flag-options.js';
import type { GuardEvent } from '../../src/model/event.js';
import type { GuardNotification } from '../../src/notify/notifier.js';
import { errorRateAbove } from '../../src/triggers/error-rate-above.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { eventually } from '../helpers/eventually.js';
import { FakeAdminApi } from '../helpers/fake-admin-api.js';
import { SeveralFakeFlags } from '../helpers/several-fake-flags.js';

const KEYS = ['async-upload', 'new-search', 'checkout'] as const;
const rules = { rollback: [successRateBelow(0.95, { minOutcomes: 20 })] };

let root: string;
let unleash: FakeAdminApi;
let flags: SeveralFakeFlags;
let events: (readonly [flagKey: string, event: GuardEvent])[];
let sent: GuardNotification[];
const all: GuardedFlags[] = [];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'several-flags-'));
  unleash = new FakeAdminApi();
  flags = new SeveralFakeFlags(KEYS);
  events = [];
  sent = [];
});

afterEach(async () => {
  await Promise.all(all.splice(0).map((guarded) => guarded.close()));
  await rm(root, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
});

function guarded<FlagKey extends string = (typeof KEYS)[number]>(
  options: Partial<FlagGuardsOptions<FlagKey>> = {},
): GuardedFlags<FlagKey> {
  const made = guardFlags<FlagKey>({
    provider: flags,
    unleash: { url: 'http://unleash.test/api', token: '*:*.made-up', environment: 'production' },
    flags: Object.fromEntries(
      KEYS.map((key) => [key, rules]),
    ) as unknown as FlagGuardsOptions<FlagKey>['flags'],
    folder: root,
    logger: false,
    tickMs: 20,
    fetch: unleash.fetch,
    notify: [(notification) => void sent.push(notification)],
    onEvent: (event, flagKey) => events.push([flagKey, event]),
    ...options,
  });
  all.push(made as unknown as GuardedFlags);
  return made;
}

/** Guards of `flag-0` and so on. */
function many(count: number, options: Partial<FlagGuardsOptions> = {}): GuardedFlags {
  const keys = Array.from({ length: count }, (_, index) => `flag-${index}`);
  flags = new SeveralFakeFlags(keys);
  return guarded<string>({
    provider: flags,
    flags: Object.fromEntries(keys.map((key) => [key, rules])),
    folder: false,
    ...options,
  });
}

async function startedMany(count: number): Promise<GuardedFlags> {
  const made = many(count);
  await made.start();
  return made;
}

async function fail(guard: ReturnType<GuardedFlags['get']>): Promise<void> {
  const run = guard.operation({
    treatment: () => Promise.reject(new Error('down')),
    control: () => 'old',
    retries: 0,
  });
  for (let user = 0; user < 20; user++) await run({ targetingKey: `user-${user}` }, undefined);
}

const until = (what: string, condition: () => boolean) =>
  eventually(() => expect(condition(), what).toBe(true));
const namesOf = (type: GuardEvent['type']) =>
  events.filter(([, event]) => event.type === type).map(([flagKey]) => flagKey);
const requests = (part: string) => unleash.requests.filter((request) => request.includes(part));

describe('guardFlags', () => {
  it('stops the flag that fails and no other, each with its own folder below one root', async () => {
    const made = guarded();
    await made.start();
    // Without the provider's hook, a fake evaluation makes no exposure: the hook is called as OpenFeature does.
    await fail(made.get('new-search'));
    for (let user = 0; user < 20; user++) {
      made.get('new-search').exposed({ value: true, reason: 'SPLIT' }, `user-${user}`);
      flags.track({ name: 'new-search', targetingKey: `user-${user}`, details: { success: false } });
    }
    await until('stopped', () => made.guards['new-search'].state.status === 'stopped');
    expect(made.status()['async-upload'].state.status).toBe('armed');
    expect(made.get('checkout').state.status).toBe('armed');
    expect([...flags.overrides.keys()]).toEqual(['new-search']);
    expect(unleash.changes.filter((request) => request.endsWith('/off'))).toEqual([
      'POST /api/admin/projects/default/features/new-search/environments/production/off',
    ]);
    expect(namesOf('decided')).toEqual(['new-search']);
    await made.close();
    expect((await readdir(root)).sort()).toEqual([
      'async_upload_rollout',
      'checkout_rollout',
      'new_search_rollout',
    ]);
    const audit = async (folder: string) => readFile(join(root, folder, 'audit.jsonl'), 'utf8');
    expect(await audit('new_search_rollout')).toContain('"type":"decided"');
    expect(await audit('checkout_rollout')).not.toContain('"type":"decided"');
  });

  it('checks the token once for all, and listens to the provider once', async () => {
    const made = guarded();
    await made.start();
    expect(flags.listeners).toEqual([1, 1]);
    const checks = () => requests('/features/').filter((request) => !/\/(tags|links)\b/.test(request));
    await until('checked', () => checks().length === KEYS.length);
    expect(requests('/api/admin/user')).toHaveLength(1);
    await made.close();
    expect(flags.listeners).toEqual([0, 0]);
  });

  it('notifies of one refused token once, and names the flags', async () => {
    unleash.failure = (request) =>
      request.includes('/api/admin/user') ? new Response('{}', { status: 401 }) : undefined;
    const made = guarded();
    await made.start();
    await until('reported by all', () => namesOf('admin-unavailable').length === KEYS.length);
    await until('sent', () => sent.length > 0);
    await made.close();
    const about = sent.filter(({ type }) => type === 'admin-unavailable');
    expect(about).toHaveLength(1);
    expect(about[0]!.title).toMatch(/ and 2 other flags: the guard cannot turn it off in Unleash$/);
    for (const key of KEYS) expect(about[0]!.facts[0]!.value).toContain(key);
  });

  it('passes complaints and outcomes of track() to the guard of their flag only', async () => {
    const made = guarded();
    await made.start();
    for (const key of KEYS) made.get(key).exposed({ value: true, reason: 'SPLIT' }, 'user-1');
    flags.track({ name: 'checkout.complaint', targetingKey: 'user-1', details: {} });
    flags.track({ name: 'checkout', targetingKey: 'user-1', details: { success: true } });
    flags.track({ name: 'other', targetingKey: 'user-1', details: {} });
    expect(namesOf('complaint')).toEqual(['checkout']);
    const { 'async-upload': upload, checkout } = made.status();
    expect(checkout.snapshot.total.treatment).toMatchObject({ complaints: 1, successes: 1 });
    expect(upload.snapshot.total.treatment).toMatchObject({ complaints: 0, successes: 0 });
  });

  it('cannot be started again after it was closed', async () => {
    const made = guarded({ flags: { 'new-search': rules } });
    await made.start();
    await made.close();
    await expect(made.start()).rejects.toThrow('new-search was closed');
  });

  it('keeps the others running when one is broken, cannot start or is closed', async () => {
    const made = guarded({
      flags: {
        'async-upload': {
          rollback: [
            {
              name: 'broken',
              windowMs: 60_000,
              evaluate: () => {
                throw new Error('broken');
              },
            } as never,
          ],
        },
        'new-search': rules,
        checkout: rules,
      },
    });
    await made.guards.checkout.close();
    await expect(made.start()).rejects.toThrow(/guards of 1 of 3 flags cannot start: checkout/);
    for (let user = 0; user < 20; user++) {
      for (const key of ['async-upload', 'new-search'] as const)
        made.get(key).exposed({ value: true, reason: 'SPLIT' }, `user-${user}`);
      flags.track({ name: 'new-search', targetingKey: `user-${user}`, details: { success: false } });
      flags.track({ name: 'async-upload', targetingKey: `user-${user}`, details: { success: false } });
    }
    await until('stopped', () => made.get('new-search').state.status === 'stopped');
    expect(namesOf('fault')).toContain('async-upload');
    expect(made.health.status).toBe('blind');
    expect(made.health.flags['new-search'].status).toBe('ok');
    expect(made.health.flags.checkout.reasons[0]?.code).toBe('closed');
  });

  it('has one hook that finds the guard by the key', async () => {
    const made = guarded();
    await made.start();
    const context = (flagKey: string) =>
      ({ flagKey, context: { targetingKey: 'user-1' }, defaultValue: false }) as never;
    const details = { value: true, reason: 'SPLIT', flagMetadata: {} } as never;
    made.hook.after(context('checkout'), details);
    made.hook.after(context('foreign'), details);
    const exposed = made.status();
    expect(exposed.checkout.snapshot.total.treatment).toBeDefined();
    flags.track({ name: 'checkout', targetingKey: 'user-1', details: { success: true } });
    expect(made.status().checkout.snapshot.total.treatment.successes).toBe(1);
    expect(() => made.get('foreign' as never)).toThrow(
      'foreign is not one of the flags that are guarded here (3)',
    );
  });

  it('shows all flags on one dashboard, also on one of guards from elsewhere', async () => {
    const made = guarded();
    await made.start();
    for (const handler of [made.dashboard(), dashboard(made), dashboard(Object.values(made.guards))]) {
      const server = createServer(handler);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      const reply = await fetch(`http://127.0.0.1:${port}/api/flags`);
      const shown = await reply.text();
      handler.close();
      server.closeAllConnections();
      server.close();
      expect(reply.status).toBe(200);
      for (const key of KEYS) expect(shown).toContain(`"flagKey":"${key}"`);
    }
  });

  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'shown: expected guards, for example [guardA, guardB]'],
    ['no guard', [{}], 'shown[0]: expected a guard'],
    ['options alone', { baseUrl: '/rollouts' }, 'shown: expected guards'],
  ])('refuses a dashboard of %s', (_, shown, problem) => {
    expect(() => dashboard(shown as never)).toThrow(problem);
  });

  it('refuses a dashboard with a flag twice', () => {
    const { guards } = guarded();
    expect(() => dashboard([guards.checkout, guards.checkout])).toThrow('shown[1]: expected each flag once');
  });

  it('starts, flushes and closes the others when one cannot be assembled, and says which', async () => {
    const made = many(100);
    const others = Object.values(made.guards).filter(({ flagKey }) => flagKey !== 'flag-99');
    vi.spyOn(made.guards['flag-99']!, 'assemble').mockImplementation(() => {
      throw new Error('broken');
    });
    await expect(made.start()).rejects.toThrow('1 of 100 flags cannot start: flag-99 (broken)');
    expect(others.filter(({ health }) => health.status === 'blind')).toEqual([]);
    await made.flush();
    await made.close();
    expect(others.filter(({ health }) => health.status !== 'blind')).toEqual([]);
  });

  it('writes and sends what all guards have recorded, and may be closed twice', async () => {
    const made = guarded();
    await made.flush();
    await made.start();
    await fail(made.get('checkout'));

    await made.flush();

    const log = await readFile(join(root, 'checkout_rollout', 'metrics.jsonl'), 'utf8');
    expect(log.trim().split('\n')).toHaveLength(20);
    await made.close();
    await made.close();
    await made.flush();
  });

  it('serves requests while many guards begin to close', async () => {
    const made = await startedMany(100);
    const turns = new Set<number>();
    for (const guard of Object.values(made.guards)) {
      const run = guard.assemble();
      const close = run.close.bind(run);
      vi.spyOn(run, 'close').mockImplementation((withinMs) => {
        for (const until = performance.now() + 1; performance.now() < until; ) turns.add(turn);
        return close(withinMs);
      });
    }
    let turn = 0;
    const turning = setInterval(() => turn++, 1);
    await made.close();
    clearInterval(turning);
    expect(turns.size).toBeGreaterThan(5);
  });

  it('closes all within 5 seconds though each hangs', async () => {
    const made = await startedMany(100);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    try {
      const begin = performance.now();
      const ends: number[] = [];
      let open = 100;
      for (const guard of Object.values(made.guards)) {
        const run = guard.assemble();
        const close = run.close.bind(run);
        vi.spyOn(run, 'close').mockImplementation(async (withinMs = 0) => {
          ends.push(performance.now() - begin + withinMs);
          // The first ones are slow, and what hangs begins late.
          await new Promise((resolve) => setTimeout(resolve, ends.length <= 8 ? 1_900 : withinMs));
          await close(withinMs);
          open--;
        });
      }
      const closing = made.close();
      await vi.advanceTimersByTimeAsync(1_999);
      expect(ends.length).toBeLessThan(20);
      await vi.advanceTimersByTimeAsync(1);
      while (ends.length < 100) await setImmediate();
      expect(Math.max(...ends)).toBeLessThan(5_000);
      await vi.advanceTimersByTimeAsync(3_000);
      vi.useRealTimers();
      await closing;
      expect(open).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it('closes all though some hang while they start, and none starts afterwards', async () => {
    const never = () => new Promise<never>(() => {});
    const link = new Proxy({}, { get: (_, name) => (name === 'instance' ? 'one' : never) });
    const timing = { flushMs: 100, evaluateMs: 100, leaseMs: 1_000 };
    const made = many(20, { store: { timing, link: () => link } as unknown as SharedStore });
    const begun = () => events.filter(([, { type }]) => type === 'started').length;
    void made.start();
    await until('starting', () => begun() > 0);
    const before = begun();
    await made.close();
    expect(begun()).toBe(before);
    await expect(made.start()).rejects.toThrow('was closed');
  });

  it('has no tick while guards wait for their turn to close', async () => {
    const made = await startedMany(20);
    const polls: boolean[] = [];
    const flag = flags.flag.bind(flags);
    let isClosing = false;
    vi.spyOn(flags, 'flag').mockImplementation((key) => {
      if (isClosing && key === 'flag-19') polls.push(true);
      return flag(key);
    });
    for (const guard of Object.values(made.guards)) {
      const run = guard.assemble();
      const close = run.close.bind(run);
      vi.spyOn(run, 'close').mockImplementation(async (withinMs) => {
        isClosing = guard.flagKey !== 'flag-19';
        await new Promise((resolve) => setTimeout(resolve, 25));
        if (guard.flagKey !== 'flag-19') await close(withinMs);
      });
    }
    await made.close();
    expect(polls).toEqual([]);
    await Promise.all(Object.values(made.guards).map((guard) => guard.close()));
  });

  it('says once what fails of all flags for one reason, and how many there are', async () => {
    const keys = Array.from({ length: 40 }, (_, index) => `flag-${index}`);
    flags = new SeveralFakeFlags(keys);
    const file = join(root, 'file');
    await writeFile(file, '');
    const lines: (readonly [fields: object, message: string])[] = [];
    // A busy machine makes guards blind for a moment, which is another line.
    const line = (fields: { readonly type?: string }, message: string) => {
      if (fields.type === 'fault') lines.push([fields, message]);
    };
    const made = guarded<string>({
      provider: flags,
      flags: Object.fromEntries(keys.map((key) => [key, rules])),
      folder: join(file, 'logs'),
      logger: { debug() {}, info() {}, warn: line, error: line },
    });
    await made.start();
    await made.close();
    const [first] = lines;
    expect(first?.[1]).toContain(`${join(file, 'logs', 'flag_')}`);
    const cause = `${join(file, 'logs')}/* cannot be made: something above it is a file, not a folder (ENOTDIR).`;
    expect(lines.slice(1).map(([, message]) => message.replace(/^.*\): /, ''))).toEqual(
      lines.slice(1).map(() => cause),
    );
    expect(lines.at(-1)?.[1]).toMatch(/^flag-\d+ and \d+ other flags: Fault \([^)]+, [^)]+\): /);
    expect(lines.length).toBeLessThan(8);
  });

  it('asks Unleash at the start for four flags at once, for the token once, and makes the type of its tags once', async () => {
    let [running, most] = [0, 0];
    const made = many(60, {
      flags: Object.fromEntries(
        Array.from({ length: 60 }, (_, index) => [
          `flag-${index}`,
          { ...rules, stages: [{ percentage: 10, minOutcomes: 100, minSuccessRate: 0.99 }] },
        ]),
      ),
      fetch: async (input, init) => {
        most = Math.max(most, ++running);
        // Each answer needs a turn of the event loop.
        await setImmediate();
        running--;
        // Each flag has tags of its own.
        if (init?.method === 'GET' && String(input).endsWith('/tags')) return Response.json({ tags: [] });
        return unleash.fetch(input, init);
      },
    });
    await made.start();
    const tagged = () => requests('PUT /api/admin/features/').length;
    await until('all are shown in Unleash', () => tagged() === 60);
    expect(requests('GET /api/admin/user')).toHaveLength(1);
    expect(requests('/tag-types').length).toBeLessThanOrEqual(4);
    // Four checks, each of one request after another, and the token.
    expect(most).toBeLessThanOrEqual(5);
  });

  it('notifies of each of many stops though the notifier is slow', async () => {
    let deliver = () => {};
    const slow = new Promise<void>((resolve) => {
      deliver = resolve;
    });
    const made = many(120, {
      notify: [(notification) => slow.then(() => void sent.push(notification))],
    });
    await made.start();
    const reason = 'the shop is down';
    await Promise.all(Object.values(made.guards).map((guard) => guard.stop({ by: 'ann', reason })));
    deliver();
    await until('all have arrived', () => sent.filter(({ type }) => type === 'decided').length === 120);
    expect(namesOf('fault')).toEqual([]);
  });

  it('guards 1,000 flags', async () => {
    const made = await startedMany(1_000);
    made.get('flag-999').exposed({ value: true, reason: 'SPLIT' }, 'user-1');
    for (let user = 0; user < 20; user++) {
      made.get('flag-999').exposed({ value: true, reason: 'SPLIT' }, `user-${user}`);
      flags.track({ name: 'flag-999', targetingKey: `user-${user}`, details: { success: false } });
    }
    await until('stopped', () => made.get('flag-999').state.status === 'stopped');
    expect([...flags.overrides.keys()]).toEqual(['flag-999']);
  });
});

describe('the options of guardFlags', () => {
  const messageOf = (options: object): string => {
    try {
      guarded(options as Partial<FlagGuardsOptions<(typeof KEYS)[number]>>);
    } catch (error) {
      return (error as Error).message;
    }
    return 'accepted';
  };

  it.each([
    ['no flags', { flags: {} }, 'flags: expected at least one flag, got'],
    ['a list', { flags: [rules] }, 'flags: expected the flags to guard'],
    ['a flag without options', { flags: { a: undefined } }, 'flags.a: expected the options of a flag'],
    ['a flag without rules', { flags: { a: {} } }, 'flags.a.rollback: expected'],
    [
      'a wrong field',
      { flags: { a: { ...rules, stages: [{ percentage: 0 }] } } },
      'flags.a.stages[0].percentage',
    ],
    ['a misspelled field', { flags: { a: { ...rules, stage: [] } } }, 'flags.a.stage: expected one of'],
    [
      'a shared field in a flag',
      { flags: { a: { ...rules, store: {} } } },
      'flags.a.store: expected nothing: all',
    ],
    [
      'a key in a flag',
      { flags: { a: { ...rules, flagKey: 'a' } } },
      'flags.a.flagKey: expected nothing: the key',
    ],
    [
      'a provider in a flag',
      { flags: { a: { ...rules, flags: {} } } },
      'flags.a.flags: expected nothing: all',
    ],
    ['a key beside the flags', { flagKey: 'a' }, 'flagKey: expected nothing: the keys of "flags"'],
    [
      'rules beside the flags',
      rules,
      'rollback: expected nothing: it is of one flag, so it stands in each of',
    ],
    [
      'two flags of one folder',
      { flags: { 'a-b': rules, a_b: rules } },
      'flags.a_b: expected a flag whose folder',
    ],
    ['one flag twice by case', { flags: { Ab: rules, aB: rules } }, 'flags.aB: expected a flag whose folder'],
    ['a key with a space', { flags: { 'a b': rules } }, 'flags["a b"]: expected a flag\'s key'],
    ['a misspelled shared field', { foldr: 'x' }, 'foldr: expected one of'],
    ['a wrong shared field', { unleash: { url: 'nowhere' } }, 'unleash.url: expected a URL'],
    ['a wrong address for all', { dashboardUrl: 'nowhere' }, 'dashboardUrl: expected'],
    ['a wrong default', { dryRun: 'no' }, 'dryRun: expected a boolean'],
    ['no provider', { provider: undefined }, 'provider: expected an UnleashProvider'],
    [
      'a provider in place of the flags',
      { provider: undefined, flags: new SeveralFakeFlags(['a']) },
      'got an object (SeveralFakeFlags); the provider is the option "provider"',
    ],
    ['a wrong logger', { logger: {} }, 'logger: expected a pino logger'],
    [
      '1,001 flags',
      { flags: Object.fromEntries(Array.from({ length: 1_001 }, (_, index) => [`f${index}`, rules])) },
      'flags: expected at most 1000 flags',
    ],
  ])('name what is wrong in %s', (_, options, expected) => {
    expect(messageOf(options)).toContain(expected);
  });

  it('list what a flag may have, and nothing that is refused there', () => {
    const message = messageOf({ flags: { a: { ...rules, stage: [] } } });
    const [, listed = ''] = /expected one of (.*), got/.exec(message) ?? [];
    const names = listed.split(', ');
    expect(names).toContain('stages');
    for (const shared of ['unleash', 'store', 'notify', 'flagKey', 'flags', 'folder', 'logger', 'onEvent'])
      expect(names).not.toContain(shared);
    expect(message.match(/flags\.a\.stage/g)).toHaveLength(1);
  });

  it('name everything of every flag, and what is wrong for all once', () => {
    const message = messageOf({
      unleash: { url: 'nowhere', environment: 'production', token: '*:*.made-up' },
      flags: { a: { rollback: [] }, b: { ...rules, dryRun: 1, log: 7 }, c: rules },
    });
    expect(message).toContain('4 problems');
    for (const path of ['flags.a.rollback', 'flags.b.dryRun', 'flags.b.log', 'unleash.url'])
      expect(message).toContain(`- ${path}: `);
  });

  it('give each flag what holds for all, unless it has its own', () => {
    const made = guarded({
      dryRun: true,
      flags: {
        'async-upload': { ...rules, dryRun: false },
        'new-search': { ...rules, dryRun: undefined },
        checkout: rules,
      },
    });
    const { 'async-upload': upload, 'new-search': search } = made.status();
    expect([upload.dryRun, search.dryRun]).toEqual([false, true]);
  });

  it('type the guards by their keys', () => {
    const made = guardFlags({
      provider: flags,
      unleash: { url: 'http://unleash.test/api', token: '*:*.made-up', environment: 'production' },
      flags: { one: { rollback: [errorRateAbove(0.05)] } },
      folder: false,
      logger: false,
    });
    all.push(made as unknown as GuardedFlags);
    expect(made.get('one')).toBe(made.guards.one);
    // @ts-expect-error -- not one of the keys
    expect(() => made.get('two')).toThrow('two is not one of the flags that are guarded here (1): one.');
  });
});
