import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { alertsHandler } from '../../../src/alerts/alerts-handler.js';
import { Controller } from '../../../src/cli/controller/controller.js';
import { HealthServer } from '../../../src/cli/controller/health-server.js';
import type { ConfigError } from '../../../src/support/config-error.js';
import type { Logger } from '../../../src/support/logger.js';

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

const CLIENT_TOKEN = 'default:production.client-secret-0123456789';
const ADMIN_TOKEN = '*:*.admin-secret-0123456789';
const secrets = {
  UNLEASH_ADMIN_TOKEN: ADMIN_TOKEN,
  UNLEASH_CLIENT_TOKEN: CLIENT_TOKEN,
  REDIS_URL: 'redis://guard:redis-secret@127.0.0.1:6379',
};

const good = {
  flagKey: 'async-upload',
  unleash: { url: 'https://unleash.example.com/api', environment: 'production' },
  rollback: [{ successRateBelow: [0.95, { minOutcomes: 100 }] }, { criticalErrors: [] }],
};

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'controller-'));
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

async function make(config: unknown, environment: Record<string, string | undefined> = {}) {
  const path = join(folder, 'controller.json');
  await writeFile(path, typeof config === 'string' ? config : JSON.stringify(config));
  return Controller.fromFile(path, environment, silent);
}

/** Where the problems are, each with what is said of it. */
async function problemsOf(config: unknown, environment: Record<string, string | undefined> = {}) {
  const error = (await make(config, environment).catch((error: unknown) => error)) as ConfigError;
  expect(error).toMatchObject({ code: 'INVALID_CONFIG' });
  expect(error.message).not.toMatch(/secret/);
  return Object.fromEntries(error.problems.map(({ path, expected, got }) => [path, `${expected}; ${got}`]));
}

describe('Controller.fromFile', () => {
  it('reads the secrets from the environment', async () => {
    await expect(make(good, secrets)).resolves.toBeInstanceOf(Controller);
  });

  it('prefers the secrets in the file to the environment', async () => {
    const config = {
      ...good,
      unleash: { ...good.unleash, token: ADMIN_TOKEN, clientToken: CLIENT_TOKEN },
      redis: { url: secrets.REDIS_URL, prefix: 'uploads', leaseMs: 5_000 },
    };
    await expect(make(config)).resolves.toBeInstanceOf(Controller);
    const wrong = { UNLEASH_ADMIN_TOKEN: ' ', UNLEASH_CLIENT_TOKEN: ' ', REDIS_URL: 'http://nowhere' };
    await expect(make(config, wrong)).resolves.toBeInstanceOf(Controller);
  });

  it.each([
    ['its default, a preset spread', 'export default { ...asyncUploadRollout, flagKey, unleash, notify };'],
    [
      'its default, with what only services need',
      "export default { ...asyncUploadRollout, treatmentVariants: ['blue'], flagKey, unleash, notify };",
    ],
    [
      'a promise as its default',
      'export default Promise.resolve({ ...asyncUploadRollout, flagKey, unleash, notify });',
    ],
    [
      'names',
      'export { flagKey, unleash, notify };\nexport const { rollback, stages } = asyncUploadRollout;',
    ],
  ])('accepts a module that exports %s', async (_what, exported) => {
    const preset = pathToFileURL(
      join(import.meta.dirname, '../../../src/guard/options/async-upload-rollout.ts'),
    );
    const path = join(folder, 'controller.mjs');
    await writeFile(
      path,
      `import { asyncUploadRollout } from '${preset}';
      const flagKey = 'async-upload';
      const unleash = ${JSON.stringify(good.unleash)};
      const notify = [async () => {}];
      ${exported}`,
    );
    await expect(Controller.fromFile(path, secrets, silent)).resolves.toBeInstanceOf(Controller);
  });

  it.each([
    ['json', 'controller.json'],
    ['js', 'controller.mjs'],
  ])('accepts the example in docs/fleet.md: %s', async (language, name) => {
    const page = await readFile(join(import.meta.dirname, '../../../docs/fleet.md'), 'utf8');
    const chapter = page.split('## A controller')[1] ?? '';
    const fence = '`'.repeat(3);
    const [, example = ''] = new RegExp(`${fence}${language}\\n(.*?)${fence}`, 's').exec(chapter) ?? [];
    expect(example).toContain('async-upload');
    const source = pathToFileURL(join(import.meta.dirname, '../../../src/index.ts')).href;
    const path = join(folder, name);
    await writeFile(path, example.replace("'unleash-rollout-guard'", `'${source}'`));
    vi.stubEnv('SLACK_WEBHOOK_URL', 'https://hooks.slack.example.com/services/T/B/X');
    await expect(Controller.fromFile(path, secrets, silent)).resolves.toBeInstanceOf(Controller);
  });

  it('lists everything that is missing, and where else it may be', async () => {
    expect(await problemsOf({}, { REDIS_URL: '' })).toEqual({
      flagKey: expect.stringContaining("a flag's key"),
      'unleash.url': expect.stringContaining('a URL with its scheme'),
      'unleash.environment': expect.stringContaining('a name'),
      'unleash.token': expect.stringContaining('UNLEASH_ADMIN_TOKEN'),
      'unleash.clientToken': expect.stringContaining('UNLEASH_CLIENT_TOKEN'),
      'redis.url': expect.stringContaining('REDIS_URL'),
      rollback: expect.stringContaining('a list of triggers'),
    });
  });

  it('lists what is wrong in every part at once, without a secret', async () => {
    const config: unknown = {
      ...good,
      flagkey: 'async-upload',
      unleash: { ...good.unleash, url: 'ftp://unleash', adminToken: ADMIN_TOKEN, clientToken: 'two secrets' },
      redis: { url: 'http://guard:redis/secret@127.0.0.1', flushMs: 0, password: 'secret' },
      rollback: JSON.parse('[{"successRateBelow":[95]},{"toString":[]},{"criticalErrors":[]}]'),
      review: [{ successRateBetween: [0.97, 0.95] }],
      health: { port: 65_536, path: '/health' },
      onRollback: 'off',
      tickMs: -1,
    };
    const problems = await problemsOf(config, { UNLEASH_ADMIN_TOKEN: CLIENT_TOKEN });
    expect(problems).toEqual({
      flagkey: expect.stringContaining('an unknown option'),
      'unleash.url': expect.stringContaining('a URL with its scheme'),
      'unleash.adminToken': expect.stringContaining('clientToken'),
      'unleash.clientToken': expect.stringContaining('without white space'),
      'unleash.token': 'an admin token; a string (not shown)',
      'redis.url': 'a URL that begins with redis:// or rediss://; something else (not shown)',
      'redis.flushMs': expect.any(String),
      'redis.password': expect.stringContaining('an unknown option'),
      'rollback[0].successRateBelow.rate': expect.stringContaining('a fraction 0–1'),
      'rollback[1]': expect.stringContaining('one of successRateBelow'),
      'review[0].successRateBetween.high': expect.any(String),
      'health.port': expect.stringContaining('a port, 0–65535'),
      'health.path': expect.stringContaining('an unknown option'),
      onRollback: expect.stringContaining('previous-stage'),
      tickMs: expect.any(String),
    });
  });

  it('names a client token of another kind by its own option', async () => {
    expect(await problemsOf(good, { ...secrets, UNLEASH_CLIENT_TOKEN: ADMIN_TOKEN })).toEqual({
      'unleash.clientToken': 'a client token; a string (not shown)',
    });
  });

  it('takes alerts beside its health, with a token of the environment', async () => {
    const alerts = { rules: [{ match: { severity: 'critical' }, action: 'stop' }] };
    const token = { ROLLOUT_GUARD_ALERTS_TOKEN: 'a-token-of-the-alerts' };
    expect(await problemsOf({ ...good, alerts }, { ...secrets, ...token })).toEqual({
      health: expect.stringContaining('{ port }'),
    });
    const controller = await make({ ...good, alerts, health: { port: 0 } }, { ...secrets, ...token });
    expect(controller).toBeInstanceOf(Controller);
  });

  it('answers what is mounted beside its health', async () => {
    const server = await HealthServer.listen(
      { port: 0, host: '127.0.0.1' },
      () => ({ status: 'ok', flags: {} }),
      {
        '/alerts': alertsHandler(() => [], { token: 'a-token-of-the-alerts' }),
      },
    );
    const statuses = [];
    for (const path of ['/health', '/alerts', '/toString']) {
      statuses.push((await fetch(new URL(path, server.url))).status);
    }
    await server.close();
    expect(statuses).toEqual([200, 405, 404]);
  });

  const { flagKey: _, rollback, ...common } = good;
  const several = {
    ...common,
    flags: { 'async-upload': { rollback }, 'new-search': { rollback, advance: 'manual' } },
  };

  it('accepts several flags in one file', async () => {
    await expect(make(several, secrets)).resolves.toBeInstanceOf(Controller);
  });

  it('refuses a flag that its file has twice', async () => {
    const flag = `"async-upload": ${JSON.stringify({ rollback })}`;
    const text = JSON.stringify({ ...common, flags: {} }).replace('{}', `{ ${flag}, ${flag} }`);
    expect(await problemsOf(text, secrets)).toEqual({
      'flags.async-upload': 'each name once; the name twice',
    });
  });

  it('accepts beside one flag and beside several what is not about a flag', async () => {
    const ofAll = { http: { proxy: 'http://proxy:3128' }, dashboardUrl: 'https://app.example.com/rollouts' };
    await expect(make({ ...good, ...ofAll }, secrets)).resolves.toBeInstanceOf(Controller);
    await expect(make({ ...several, ...ofAll }, secrets)).resolves.toBeInstanceOf(Controller);
  });

  it.each([
    [
      'a trigger',
      { rollback: [{ successRateBelow: [95] }] },
      'flags.new-search.rollback[0].successRateBelow.rate',
    ],
    ['no rules', {}, 'flags.new-search.rollback'],
    ['a misspelled field', { rollback, stage: [] }, 'flags.new-search.stage'],
    ['what all share', { rollback, tickMs: 5 }, 'flags.new-search.tickMs'],
  ])('names the flag and the field of what is wrong among several: %s', async (_what, flag, path) => {
    const config = { ...several, flags: { ...several.flags, 'new-search': flag } };
    expect(Object.keys(await problemsOf(config, secrets))).toEqual([path]);
  });

  it('says where an option of one flag belongs among several', async () => {
    const problems = await problemsOf({ ...several, flagKey: 'async-upload', stages: [] }, secrets);
    expect(problems).toEqual({
      flagKey: expect.stringContaining('nothing: the keys of "flags" are those of the flags'),
      stages: expect.stringContaining('nothing: it is of one flag, so it stands in each of "flags"'),
    });
  });

  it.each([
    ['both one flag and several', { ...several, flagKey: 'async-upload', rollback }, ['flagKey', 'rollback']],
    ['no flag', { ...several, flags: {} }, ['flags']],
    ['a list of flags', { ...several, flags: [] }, ['flags']],
    [
      'what is wrong for all',
      { ...several, unleash: { ...good.unleash, url: 'x' }, tickMs: 0 },
      ['tickMs', 'unleash.url'],
    ],
  ])('refuses %s', async (_what, config, paths) => {
    expect(Object.keys(await problemsOf(config, secrets)).sort()).toEqual(paths);
  });

  it.each([
    ['unleash', { unleash: 'https://unleash.example.com/api' }, 'unleash'],
    ['redis', { redis: 'redis://guard:secret@127.0.0.1' }, 'redis'],
    ['notify in JSON', { notify: ['slack'] }, 'notify[0]'],
    ['no trigger', { rollback: [] }, 'rollback'],
    ['two triggers of one name', { review: [{ criticalErrors: [] }] }, 'review[0].name'],
  ])('refuses %s', async (_what, fields, path) => {
    expect(Object.keys(await problemsOf({ ...good, ...fields }, secrets))).toEqual([path]);
  });

  it.each([
    ['half a file', '{"flagKey":', /expected JSON/],
    ['a list', '[]', /expected an object/],
  ])('refuses %s', async (_what, text, message) => {
    await expect(make(text, secrets)).rejects.toThrow(message);
  });
});
