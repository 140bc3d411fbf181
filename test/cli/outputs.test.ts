import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { recordRollout } from '../helpers/recorded-rollout.js';
import { compiledFile } from '../helpers/test-run.js';

let main: string;
/** That of a guard which has ended. */
let folder: string;

beforeAll(async () => {
  main = await compiledFile('dist/cli.js');
  folder = await mkdtemp(join(tmpdir(), 'outputs-'));
  const rules = { rollback: [successRateBelow(0.9)], review: [], stages: [] };
  await recordRollout(folder, [{ percentage: 50, outcomes: 60, everyMs: 1_000 }], rules);
  await writeFile(join(folder, 'controller.json'), '{"flagKey":"x"}');
});

afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }));

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly problems: string;
}

function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  return spawn(process.execPath, [main, ...args], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, ...env },
  });
}

/** @param lasts - Whether the command goes on until it is ended. */
async function run(args: readonly string[], env: NodeJS.ProcessEnv = {}, lasts = false): Promise<Ended> {
  const child = start(args, env);
  const [out, problems] = [child.stdout!, child.stderr!].map(async (stream) => {
    let text = '';
    for await (const part of stream.setEncoding('utf8')) {
      text += part;
      if (lasts) child.kill('SIGTERM');
    }
    return text;
  });
  const [code, signal] = await once(child, 'exit');
  return { code, signal, out: (await out)!, problems: (await problems)! };
}

/** Nothing listens there. */
const NOWHERE = ['--url', 'http://127.0.0.1:1/api', '--environment', 'production', '--timeout', '2000'];
const TOKENS = { UNLEASH_CLIENT_TOKEN: 'default:production.made-up', UNLEASH_ADMIN_TOKEN: '*:*.made-up' };
const NO_GUARD = ['--reason', 'a test', '--wait', '100ms'];
const SIMULATED = '--control-failure 0.01 --treatment-failure 0.5 --rate 1/s --for 1min --replicates 1'.split(
  ' ',
);

/** How each command prints a result without an Unleash. `lasts`: until it is ended. */
const COMMANDS: [name: string, args: string[], code: number, lasts?: true][] = [
  ['init', [...NOWHERE, '--flag', 'x', '--yes'], 1],
  ['doctor', [...NOWHERE, '--flag', 'x'], 1],
  ['drill', [...NOWHERE], 1],
  ['stop', ['.', ...NO_GUARD], 1],
  ['hold', ['.', ...NO_GUARD], 1],
  ['resume', ['.', ...NO_GUARD], 1],
  ['advance', ['.', ...NO_GUARD], 1],
  ['acknowledge', ['.', ...NO_GUARD, '--trigger', 'success-rate-below'], 1],
  ['mute', ['.', ...NO_GUARD, '--trigger', 'success-rate-below', '--for', '1h'], 1],
  ['unmute', ['.', ...NO_GUARD, '--trigger', 'success-rate-below'], 1],
  ['status', ['.'], 4],
  ['watch', ['.'], 0, true],
  ['dashboard', ['.'], 0, true],
  ['replay', ['.'], 0],
  ['report', ['.', '--out', 'report'], 0],
  ['simulate', SIMULATED, 0],
  ['completion', ['bash'], 0],
];

describe('rollout-guard', () => {
  it('has a case here for each command', async () => {
    const { out } = await run(['--help']);
    const names = [...out.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name!);
    expect(names.filter((name) => name !== 'help' && name !== 'run').sort()).toEqual(
      COMMANDS.map(([name]) => name).sort(),
    );
  });

  it.each(COMMANDS)(
    '%s prints one JSON document with --json, and nothing else',
    async (name, args, code, lasts) => {
      const ended = await run([name, ...args, '--json'], TOKENS, lasts);
      expect([ended.code, ended.problems.match(/ {4}at /)]).toEqual([code, null]);
      expect(typeof JSON.parse(ended.out)).toBe('object');
      expect(JSON.parse(ended.out)).not.toHaveProperty('error');
    },
  );

  it.each([
    ['an option that is missing', ['doctor'], 2, 'INVALID_CONFIG', /flag/],
    ['a folder that is none', ['status', 'none'], 1, 'NO_GUARD', /none/],
    ['a log that is none', ['replay', 'none.jsonl'], 1, 'ENOENT', /none/],
    ['a configuration that is none', ['run', '--config', 'none.json'], 1, 'ENOENT', /none/],
    ['one that is incomplete', ['run', '--config', 'controller.json'], 2, 'INVALID_CONFIG', /redis/],
    ['an unknown shell', ['completion', 'csh'], 2, 'INVALID_CONFIG', /bash/],
    ['an option that does not exist', ['status', '.', '--nonsense'], 2, 'USAGE', /--nonsense/],
    ['an option that is required', ['simulate'], 2, 'USAGE', /--control-failure/],
    ['an argument that is missing', ['watch'], 2, 'USAGE', /source/],
    ['an unknown command', ['dance'], 2, 'USAGE', /dance/],
  ])('prints the error as JSON for %s', async (_what, args, code, error, message) => {
    const ended = await run([...args, '--json']);
    expect(ended.code).toBe(code);
    expect(JSON.parse(ended.out)).toEqual({
      error: { code: error, message: expect.stringMatching(message) },
    });
    expect(ended.problems).toMatch(message);
  });

  // The controls print by the same code.
  const different = COMMANDS.filter(([name, args]) => name === 'hold' || !args.includes('--wait'));
  it.each(different)('%s ends quietly when its reader has gone', async (name, args, expected, lasts) => {
    const child = start([name, ...args, ...(lasts ? [] : ['--json'])], TOKENS);
    child.stdout!.destroy();
    const problems = (await child.stderr!.setEncoding('utf8').toArray()).join('');
    const [code, signal] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode, null];
    expect({ signal, trace: problems.match(/EPIPE| {4}at /) }).toEqual({ signal: null, trace: null });
    expect(code).toBe(expected);
  });

  it('has colours where they are asked for, and none in a pipe', async () => {
    const doctor = ['doctor', ...NOWHERE, '--flag', 'x'];
    const coloured = async (env: NodeJS.ProcessEnv) => (await run(doctor, env)).out.includes('\u001b[');
    expect(await coloured({})).toBe(false);
    expect(await coloured({ FORCE_COLOR: '1' })).toBe(true);
    expect(await coloured({ FORCE_COLOR: '0' })).toBe(false);
    expect((await run([...doctor, '--json'], { FORCE_COLOR: '1' })).out).not.toContain('\u001b[');
  });
});
