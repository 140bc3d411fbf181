import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../../examples/fleet/redis-server.js';
import { codeFor, FRAMEWORKS, packageIn } from '../../src/cli/init/frameworks.js';
import { type EndedCommand, runCommand } from '../helpers/command.js';
import { eventually } from '../helpers/eventually.js';
import { personalToken } from '../helpers/personal-token.js';
import { commandLine, type SharedUnleash } from '../helpers/test-run.js';

let unleash: SharedUnleash;
let main: string;
let folder: string;
/** Of the flags and files that one attempt of a test makes. */
let prefix: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  ({ unleash, main, folder } = await commandLine('init-'));
});

beforeEach(() => {
  prefix = `init-${randomUUID().slice(0, 8)}`;
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const variables = (flag: string, env: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
  PATH: process.env.PATH,
  UNLEASH_FLAG: flag,
  UNLEASH_URL: unleash.apiUrl,
  UNLEASH_ENVIRONMENT: unleash.environment,
  UNLEASH_CLIENT_TOKEN: unleash.clientToken,
  UNLEASH_ADMIN_TOKEN: unleash.adminToken,
  ...env,
});

/** Much time for a request: many suites share the machine. */
const MUCH_TIME = ['--timeout', '20000'];

const init = (flag: string, args: readonly string[] = [], env?: NodeJS.ProcessEnv) =>
  runCommand(['init', '--yes', ...MUCH_TIME, ...args], variables(flag, env));

/** As a user runs it. */
async function initProcess(flag: string, ...args: string[]): Promise<EndedCommand> {
  const child = spawn(process.execPath, [main, 'init', '--yes', ...MUCH_TIME, ...args], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: variables(flag),
  });
  children.push(child);
  const [out, problems] = [child.stdout!, child.stderr!].map(async (stream) =>
    (await stream.setEncoding('utf8').toArray()).join(''),
  );
  const [code] = await once(child, 'close');
  return { code, out: (await out)!, problems: (await problems)! };
}

const strategiesOf = async (flag: string) => (await unleash.flag(flag)).strategies;

async function exists(flag: string): Promise<boolean> {
  const headers = { authorization: unleash.adminToken };
  const path = `/api/admin/projects/default/features/${encodeURIComponent(flag)}`;
  return (await fetch(unleash.url + path, { headers })).ok;
}

describe('rollout-guard init', () => {
  it('creates a flag that is off, with a gradual rollout at 0 % by userId, and leaves it alone the next time', async () => {
    const flag = `${prefix}-new`;
    expect(await initProcess(flag)).toMatchObject({
      code: 0,
      out: expect.stringContaining(`Created "${flag}"`),
    });
    expect(await strategiesOf(flag)).toMatchObject([
      { name: 'flexibleRollout', parameters: { rollout: '0', stickiness: 'userId', groupId: flag } },
    ]);
    await unleash.setPercentage(flag, 10);
    const before = await strategiesOf(flag);
    const again = await initProcess(flag, '--json');
    expect(JSON.parse(again.out)).toMatchObject({
      outcome: 'exists',
      flag: { key: flag },
      framework: 'worker',
    });
    expect(await strategiesOf(flag)).toEqual(before);
  });

  it.each([
    ['a project that does not exist', { UNLEASH_PROJECT: 'nowhere' }, /no project "nowhere"/],
    [
      'an environment that does not exist',
      { UNLEASH_ENVIRONMENT: 'moon' },
      /no environment "moon".*production/,
    ],
    ['a key that is no flag key', { UNLEASH_FLAG: 'init refused/' }, /URL friendly|flag's key/],
  ])('creates nothing for %s', async (_what, env, message) => {
    const ended = await init(`${prefix}-refused`, [], { UNLEASH_CLIENT_TOKEN: undefined, ...env });
    expect(ended.out + ended.problems).toMatch(message);
    expect(ended.code).toBeGreaterThan(0);
    expect(await exists(`${prefix}-refused`)).toBe(false);
  });

  it.each([
    [
      'a client token of another environment',
      { UNLEASH_ENVIRONMENT: 'production' },
      /reads environment "development"/,
    ],
    [
      'an admin token that Unleash does not know',
      { UNLEASH_ADMIN_TOKEN: '*:*.unknown' },
      /does not accept the admin token/,
    ],
    [
      'a client token as admin token',
      { UNLEASH_ADMIN_TOKEN: 'default:development.x' },
      /this is a client or frontend token/,
    ],
  ])('creates nothing for %s', async (_what, env, message) => {
    const ended = await init(`${prefix}-refused`, [], env);
    expect(ended.out + ended.problems).toMatch(message);
    expect(ended.code).toBeGreaterThan(0);
    expect(await exists(`${prefix}-refused`)).toBe(false);
  });

  it('creates a flag with the token of an editor, and nothing with that of a viewer', async () => {
    const editor = await personalToken(unleash, `${prefix}-editor`, 'editor');
    expect(await init(`${prefix}-edited`, [], { UNLEASH_ADMIN_TOKEN: editor })).toMatchObject({ code: 0 });
    const viewer = await personalToken(unleash, `${prefix}-viewer`, 'viewer');
    const { code, out } = await init(`${prefix}-viewed`, [], { UNLEASH_ADMIN_TOKEN: viewer });
    expect({ code, out }).toMatchObject({ code: 1, out: expect.stringContaining('may not turn flags off') });
    expect(await exists(`${prefix}-viewed`)).toBe(false);
  });

  it('names an archived flag of the same key', async () => {
    const flag = `${prefix}-archived`;
    await init(flag);
    await unleash.request('DELETE', `/api/admin/projects/default/features/${flag}`);
    expect(await init(flag)).toMatchObject({
      code: 1,
      problems: expect.stringMatching(/archived flag.*Nothing was created/),
    });
  });

  it('says of a server what is wrong with it, and creates nothing', async () => {
    const server = createServer((request, response) => {
      const kind = request.url!.split('/')[1]!;
      if (kind === 'slow') return;
      if (kind === 'redirect') response.setHeader('location', 'https://login.example.com');
      response.statusCode = { redirect: 302, missing: 404, broken: 502, refused: 401 }[kind] ?? 200;
      response.end(kind === 'json' ? '{}' : '<html>');
    });
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
    const at = (kind: string) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/${kind}/api`;
    const cases = [
      [at('page'), /is not an Unleash/],
      [at('json'), /is not an Unleash/],
      [at('missing'), /is not an Unleash/],
      [at('redirect'), /redirects elsewhere/],
      [at('broken'), /an error of the server \(502\)/],
      [at('refused'), /does not accept the admin token/],
      [at('slow'), /Nothing answers .*timed out after 1000 ms/],
      [`http://127.0.0.1:${await freePort()}/api`, /Nothing answers .*ECONNREFUSED/],
      ['http://nowhere.invalid/api', /Nothing answers .*(ENOTFOUND|EAI_AGAIN)/],
    ] as const;
    for (const [url, message] of cases) {
      const timeout = url === at('slow') ? ['--timeout', '1000'] : [];
      const { code, out } = await init(`${prefix}-nowhere`, ['--url', url, ...timeout]);
      expect({ url, code, out }).toMatchObject({ code: 1, out: expect.stringMatching(message) });
      expect(out).toMatch(/\nNothing was created in Unleash\.\n$/);
      expect(out).not.toContain('✓ admin-token');
    }
    server.closeAllConnections();
    server.close();
  });

  it('leaves a flag of another type as it is, says so, and what it lacks', async () => {
    const flag = `${prefix}-switch`;
    await unleash.request('POST', '/api/admin/projects/default/features', {
      name: flag,
      type: 'kill-switch',
    });
    // The service's token sees it a moment later.
    const ended = await init(flag, [], { UNLEASH_CLIENT_TOKEN: undefined });
    expect(ended.code).toBe(0);
    expect(ended.out).toContain(`"${flag}" exists (type kill-switch), and was left as it is.`);
    expect(ended.out).toMatch(/! percentage .*no strategy/);
    expect(ended.out).toContain('give the flag one gradual rollout, at 0 %, while it is off');
    expect(await strategiesOf(flag)).toEqual([]);
  });

  it('creates nothing when another project, which the token does not see, has a flag of this key', async () => {
    const flag = `${prefix}-elsewhere`;
    await unleash.request('POST', '/api/admin/projects/default/features', { name: flag });
    // Open-source Unleash has one project: where the flag is read, this one has none.
    await using proxy = await proxied((method, path) =>
      method === 'GET' && path.includes(`/features/${flag}`) ? { status: 404, body: '{}' } : undefined,
    );
    const { code, problems } = await init(flag, ['--url', proxy.url], { UNLEASH_CLIENT_TOKEN: undefined });
    expect({ code, problems }).toEqual({
      code: 1,
      problems: expect.stringMatching(/already exists.*Nothing was created in Unleash/),
    });
    expect(proxy.written).toEqual([]);
  });

  it('says what is there when the reply to the creation is lost', async () => {
    const flag = `${prefix}-lost`;
    await using proxy = await proxied((method, path) =>
      method === 'POST' && path.endsWith('/features') ? 'lost' : undefined,
    );
    const { code, problems } = await init(flag, ['--url', proxy.url]);
    expect({ code, problems }).toEqual({
      code: 1,
      problems: expect.stringMatching(/Unleash shows the flag nevertheless/),
    });
    expect(await exists(flag)).toBe(true);
  });

  it('deletes the flag again when its rollout cannot be added', async () => {
    const flag = `${prefix}-half`;
    await using proxy = await proxied((_method, path) =>
      path.endsWith('/strategies')
        ? { status: 400, body: JSON.stringify({ name: 'BadDataError', message: 'too many strategies' }) }
        : undefined,
    );
    const { code, problems } = await init(flag, ['--url', proxy.url]);
    expect({ code, problems }).toEqual({
      code: 1,
      problems: expect.stringMatching(/too many strategies.*deleted again/),
    });
    expect(await exists(flag)).toBe(false);
  });

  it('writes no .cjs file, which could not import, and creates no flag then', async () => {
    expect(await initProcess(`${prefix}-cjs`, '--out', join(folder, 'rollout.cjs'))).toMatchObject({
      code: 1,
      problems: expect.stringContaining('give --out a name in .js, .mjs, .ts or .mts'),
    });
    expect(await exists(`${prefix}-cjs`)).toBe(false);
  });

  it('overwrites no file, and creates no flag then', async () => {
    const out = join(folder, 'mine.mjs');
    await writeFile(out, 'mine');
    expect(await initProcess(`${prefix}-out`, '--out', out)).toMatchObject({
      code: 1,
      problems: expect.stringContaining('exists'),
    });
    expect(await readFile(out, 'utf8')).toBe('mine');
    expect(await exists(`${prefix}-out`)).toBe(false);
  });

  it.each(['express', 'fastify'] as const)(
    'prints code for %s that serves a guarded request',
    async (framework) => {
      const flag = `${prefix}-${framework}`;
      const out = join(folder, `${prefix}-${framework}.mjs`);
      expect(await init(flag, ['--framework', framework, '--out', out])).toMatchObject({ code: 0 });
      const port = await freePort();
      const service = start(out, { PORT: String(port) });
      const ask = async () => (await fetch(`http://127.0.0.1:${port}/work/ada`)).text();
      await eventually(async () => expect(await ask()).toBe('old path: a request'), 50);
      const ended = once(service, 'exit');
      service.kill('SIGTERM');
      expect(await ended).toEqual([0, null]);
      const summary = await readFile(
        join(folder, `logs/${flag.replaceAll('-', '_')}_rollout/summary.json`),
        'utf8',
      );
      expect(JSON.parse(summary)).toMatchObject({ flag_key: flag, total: { count: expect.any(Number) } });
    },
  );

  it('prints code for a worker that does its jobs and ends', async () => {
    const out = join(folder, `${prefix}-worker.mjs`);
    expect(await init(`${prefix}-worker`, ['--framework', 'worker', '--out', out])).toMatchObject({
      code: 0,
    });
    const worker = start(out, {});
    const lines = (await worker.stdout!.setEncoding('utf8').toArray()).join('');
    expect(lines).toContain('ada old path: a job\n');
    expect(worker.exitCode ?? (await once(worker, 'exit'))[0]).toBe(0);
    // Without "type": "module", TypeScript makes CommonJS of it, where nothing awaits at the top level.
    const typed = join(folder, `${prefix}-worker.ts`);
    expect(await initProcess(`${prefix}-worker`, '--out', typed)).toMatchObject({ code: 0 });
    expect(await readFile(typed, 'utf8')).toMatch(
      /^async function main\(\) \{\n( {2}.*\n|\n)+\}\n\nvoid main\(\);\n$/m,
    );
  });
});

describe('the code of rollout-guard init', () => {
  it('has no type errors in packages of ES modules and of CommonJS, whatever the names are', async () => {
    const root = resolve(import.meta.dirname, '../..');
    const place = await mkdtemp(join(root, 'node_modules/.cache/init-types-'));
    const target = {
      url: 'https://unleash.example.com/api',
      flagKey: "it's\\new",
      project: 'a"b',
      environment: 'x',
    };
    for (const type of ['module', 'commonjs']) {
      await mkdir(join(place, type));
      await writeFile(join(place, type, 'package.json'), JSON.stringify({ type }));
      for (const framework of FRAMEWORKS)
        await writeFile(join(place, type, `${framework}.ts`), codeFor(framework, target, type === 'module'));
    }
    const compilerOptions = {
      ...{
        strict: true,
        noEmit: true,
        module: 'nodenext',
        target: 'es2023',
        types: ['node'],
        skipLibCheck: true,
      },
      ...{ experimentalDecorators: true, paths: { 'unleash-rollout-guard': [join(root, 'src/index.ts')] } },
    };
    await writeFile(join(place, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const checked = await promisify(execFile)(process.execPath, [tsc, '-p', place]).catch((error) => error);
    await rm(place, { recursive: true });
    expect(checked.stdout).toBe('');
  }, 120_000);
});

describe('packageIn', () => {
  it.each([
    ['nestjs', false, { dependencies: { express: '5', '@nestjs/core': '11' } }],
    ['fastify', true, { devDependencies: { fastify: '5' }, type: 'module' }],
    ['express', false, { dependencies: { express: '5' }, type: 'commonjs' }],
    ['worker', false, { dependencies: { bullmq: '5' } }],
    ['worker', false, { dependencies: 'none' }],
  ])('is of %s, of ES modules: %s, for %o', async (framework, isModule, manifest) => {
    const place = await mkdtemp(join(tmpdir(), 'framework-'));
    await writeFile(join(place, 'package.json'), JSON.stringify(manifest));
    expect(await packageIn(place)).toEqual({ framework, isModule });
    await writeFile(join(place, 'package.json'), 'no JSON');
    expect(await packageIn(place)).toEqual({ framework: 'worker', isModule: false });
    await rm(place, { recursive: true });
    expect(await packageIn(place)).toEqual({ framework: 'worker', isModule: false });
  });
});

function start(file: string, env: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, [file], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env.PATH,
      UNLEASH_CLIENT_TOKEN: unleash.clientToken,
      UNLEASH_ADMIN_TOKEN: unleash.adminToken,
      ...env,
    },
  });
  children.push(child);
  return child;
}

/** What a proxy does instead of passing a request on; `lost`: it passes it on, and the reply is lost. */
type Instead = { readonly status: number; readonly body: string } | 'lost' | undefined;

/** A way to the real Unleash on which some requests end otherwise. */
async function proxied(instead: (method: string, path: string) => Instead) {
  /** The requests that change something, of those that were passed on. */
  const written: string[] = [];
  const server = createServer(async (request, response) => {
    const [method, path] = [request.method!, request.url!];
    const given = instead(method, path);
    const body = (await request.setEncoding('utf8').toArray()).join('');
    if (given !== undefined && given !== 'lost') {
      response.statusCode = given.status;
      return response.end(given.body);
    }
    if (method !== 'GET' && !path.endsWith('/validate')) written.push(`${method} ${path}`);
    const { authorization = '' } = request.headers;
    const reply = await fetch(unleash.url + path, {
      method,
      headers: { authorization, 'content-type': 'application/json' },
      ...(body === '' ? {} : { body }),
    });
    const text = await reply.text();
    if (given === 'lost') return request.socket.destroy();
    response.statusCode = reply.status;
    return response.end(text);
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api`,
    written,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}
