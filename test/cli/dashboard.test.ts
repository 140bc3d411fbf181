import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DecisionView, Overview, Series } from '../../src/dashboard/api.js';
import { ViewFile } from '../../src/journal/view-file.js';
import { eventually } from '../helpers/eventually.js';
import { GuardHarness } from '../helpers/guard-harness.js';
import { compiledFile } from '../helpers/test-run.js';
import { viewOf } from '../helpers/views.js';

let main: string;
let folder: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  main = await compiledFile('dist/cli.js');
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dashboard-cli-'));
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

/** The command, as it runs. */
function start(...args: string[]) {
  const child = spawn(process.execPath, [main, 'dashboard', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  const said = { out: '', problems: '' };
  child.stdout.on('data', (data) => (said.out += data));
  child.stderr.on('data', (data) => (said.problems += data));
  return { child, said };
}

/** A command whose dashboard has been opened as a browser opens it. */
async function opened(...args: string[]) {
  const { child, said } = start(...args);
  await eventually(() => expect(said.out, said.problems).toContain('Ctrl-C ends it.'));
  const url = new URL(/http:\S+/.exec(said.out)![0]);
  const signIn = await fetch(url, { redirect: 'manual' });
  const cookie = signIn.headers.get('set-cookie')!.split(';')[0]!;
  const get = (path: string, headers: Record<string, string> = { cookie }) =>
    fetch(new URL(path, url), { headers, redirect: 'manual' });
  const json = async <T>(path: string) => (await (await get(path)).json()) as T;
  return { child, said, url, signIn, get, json };
}

const flagsOf = async ({ json }: Awaited<ReturnType<typeof opened>>) =>
  (await json<Overview>('/api/flags')).flags.map(({ flagKey }) => flagKey);

describe('rollout-guard dashboard', () => {
  it('prints one address with a token, and shows nothing without it', async () => {
    await new ViewFile(folder).save(viewOf({ at: Date.now() }));
    const { said, url, signIn, get } = await opened(folder);
    expect(said.out).toMatch(/^1 flag: http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{32}\nCtrl-C ends it\.\n$/);
    expect([signIn.status, signIn.headers.get('location')]).toEqual([303, './']);
    expect(signIn.headers.get('set-cookie')).toMatch(/HttpOnly; SameSite=Strict/);
    expect((await get('/api/flags', {})).status).toBe(401);
    expect((await get('/api/flags', { cookie: 'rollout_guard=x' })).status).toBe(401);
    expect((await get('/api/flags')).status).toBe(200);
    expect(
      (await get('/api/flags', { authorization: `Bearer ${url.searchParams.get('token')}` })).status,
    ).toBe(200);
    const page = await get('/');
    expect([200, 503]).toContain(page.status);
    if (page.status === 503) expect(await page.text()).toContain('npm run build:page');
  });

  it('has a token of its own each time', async () => {
    const [first, second] = [await opened(folder), await opened(folder)];
    expect(first.url.searchParams.get('token')).not.toBe(second.url.searchParams.get('token'));
    expect(first.url.port).not.toBe(second.url.port);
  });

  it('shows a guard that runs: its numbers, history and decisions, and each change', async () => {
    const harness = await GuardHarness.create();
    try {
      const guard = await harness.started({ tickMs: 20 });
      await harness.fail(guard, 4);
      await eventually(async () => expect((await new ViewFile(harness.folder).load())?.epoch).toBe(1));
      const { json } = await opened(harness.folder);
      const failures = async () =>
        (await json<Overview>('/api/flags')).flags[0]?.arms.treatment.counts.failures;
      await eventually(async () => expect(await failures()).toBe(4));
      await harness.fail(guard);
      await harness.until('stopped', () => guard.state.status === 'stopped');
      await eventually(async () => {
        const [flag] = (await json<Overview>('/api/flags')).flags;
        expect(flag).toMatchObject({ state: { status: 'stopped' } });
      });
      const path = '/api/flags/async-upload';
      const [decision] = await json<DecisionView[]>(`${path}/decisions`);
      expect(decision!.decision.id).toBe(harness.reported('decided')[0]!.decision.id);
      await guard.close();
      const { treatment } = await json<Series>(`${path}/series`);
      expect(treatment.failures.reduce((sum, each) => sum + each, 0)).toBeGreaterThanOrEqual(20);
    } finally {
      await harness.close();
    }
  });

  it('shows all flags of a folder of folders, and those that appear later', async () => {
    const guarded = (name: string, flagKey: string) =>
      new ViewFile(join(folder, name)).save(viewOf({ flagKey, at: Date.now() }));
    await guarded('a_rollout', 'flag-a');
    await guarded('b_rollout', 'flag-b');
    await guarded('b_rollout/guard-2', 'flag-b');
    await mkdir(join(folder, 'unrelated'));
    const dashboard = await opened(folder);
    expect(dashboard.said.out).toMatch(/^2 flags: /);
    expect(await flagsOf(dashboard)).toEqual(['flag-a', 'flag-b']);
    const { flags } = await dashboard.json<Overview>('/api/flags');
    expect(flags[1]!.fleet?.processes.map(({ instance }) => instance)).toEqual(['b_rollout', 'guard-2']);
    await guarded('c_rollout', '<b>flag-c</b>');
    await eventually(async () => expect(await flagsOf(dashboard)).toContain('<b>flag-c</b>'));
  });

  it('waits for a folder that is not there yet', async () => {
    const later = join(folder, 'later');
    const dashboard = await opened(later);
    expect(dashboard.said.out).toMatch(/^Nothing is guarded there yet: http/);
    await new ViewFile(later).save(viewOf({ at: Date.now() }));
    await eventually(async () => expect(await flagsOf(dashboard)).toEqual(['async-upload']));
  });

  it('shows a guard that has been silent as blind', async () => {
    await new ViewFile(folder).save(viewOf({ at: Date.now() - 120_000 }));
    const { flags } = await (await opened(folder)).json<Overview>('/api/flags');
    expect(flags[0]!.health).toMatchObject({ status: 'blind', reasons: [{ code: 'silent' }] });
  });

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'ends at once with %s, also while a page is open',
    async (signal) => {
      await new ViewFile(folder).save(viewOf({ at: Date.now() }));
      const { child, get } = await opened(folder);
      await get('/api/events');
      const ended = once(child, 'exit');
      child.kill(signal);
      expect((await ended)[0]).toBe(0);
    },
  );

  it('explains a port that is taken, and wrong usage', async () => {
    const { url } = await opened(folder);
    const taken = start(folder, '--port', url.port);
    expect((await once(taken.child, 'exit'))[0]).toBe(1);
    expect(taken.said.problems).toContain(`cannot listen on 127.0.0.1:${url.port}`);
    for (const wrong of [[], [folder, '--port', 'x'], [folder, '--port', '70000'], [folder, '--color']]) {
      const { child, said } = start(...wrong);
      expect((await once(child, 'exit'))[0]).toBe(2);
      expect(said.problems).not.toBe('');
    }
  });

  it.each([
    ['postgres://user:secret@127.0.0.1', 2, 'a folder, or redis://'],
    ['redis://user:secret@127.0.0.1:1', 1, 'Redis cannot be reached'],
  ])('takes no address for a folder, and repeats no password: %s', async (source, code, problem) => {
    const { child, said } = start(source);
    expect((await once(child, 'exit'))[0]).toBe(code);
    expect(said.problems).toContain(problem);
    expect(said.problems).not.toContain('secret');
  });

  it('refuses one flag of two environments', async () => {
    await new ViewFile(join(folder, 'a')).save(viewOf());
    await new ViewFile(join(folder, 'b')).save(viewOf({ environment: 'staging' }));
    const { child, said } = start(folder);
    expect((await once(child, 'exit'))[0]).toBe(1);
    expect(said.problems).toContain(
      'The flag async-upload is guarded in project default, environment production and in project default, environment staging',
    );
  });
});
