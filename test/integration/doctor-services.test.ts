import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RedisServer } from '../../examples/fleet/redis-server.js';
import type { Finding } from '../../src/doctor/finding.js';
import { GuardHarness } from '../helpers/guard-harness.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { commandLine, type SharedUnleash } from '../helpers/test-run.js';

const FLAG = 'doctor-services';

let unleash: SharedUnleash;
let main: string;
let folder: string;

beforeAll(async () => {
  ({ unleash, main, folder } = await commandLine('doctor-'));
  await unleash.createFlag(FLAG, { percentage: 10, stickiness: 'userId' });
});

afterAll(() => rm(folder, { recursive: true, force: true }));

interface Diagnosed {
  readonly code: unknown;
  /** By check; several of one check have numbers. */
  readonly found: Readonly<Record<string, Finding>>;
}

async function doctor(args: readonly string[], flag = FLAG): Promise<Diagnosed> {
  const env = {
    PATH: process.env.PATH,
    UNLEASH_URL: unleash.apiUrl,
    UNLEASH_ENVIRONMENT: unleash.environment,
    UNLEASH_CLIENT_TOKEN: unleash.clientToken,
    UNLEASH_ADMIN_TOKEN: unleash.adminToken,
  };
  return await new Promise((resolve) => {
    // Much time for a request: many suites share the machine.
    const all = [main, 'doctor', '--timeout', '20000', '--flag', flag, ...args, '--json'];
    execFile(process.execPath, all, { env, cwd: folder }, (error, stdout) => {
      const { findings } = JSON.parse(stdout) as { findings: Finding[] };
      const found: Record<string, Finding> = {};
      for (const finding of findings) {
        const { check } = finding;
        const earlier = Object.keys(found).filter((name) => name.split('-#')[0] === check).length;
        found[earlier === 0 ? check : `${check}-#${earlier + 1}`] = finding;
      }
      resolve({ code: error?.code ?? 0, found });
    });
  });
}

const shows = (status: Finding['status'], message: RegExp) =>
  expect.objectContaining({ status, message: expect.stringMatching(message) });

describe('the doctor on the strategies of a real flag', () => {
  it('warns of several, of lists of users and of disabled ones', async () => {
    const flag = `${FLAG}-strategies`;
    await unleash.createFlag(flag, { percentage: 10, stickiness: 'userId' });
    await unleash.addStrategy(flag, {
      name: 'flexibleRollout',
      parameters: { rollout: '100', stickiness: 'userId', groupId: flag },
      constraints: [{ contextName: 'userId', operator: 'IN', values: ['ada', 'grace'] }],
    });
    const several = await doctor([], flag);
    expect(several.code).toBe(0);
    expect(several.found.strategies).toEqual(
      shows('warn', /2 active strategies \(flexibleRollout, flexibleRollout\)/),
    );
    expect(several.found['id-lists']).toEqual(shows('warn', /userId with 2 values/));
    const { strategies } = await unleash.flag(flag);
    const path = `/api/admin/projects/default/features/${flag}/environments/${unleash.environment}/strategies`;
    for (const { id } of strategies as readonly { id?: string }[]) {
      await unleash.request('PATCH', `${path}/${id}`, [{ op: 'replace', path: '/disabled', value: true }]);
    }
    const disabled = await doctor([], flag);
    expect(disabled.found.strategies).toEqual(shows('warn', /Every strategy of the flag is disabled/));
    expect(disabled.found['id-lists']).toEqual(shows('ok', /No strategy lists single users/));
  });
});

describe('the doctor on a configuration', () => {
  it.each([
    [
      'can be used',
      'good.json',
      JSON.stringify({
        flagKey: FLAG,
        unleash: {
          url: 'http://127.0.0.1:1/api',
          environment: 'development',
          clientToken: 'default:development.x',
        },
        redis: { url: 'redis://127.0.0.1:1' },
        rollback: [{ successRateBelow: [0.95] }],
      }),
      shows('ok', /good\.json can be used by rollout-guard run, for doctor-services\./),
    ],
    ['is no JSON', 'half.json', '{"flagKey":', shows('fail', /half\.json: expected JSON/)],
    [
      'has a wrong rule and lacks Redis',
      'wrong.json',
      JSON.stringify({ flagKey: FLAG, unleash: {}, rollback: [{ successRateBelow: [95] }] }),
      shows('fail', /successRateBelow.*did you mean 0\.95.*redis/),
    ],
    [
      'fails when it is executed',
      'throws.mjs',
      'throw new Error("no secret");',
      shows('fail', /throws\.mjs cannot be read: no secret/),
    ],
    [
      'has a notifier without an address',
      'notifier.mjs',
      "import { slack } from 'unleash-rollout-guard'; export const notify = [slack({})];",
      shows('fail', /notifier\.mjs: Invalid slack options.*webhookUrl: expected a URL/),
    ],
    ['is not there', 'none.json', undefined, shows('fail', /none\.json cannot be read: ENOENT/)],
  ])('that %s', async (_what, name, text, expected) => {
    if (text !== undefined) await writeFile(join(folder, name), text);
    const { code, found } = await doctor(['--config', name]);
    expect(found.config).toEqual(expected);
    if (name !== 'good.json') expect(code).toBe(1);
  });
});

describeWithBinary('the doctor on Redis', 'redis-server', 'apt-get install redis-server', () => {
  it('says whether a fleet can use it, and changes nothing there', async () => {
    const redis = await RedisServer.start();
    const client = createClient({ url: redis.url });
    client.on('error', () => {});
    try {
      await client.connect();
      const findings = async (url = redis.url) => (await doctor(['--redis', url])).found.redis;
      expect(await findings()).toEqual(
        shows('ok', /^Redis \d+\.\d+.* answers, and runs the scripts of a fleet\.$/),
      );
      await client.configSet({ maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru' });
      expect(await findings()).toEqual(shows('warn', /deletes keys .*maxmemory-policy allkeys-lru/));
      await client.configSet({ 'maxmemory-policy': 'noeviction' });
      expect(await findings()).toEqual(shows('ok', /answers/));
      expect(await client.dbSize()).toBe(0);
      await client.configSet('requirepass', 'redis-secret');
      expect(await findings()).toEqual(shows('fail', /requires a password, and none was given/));
      const wrong = await findings(redis.url.replace('//', '//:not-this-one@'));
      expect(wrong).toEqual(shows('fail', /password for Redis is wrong/));
      expect(JSON.stringify(wrong)).not.toContain('not-this-one');
      expect(await findings(redis.url.replace('//', '//:redis-secret@'))).toEqual(shows('ok', /answers/));
    } finally {
      client.destroy();
      await redis.close();
    }
    const down = await doctor(['--redis', redis.url, '--timeout', '1500']);
    expect([down.code, down.found.redis]).toEqual([1, shows('fail', /^Redis (cannot be reached|timed out)/)]);
  });
});

describe('the doctor on notifiers', () => {
  const received: { path: string; text: string }[] = [];
  let receiver: Server;

  beforeAll(async () => {
    receiver = createServer(async (request, response) => {
      const text = (await request.setEncoding('utf8').toArray()).join('');
      received.push({ path: request.url!, text });
      if (request.url === '/slow') return;
      response.statusCode = request.url === '/broken' ? 500 : 200;
      response.end('ok');
    }).listen(0, '127.0.0.1');
    await once(receiver, 'listening');
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const portOf = (server: Server) => (server.address() as AddressInfo).port;
    const refused = portOf(closed);
    await new Promise((done) => closed.close(done));
    const at = (path: string, port = portOf(receiver)) => `http://127.0.0.1:${port}${path}`;
    const notifiers = [
      `slack({ webhookUrl: '${at('/slack')}' })`,
      `webhook({ url: '${at('/hook')}', secret: 'whsec_${Buffer.alloc(32, 1).toString('base64')}' })`,
      `webhook({ name: 'broken', url: '${at('/broken')}' })`,
      `webhook({ name: 'slow', url: '${at('/slow')}' })`,
      `webhook({ name: 'refused', url: '${at('/', refused)}' })`,
      'async function own() { throw new Error("no such channel") }',
    ];
    await writeFile(
      join(folder, 'notify.mjs'),
      `import { criticalErrors, slack, webhook } from 'unleash-rollout-guard';
      export const flagKey = '${FLAG}';
      export const unleash = { url: '${unleash.apiUrl}', environment: '${unleash.environment}' };
      export const redis = { url: 'redis://127.0.0.1:1' };
      export const rollback = [criticalErrors()];
      export const notify = [${notifiers.join(',')}];`,
    );
  });

  afterAll(() => {
    receiver.closeAllConnections();
    receiver.close();
  });

  it('sends nothing without --send-test, and one test message through each with it', async () => {
    received.length = 0;
    const untried = await doctor(['--config', 'notify.mjs']);
    expect(untried.found.notifier).toEqual(shows('unknown', /slack delivers was not tried/));
    expect(received).toEqual([]);
    const { code, found } = await doctor(['--config', 'notify.mjs', '--send-test', '--timeout', '4000']);
    expect(code).toBe(1);
    expect(found.config?.status).toBe('ok');
    expect(
      Object.entries(found)
        .filter(([name]) => name.startsWith('notifier'))
        .map(([, each]) => each),
    ).toEqual([
      shows('ok', /slack has delivered a test message/),
      shows('ok', /webhook has delivered a test message/),
      shows('fail', /broken could not deliver a test message: .*500/),
      shows('fail', /slow could not deliver a test message: no reply within 4000 ms/),
      shows('fail', /refused could not deliver a test message: .*ECONNREFUSED/),
      shows('fail', /own could not deliver a test message: no such channel/),
    ]);
    expect(received.map(({ path }) => path).sort()).toEqual(['/broken', '/hook', '/slack', '/slow']);
    for (const { text } of received) expect(text).toContain(`A test for ${FLAG}`);
  });
});

describe('the doctor on the folder', () => {
  it('names a path that is too long, a file in the way, and a folder of another user', async () => {
    const long = await doctor(['--folder', join('logs', 'x'.repeat(300))]);
    expect([long.code, long.found.folder]).toEqual([1, shows('fail', /cannot be created \(ENAMETOOLONG\)/)]);
    await writeFile(join(folder, 'a-file'), '');
    expect((await doctor(['--folder', 'a-file'])).found.folder).toEqual(shows('fail', /ENOTDIR/));
    // Only the administrator may give a folder away.
    if (process.getuid?.() !== 0) return;
    await mkdir(join(folder, 'foreign'), { recursive: true });
    await chown(join(folder, 'foreign'), 12_345, 12_345);
    expect((await doctor(['--folder', 'foreign'])).found.folder).toEqual(shows('warn', /of another user/));
  });

  it('says that a guard runs in it, and whose, as long as it does', async () => {
    const harness = await GuardHarness.create();
    const guard = await harness.started();
    expect((await doctor(['--folder', harness.folder])).found.folder).toEqual(
      shows('ok', /the guard of async-upload in production runs in it/),
    );
    await guard.close();
    expect((await doctor(['--folder', harness.folder])).found.folder).toEqual(
      shows('ok', /can be written\.$/),
    );
    await harness.close();
  });
});
