import { ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { EmbeddedUnleash, startEmbeddedUnleash as start } from '../../src/testing/index.js';
import { eventually } from '../helpers/eventually.js';
import { compiledFile, type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** For a start or two on a busy machine. */
const START_TIMEOUT_MS = 180_000;

let startEmbeddedUnleash: typeof start;

beforeAll(async () => {
  const { href } = pathToFileURL(await compiledFile('dist/testing.mjs'));
  ({ startEmbeddedUnleash } = await import(/* @vite-ignore */ href));
});

/** The flags that an SDK would get. */
async function flagsOf(unleash: EmbeddedUnleash): Promise<{ name: string; enabled: boolean }[]> {
  const response = await fetch(`${unleash.apiUrl}/client/features`, {
    headers: { authorization: unleash.clientToken },
  });
  expect(response.status).toBe(200);
  return ((await response.json()) as { features: { name: string; enabled: boolean }[] }).features;
}

describe('an embedded Unleash', () => {
  let unleash: EmbeddedUnleash;
  let other: SharedUnleash;
  const lines: string[] = [];
  const options = {
    startTimeoutMs: START_TIMEOUT_MS,
    environment: 'production',
    logLevel: 'info',
    onLog: (line: string) => lines.push(line),
  } as const;

  beforeAll(async () => {
    [unleash, other] = await Promise.all([startEmbeddedUnleash(options), sharedUnleash()]);
  });
  beforeEach(async ({ task }) => {
    if ((task.result?.retryCount ?? 0) === 0) return;
    // The attempt before may have left its flag, or a server that is paused or has ended.
    await unleash.stop();
    unleash = await startEmbeddedUnleash(options);
  });
  afterAll(() => unleash?.stop());

  it('returns its address and its tokens', async () => {
    expect(unleash.url).toBe(`http://127.0.0.1:${unleash.port}`);
    expect(unleash.apiUrl).toBe(`${unleash.url}/api`);
    expect(unleash.adminToken).toMatch(/^\*:\*\.[0-9a-f]{48}$/);
    expect(unleash.clientToken).toMatch(/^default:production\.[0-9a-f]{48}$/);
    const admin = await fetch(`${unleash.apiUrl}/admin/projects`, {
      headers: { authorization: unleash.adminToken },
    });
    expect(admin.status).toBe(200);
    expect(await flagsOf(unleash)).toEqual([]);
  });

  it('serves the UI', async () => {
    const page = await fetch(`${unleash.url}/projects/default/features/async-upload`);
    expect(page.headers.get('content-type')).toMatch(/text\/html/);
    expect(await page.text()).toContain('Unleash');
  });

  it('runs beside another server and shares nothing with it', async () => {
    await unleash.createFlag('here-only');
    await expect(other.flag('here-only')).rejects.toThrow('Unleash answered 404');
    expect(other.clientToken).toMatch(/^default:development\.[0-9a-f]{48}$/);
    expect(other.adminToken).not.toBe(unleash.adminToken);
    expect(other.user.password).not.toBe(unleash.user.password);
  });

  it('creates a flag that is on for everyone', async () => {
    await unleash.createFlag('plain');
    expect(await unleash.flag('plain')).toMatchObject({
      name: 'plain',
      type: 'release',
      enabled: true,
      strategies: [
        { name: 'flexibleRollout', parameters: { rollout: '100', stickiness: 'default', groupId: 'plain' } },
      ],
      tags: [],
      links: [],
    });
  });

  it('has changed a flag for SDKs too when a change resolves', async () => {
    const given = async () => (await flagsOf(unleash)).find(({ name }) => name === 'seen-by-sdks');
    const strategy = (rollout: string) =>
      expect.objectContaining({ parameters: expect.objectContaining({ rollout }) });
    // Unleash has answered SDKs from what it knew before.
    expect(await given()).toBeUndefined();
    await unleash.createFlag('seen-by-sdks', { percentage: 5 });
    expect(await given()).toMatchObject({ enabled: true, strategies: [strategy('5')] });
    await unleash.setPercentage('seen-by-sdks', 20);
    expect(await given()).toMatchObject({ enabled: true, strategies: [strategy('20')] });
    await unleash.addStrategy('seen-by-sdks', { name: 'flexibleRollout', parameters: { rollout: '1' } });
    expect(await given()).toMatchObject({ enabled: true, strategies: [strategy('20'), strategy('1')] });
    await unleash.disable('seen-by-sdks');
    expect(await given()).toMatchObject({ enabled: false });
    await unleash.enable('seen-by-sdks');
    expect(await given()).toMatchObject({ enabled: true });
    await unleash.createFlag('bare', { strategies: [], enabled: false });
    expect((await flagsOf(unleash)).map(({ name }) => name)).toContain('bare');
  });

  it('creates a flag with the given type, rollout and strategies', async () => {
    await unleash.createFlag('special', {
      percentage: 5,
      stickiness: 'userId',
      type: 'kill-switch',
      enabled: false,
    });
    expect(await unleash.flag('special')).toMatchObject({
      type: 'kill-switch',
      enabled: false,
      strategies: [{ parameters: { rollout: '5', stickiness: 'userId' } }],
    });
    await unleash.createFlag('listed', { strategies: [{ name: 'default' }] });
    await unleash.addStrategy('listed', {
      name: 'flexibleRollout',
      parameters: { rollout: '20', groupId: 'listed' },
    });
    expect((await unleash.flag('listed')).strategies.map(({ name }) => name)).toEqual([
      'default',
      'flexibleRollout',
    ]);
  });

  it('moves the percentage and nothing else of the strategy', async () => {
    await unleash.createFlag('moved', {
      strategies: [
        {
          name: 'flexibleRollout',
          title: 'Careful',
          parameters: { rollout: '1', stickiness: 'userId', groupId: 'uploads' },
          constraints: [
            {
              contextName: 'country',
              operator: 'IN',
              values: ['FR'],
              inverted: false,
              caseInsensitive: false,
            },
          ],
          variants: [{ name: 'blue', weight: 1000, weightType: 'variable', stickiness: 'default' }],
        },
      ],
    });
    const before = (await unleash.flag('moved')).strategies[0]!;
    await unleash.setPercentage('moved', 10);
    const after = (await unleash.flag('moved')).strategies;
    expect(after).toEqual([{ ...before, parameters: { ...before.parameters, rollout: '10' } }]);
    expect(before).toMatchObject({ title: 'Careful', variants: [{ name: 'blue' }] });
  });

  it('refuses to move a percentage that is not there', async () => {
    await unleash.createFlag('without-rollout', { strategies: [{ name: 'default' }] });
    await expect(unleash.setPercentage('without-rollout', 10)).rejects.toThrow(/no flexibleRollout/);
  });

  it('acts as an admin user, and the history names it', async () => {
    await unleash.createFlag('toggled');
    await unleash.disable('toggled');
    expect((await unleash.flag('toggled')).enabled).toBe(false);
    await unleash.enable('toggled');
    expect((await unleash.flag('toggled')).enabled).toBe(true);
    const history = await unleash.history('toggled');
    expect(history.map(({ type }) => type)).toEqual([
      'feature-environment-enabled',
      'feature-environment-disabled',
      'feature-environment-enabled',
      'feature-strategy-add',
      'feature-created',
    ]);
    expect(new Set(history.map(({ createdBy }) => createdBy))).toEqual(new Set([unleash.user.username]));
  });

  it('sends any other request to the admin API as that user', async () => {
    await unleash.createFlag('archived');
    await unleash.request('DELETE', '/api/admin/projects/default/features/archived');
    expect((await unleash.history('archived'))[0]).toMatchObject({
      type: 'feature-archived',
      createdBy: unleash.user.username,
    });
    await expect(unleash.request('GET', '/api/admin/no-such-thing')).rejects.toThrow(
      /404 to GET \/api\/admin\/no-such-thing/,
    );
  });

  it('goes down and comes back on the same port with its data', async () => {
    await unleash.createFlag('kept');
    await unleash.pause();
    await expect(fetch(unleash.url)).rejects.toThrow();
    await unleash.resume();
    expect((await unleash.flag('kept')).enabled).toBe(true);
    expect((await fetch(unleash.url)).status).toBe(200);
  });

  it('logs only to the listener', () => {
    expect(lines.join('\n')).toMatch(/info .*Unleash has started/);
    for (const secret of [unleash.adminToken, unleash.clientToken, unleash.user.password]) {
      expect(lines.join('\n')).not.toContain(secret);
    }
  });

  it('starts again as it was when it has a folder, and leaves nothing when it stops', {
    timeout: 2 * START_TIMEOUT_MS,
  }, async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'embedded-unleash-'));
    try {
      const first = await startEmbeddedUnleash({ dataDir, startTimeoutMs: START_TIMEOUT_MS });
      await first.createFlag('remembered', { percentage: 30 });
      await first.stop();
      await first.stop();
      await expect(fetch(first.url)).rejects.toThrow();
      await expect(first.pause()).rejects.toMatchObject({ code: 'STOPPED' });

      await using second = await startEmbeddedUnleash({ dataDir, startTimeoutMs: START_TIMEOUT_MS });
      const { url, adminToken, clientToken, user } = second;
      expect({ url, adminToken, clientToken, user }).toEqual({
        url: first.url,
        adminToken: first.adminToken,
        clientToken: first.clientToken,
        user: first.user,
      });
      expect((await second.flag('remembered')).strategies[0]?.parameters.rollout).toBe('30');
      expect((await second.history('remembered')).map(({ type }) => type)).toContain('feature-created');
      await eventually(async () => expect(await flagsOf(second)).toHaveLength(1));
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
  });

  it('reports a port that is in use', { timeout: START_TIMEOUT_MS }, async () => {
    await expect(
      startEmbeddedUnleash({ port: unleash.port, startTimeoutMs: START_TIMEOUT_MS }),
    ).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringMatching(new RegExp(`EADDRINUSE.*${unleash.port}`)),
    });
  });

  it('fails when the start exceeds its time-out', async () => {
    await expect(startEmbeddedUnleash({ startTimeoutMs: 1 })).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringContaining('not ready after 1 ms'),
    });
  });

  it('names the packages to install when they are missing', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'embedded-unleash-'));
    try {
      await cp(join(root, 'src/testing'), join(folder, 'src/testing'), { recursive: true });
      await mkdir(join(folder, 'node_modules'));
      for (const name of ['tsx', 'zod'])
        await symlink(join(root, 'node_modules', name), join(folder, 'node_modules', name));
      await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
      await writeFile(
        join(folder, 'main.ts'),
        `import { startEmbeddedUnleash } from './src/testing/index.js';
         await startEmbeddedUnleash().catch(({ code, message }) => process.send!({ code, message }));`,
      );
      const main = fork(join(folder, 'main.ts'), { execArgv: ['--import', 'tsx'], cwd: root });
      const [error] = await once(main, 'message');
      expect(error).toMatchObject({ code: 'MISSING_PACKAGE' });
      expect(error.message).toContain('npm install --save-dev unleash-server @electric-sql/pglite');
      await once(main, 'exit');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('says how it ended, in a warning and to whoever asks it, when it ends by itself', async () => {
    const handles = (process as unknown as { _getActiveHandles(): unknown[] })._getActiveHandles();
    const servers = handles.filter((handle): handle is ChildProcess => handle instanceof ChildProcess);
    expect(servers).toHaveLength(1);
    const warned = once(process, 'warning');
    servers[0]!.kill('SIGKILL');
    const ended = {
      code: 'STOPPED',
      message: expect.stringMatching(/ended by itself, by SIGKILL\.\nIts last lines:\n {2}\S/),
    };
    await expect(unleash.flag('plain')).rejects.toMatchObject(ended);
    await expect(unleash.pause()).rejects.toMatchObject(ended);
    expect(await warned).toMatchObject([{ message: ended.message }]);
    await unleash.stop();
  });
});

describe('the process of an embedded Unleash', () => {
  it('outlives a rejection that nothing handles, and logs it', { timeout: START_TIMEOUT_MS }, async () => {
    const onSignal = "process.on('SIGUSR2', () => Promise.reject(new Error('a job of Unleash has failed')))";
    const child = fork(await compiledFile('dist/unleash-process.js'), {
      execArgv: ['--import', `data:text/javascript,${onSignal}`],
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    const lines = createInterface({ input: child.stdout! });
    try {
      const user = { username: 'admin', password: 'secret' };
      const settings = { port: 0, databaseDir: undefined, user, tokens: [], logLevel: 'error' } as const;
      child.send({ type: 'start', settings });
      const [{ port }] = await once(child, 'message');
      child.kill('SIGUSR2');
      expect(await once(lines, 'line')).toEqual([expect.stringMatching(/a job of Unleash has failed$/)]);
      expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(200);
      const ended = once(child, 'exit');
      child.disconnect();
      expect(await ended).toEqual([0, null]);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

describe('the process that started an embedded Unleash', () => {
  const start = async () => {
    const parent = fork(await compiledFile('test/helpers/embedding-process.ts'), { execArgv: [], cwd: root });
    const [url] = (await once(parent, 'message')) as [string];
    expect((await fetch(url)).status).toBe(200);
    return { parent, url };
  };

  it('ends by itself after stop(), and leaves no process', { timeout: START_TIMEOUT_MS }, async () => {
    const { parent, url } = await start();
    parent.send('stop');
    expect(await once(parent, 'exit')).toEqual([0, null]);
    await expect(fetch(url)).rejects.toThrow();
  });

  it('ends the server even when it is killed', { timeout: START_TIMEOUT_MS }, async () => {
    const { parent, url } = await start();
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    await eventually(() => expect(fetch(url)).rejects.toThrow());
  });
});
