import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hasColours } from '../../src/cli/terminal/paint.js';
import { eventually } from '../helpers/eventually.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { compiledFile } from '../helpers/test-run.js';

const run = promisify(execFile);
let main: string;
let folder: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  main = await compiledFile('dist/cli.js');
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'processes-'));
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
});

function start(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const child = spawn(program, args, {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  children.push(child);
  return child;
}

describe('rollout-guard', () => {
  it.each(['stats', 'doctr'])('suggests what was meant with %s', async (name) => {
    const error = await run(process.execPath, [main, name]).catch((error) => error);
    expect(error).toMatchObject({ code: 2, stderr: expect.stringMatching(/Did you mean (status|doctor)\?/) });
  });

  it('ends cleanly when npx, which started it, gets SIGTERM', async () => {
    const bin = join(folder, 'node_modules/.bin');
    await mkdir(bin, { recursive: true });
    await mkdir(join(folder, 'logs'));
    await writeFile(join(folder, 'package.json'), '{"name":"with-guard","version":"1.0.0"}');
    const script = join(folder, 'rollout-guard');
    // Shows its end, which npx does not wait for.
    const lines = ['#!/bin/sh', `echo pid $$`, `exec '${process.execPath}' '${main}' "$@"`];
    await writeFile(script, lines.join('\n'));
    await chmod(script, 0o755);
    await symlink(script, join(bin, 'rollout-guard'));
    const npx = start('npx', ['rollout-guard', 'dashboard', 'logs']);
    let out = '';
    npx.stdout!.setEncoding('utf8').on('data', (text) => {
      out += text;
    });
    await eventually(() => expect(out).toContain('Ctrl-C'), 100);
    const pid = Number(/^pid (\d+)$/m.exec(out)![1]);
    npx.kill('SIGTERM');
    await eventually(() => expect(() => process.kill(pid, 0)).toThrow('ESRCH'), 100);
  });
});

describe('hasColours', () => {
  const terminal = { isTTY: true, hasColors: () => true };
  it.each([
    ['a terminal', terminal, {}, true],
    ['a pipe', {}, {}, false],
    ['a terminal with NO_COLOR', terminal, { NO_COLOR: '1' }, false],
    ['a terminal with an empty NO_COLOR', terminal, { NO_COLOR: '' }, true],
    ['a pipe with FORCE_COLOR', {}, { FORCE_COLOR: '1' }, true],
    ['a terminal with FORCE_COLOR=0', terminal, { FORCE_COLOR: '0' }, false],
    ['a terminal without colours', { isTTY: true, hasColors: () => false }, {}, false],
  ])('decides for %s', (_what, stream, environment, expected) => {
    expect(hasColours(stream, environment)).toBe(expected);
  });
});

/** Runs a shell with the script of that shell, and prints what it completes. */
async function completions(shell: string, script: string): Promise<string[]> {
  const kind = shell.split('/').at(-1)!;
  const file = join(folder, `completion.${kind}`);
  await writeFile(file, (await run(process.execPath, [main, 'completion', kind])).stdout);
  const { stdout } = await run(shell, ['-c', script], { env: { ...process.env, SCRIPT: file } });
  return stdout.trim().split(/\s+/);
}

describeWithBinary('rollout-guard completion bash', 'bash', 'apt-get install bash', (bash) => {
  const complete = (...words: string[]) => {
    const given = words.map((word) => `'${word}'`).join(' ');
    const script = `source "$SCRIPT"; COMP_WORDS=(rollout-guard ${given}); COMP_CWORD=${words.length}; _rollout_guard; echo "\${COMPREPLY[@]}"`;
    return completions(bash, script);
  };

  it('completes commands, options and their values', async () => {
    expect(await complete('do')).toEqual(['doctor']);
    expect(await complete('init', '--fr')).toEqual(['--framework']);
    expect(await complete('init', '--framework', '')).toEqual(['express', 'fastify', 'nestjs', 'worker']);
    expect(await complete('completion', '')).toEqual(expect.arrayContaining(['bash', 'zsh', 'fish']));
  });
});

describeWithBinary('rollout-guard completion fish', 'fish', 'apt-get install fish', (fish) => {
  const complete = (line: string) => completions(fish, `source "$SCRIPT"; complete -C '${line}' | cut -f1`);

  it('completes commands, options and their values', async () => {
    expect(await complete('rollout-guard do')).toEqual(['doctor']);
    expect(await complete('rollout-guard init --fr')).toEqual(['--framework']);
    expect(await complete('rollout-guard init --framework ')).toEqual([
      'express',
      'fastify',
      'nestjs',
      'worker',
    ]);
  });
});

describeWithBinary('rollout-guard completion zsh', 'zsh', 'apt-get install zsh', (zsh) => {
  it('completes commands, options and their values', async () => {
    // zsh completes on a terminal only, which its module zpty has. Each reading waits for what it names.
    const script = `
      zmodload zsh/zpty
      complete() {
        zpty shell '${zsh} -f -i'
        zpty -w shell 'autoload -U compinit; compinit -u -D; source "$SCRIPT"; echo READY$((1+1))'
        zpty -r shell out '*READY2*'
        zpty -w -n shell "$1"$'\\t'
        zpty -r shell out "*$2*"
        echo "$2"
        zpty -d shell
      }
      complete 'rollout-guard doc' 'rollout-guard doctor'
      complete 'rollout-guard init --frame' 'init --framework'
      complete 'rollout-guard init --framework wor' 'framework worker'`;
    expect((await completions(zsh, script)).join(' ')).toBe(
      'rollout-guard doctor init --framework framework worker',
    );
  });
});
