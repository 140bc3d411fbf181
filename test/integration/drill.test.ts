import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { DrillResult } from '../../src/cli/drill/drill-steps.js';
import { openLink } from '../helpers/breakable-link.js';
import { eventually } from '../helpers/eventually.js';
import { personalToken } from '../helpers/personal-token.js';
import { startRefusingProxy } from '../helpers/refusing-proxy.js';
import { compiledFile, type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';

const SCRATCH = /rollout-guard-drill-[0-9a-f]{8}/;

let unleash: SharedUnleash;
let main: string;
let folder: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  [unleash, main, folder] = await Promise.all([
    sharedUnleash(),
    compiledFile('dist/cli.js'),
    mkdtemp(join(tmpdir(), 'drill-')),
  ]);
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** `rollout-guard drill` as a process of its own. */
class Drill {
  readonly child: ChildProcess;
  readonly #ended: Promise<unknown[]>;
  out = '';
  problems = '';

  constructor(args: readonly string[], environment: Record<string, string | undefined>) {
    const { apiUrl, clientToken, adminToken } = unleash;
    this.child = spawn(process.execPath, [main, 'drill', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        UNLEASH_URL: apiUrl,
        UNLEASH_ENVIRONMENT: unleash.environment,
        UNLEASH_CLIENT_TOKEN: clientToken,
        UNLEASH_ADMIN_TOKEN: adminToken,
        ...environment,
      },
    });
    children.push(this.child);
    this.child.stdout!.on('data', (data) => {
      this.out += data;
    });
    this.child.stderr!.on('data', (data) => {
      this.problems += data;
    });
    this.#ended = once(this.child, 'close');
  }

  async shows(text: string): Promise<void> {
    await eventually(() => expect(this.out).toContain(text));
  }

  async exitCode(): Promise<unknown> {
    return (await this.#ended)[0];
  }

  /** The flag that it made; undefined when it made none. */
  get scratchFlag(): string | undefined {
    return SCRATCH.exec(this.out)?.[0];
  }
}

function drill(args: readonly string[] = [], environment: Record<string, string | undefined> = {}): Drill {
  // Much time for a request: many suites share the machine.
  const withTimeout = args.includes('--timeout') ? args : [...args, '--timeout', '20000'];
  return new Drill(withTimeout, environment);
}

async function result(drill: Drill): Promise<DrillResult> {
  await drill.exitCode();
  expect(drill.problems).toMatch(/^Fire drill in project /);
  return JSON.parse(drill.out) as DrillResult;
}

const failedSteps = ({ steps }: DrillResult) =>
  steps.filter(({ status }) => status === 'failed').map(({ step }) => step);

/** What happened to a flag, oldest first. */
async function historyOf(flagKey: string | undefined): Promise<string[]> {
  return (await unleash.history(flagKey!)).map(({ type }) => type).reverse();
}

describe('rollout-guard drill', () => {
  it('proves the whole path with a scratch flag, prints the times, and leaves nothing behind', async () => {
    const run = drill();
    expect(await run.exitCode()).toBe(0);
    expect(run.problems).toBe('');
    expect(run.out.match(/^✓ /gm)).toHaveLength(9);
    expect(run.out).toMatch(
      /The whole path works.*\n.*s {2}the process that saw the failures served the control/,
    );
    expect(run.out).toMatch(/s {2}the flag was off in Unleash\n/);
    expect(await historyOf(run.scratchFlag)).toEqual(
      expect.arrayContaining([
        'feature-environment-enabled',
        'feature-environment-disabled',
        'feature-archived',
        'feature-deleted',
      ]),
    );
    for (const token of [unleash.adminToken, unleash.clientToken]) {
      expect(run.out).not.toContain(token.split('.')[1]);
    }
  });

  it.each([
    ['drill-named', {}],
    ['drill-bare', { strategies: [] }],
  ])('leaves a named flag as it was, and prints JSON: %s (%j)', async (flagKey, flag) => {
    await unleash.createFlag(flagKey, { enabled: false, ...flag });
    const before = await unleash.flag(flagKey);
    const found = await result(drill(['--flag', flagKey, '--json']));
    expect(found).toMatchObject({ ok: true, flagKey, times: { offMs: expect.any(Number) } });
    const { decidedMs, offMs, seenMs } = found.times!;
    expect([decidedMs, offMs, seenMs].toSorted((a, b) => a - b)).toEqual([decidedMs, offMs, seenMs]);
    expect(await unleash.flag(flagKey)).toEqual(before);
  });

  it('refuses a flag that is on: its users would lose it', async () => {
    await unleash.createFlag('drill-in-use', { percentage: 10 });
    const before = await unleash.history('drill-in-use');
    const found = await result(drill(['--flag', 'drill-in-use', '--json']));
    expect(found).toMatchObject({ ok: false });
    expect(found.times).toBeUndefined();
    expect(found.steps.at(-1)).toMatchObject({
      step: 'flag',
      status: 'failed',
      message: expect.stringContaining('would turn it off for its users'),
    });
    expect(await unleash.history('drill-in-use')).toEqual(before);
  });

  it('explains a flag that does not reach every user, and leaves it off', async () => {
    await unleash.createFlag('drill-partial', { enabled: false, percentage: 1 });
    const found = await result(drill(['--flag', 'drill-partial', '--json']));
    expect(found.steps.find(({ step }) => step === 'failure')?.message).toMatch(/Only \d of 20 users/);
    expect((await unleash.flag('drill-partial')).enabled).toBe(false);
  });

  it('names the permission that a token lacks, and made nothing', async () => {
    const token = await personalToken(unleash, 'drill-viewer', 'viewer');
    const found = await result(drill(['--json'], { UNLEASH_ADMIN_TOKEN: token }));
    expect(failedSteps(found)).toEqual(['flag']);
    expect(found.steps.at(-1)?.message).toContain('lacks a permission');
    await unleash.createFlag('drill-toggled', { enabled: false });
    const named = await result(drill(['--json', '--flag', 'drill-toggled'], { UNLEASH_ADMIN_TOKEN: token }));
    expect(failedSteps(named)[0]).toBe('turn on');
    expect((await unleash.flag('drill-toggled')).enabled).toBe(false);
  });

  it('fails at "off" when Unleash refuses it, and deletes the flag all the same', async () => {
    const proxy = await startRefusingProxy(unleash.url, { status: 403, times: Number.POSITIVE_INFINITY });
    try {
      const run = drill([], { UNLEASH_URL: `${proxy.url}/api` });
      expect(await run.exitCode()).toBe(1);
      expect(run.out).toMatch(/✗ off .*lacks a permission/);
      expect(run.out).toContain('The drill failed at "off"');
      expect(await historyOf(run.scratchFlag)).toContain('feature-deleted');
    } finally {
      await proxy.close();
    }
  });

  it.each<[string, string[], Record<string, string>, step: string, message: string]>([
    [
      'a client token of another environment',
      ['--environment', 'production'],
      {},
      'client token',
      'reads the environment',
    ],
    [
      'a client token that Unleash refuses',
      [],
      { UNLEASH_CLIENT_TOKEN: 'no-such-token' },
      'client token',
      '401',
    ],
    ['an admin token that Unleash refuses', [], { UNLEASH_ADMIN_TOKEN: '*:*.no-such-token' }, 'flag', '401'],
    ['a project that does not exist', ['--project', 'elsewhere'], {}, 'flag', 'elsewhere'],
    [
      'an Unleash that cannot be reached',
      ['--timeout', '1000'],
      { UNLEASH_URL: 'http://127.0.0.1:9/api' },
      'client token',
      'No flag data from Unleash',
    ],
  ])('ends with 1 and names the cause: %s', async (_what, args, environment, step, message) => {
    const run = drill([...args, '--json'], environment);
    expect(await run.exitCode()).toBe(1);
    const found = JSON.parse(run.out) as DrillResult;
    expect(found.steps.at(-1)).toMatchObject({
      step,
      status: 'failed',
      message: expect.stringContaining(message),
    });
    expect(await historyOf(found.flagKey)).not.toContain('feature-created');
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('deletes the scratch flag after %s', async (signal) => {
    const run = drill();
    await run.shows('✓ turn on');
    run.child.kill(signal);
    expect(await run.exitCode()).toBe(1);
    expect(run.out).toContain('The drill was interrupted');
    expect(await historyOf(run.scratchFlag)).toContain('feature-deleted');
  });

  it('deletes the scratch flag although Unleash goes away half way, and comes back', async () => {
    await using link = await openLink(unleash.url);
    const run = drill([], { UNLEASH_URL: `${link.url}/api` });
    await run.shows('✓ turn on');
    await link.pause();
    run.child.kill('SIGINT');
    await run.shows('✗ ');
    await link.resume();
    expect(await run.exitCode()).toBe(1);
    expect(await historyOf(run.scratchFlag)).toContain('feature-deleted');
  });

  it('names the flag that it could not delete', async () => {
    await using link = await openLink(unleash.url);
    const run = drill([], { UNLEASH_URL: `${link.url}/api` });
    await run.shows('✓ turn on');
    await link.pause();
    run.child.kill('SIGINT');
    expect(await run.exitCode()).toBe(1);
    expect(run.out).toMatch(new RegExp(`✗ clean-up .*${SCRATCH.source} could not be deleted: .*by hand`));
    expect(run.out).toContain('The flag was not put back.');
    await unleash.request('DELETE', `/api/admin/projects/default/features/${run.scratchFlag}`);
  });

  it('takes what is missing from the configuration of a controller', async () => {
    const config = join(folder, 'controller.json');
    const { apiUrl: url, adminToken: token, clientToken, environment } = unleash;
    const given = { unleash: { url, token, clientToken, environment, timeoutMs: 20_000 }, flagKey: 'in-use' };
    await writeFile(config, JSON.stringify(given));
    const nothing = {
      UNLEASH_URL: undefined,
      UNLEASH_ENVIRONMENT: undefined,
      UNLEASH_CLIENT_TOKEN: undefined,
      UNLEASH_ADMIN_TOKEN: undefined,
    };
    const found = await result(drill(['--config', config, '--json'], nothing));
    expect(found).toMatchObject({ ok: true, flagKey: expect.stringMatching(SCRATCH) });
  });

  it.each<[string, string[], Record<string, string | undefined>, RegExp]>([
    [
      'no tokens',
      [],
      { UNLEASH_CLIENT_TOKEN: undefined, UNLEASH_ADMIN_TOKEN: undefined },
      /clientToken.*\n.*adminToken/,
    ],
    [
      'a client token as admin token',
      ['--admin-token', 'default:development.secret'],
      {},
      /adminToken: .*client or frontend/,
    ],
    ['an unknown option', ['--nope'], {}, /--nope/],
    ['a flag with spaces', ['--flag', 'a b'], {}, /flag: .*a flag's key/],
    ['a timeout that is none', ['--timeout', 'soon'], {}, /timeout/],
  ])('ends with 2 for %s', async (_what, args, environment, problem) => {
    const run = drill(args, environment);
    expect(await run.exitCode()).toBe(2);
    expect(run.problems).toMatch(problem);
    expect(run.problems).not.toContain('secret');
    expect(run.out).toBe('');
  });
});
