import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { criticalErrors } from '../../src/triggers/critical-errors.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { recordRollout } from '../helpers/recorded-rollout.js';
import { compiledFile } from '../helpers/test-run.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

let main: string;
let stopped: string;
let armed: string;
let empty: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  main = await compiledFile('dist/cli.js');
  [stopped, armed, empty] = (await Promise.all(
    ['stopped-', 'armed-', 'empty-'].map((name) => mkdtemp(join(tmpdir(), name))),
  )) as [string, string, string];
  const rules = { rollback: [successRateBelow(0.9), criticalErrors()], review: [], stages: [] };
  const failing = { percentage: 50, outcomes: 200, everyMs: 1_000, failureRate: { treatment: 0.5 } };
  await recordRollout(stopped, [failing], rules);
  await recordRollout(armed, [{ percentage: 50, outcomes: 200, everyMs: 1_000 }], rules);
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

afterAll(async () => {
  await Promise.all([stopped, armed, empty].map((folder) => rm(folder, { recursive: true, force: true })));
});

function start(...args: string[]): ChildProcess {
  const child = spawn(process.execPath, [main, ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  return child;
}

async function run(...args: string[]): Promise<{ code: number | null; out: string; problems: string }> {
  const child = start(...args);
  let out = '';
  let problems = '';
  child.stdout!.on('data', (data) => {
    out += data;
  });
  child.stderr!.on('data', (data) => {
    problems += data;
  });
  const [code] = await once(child, 'close');
  return { code, out, problems };
}

describe('rollout-guard', () => {
  it('ends with 2 for an unknown command', async () => {
    const { code, problems } = await run('stats');
    expect({ code, problems }).toMatchObject({ code: 2, problems: expect.stringContaining('stats') });
  });
});

describe('rollout-guard status', () => {
  it('ends with 0 while the guard is armed, and with 4 when it is blind, or closed', async () => {
    const running = await mkdtemp(join(tmpdir(), 'running-'));
    const audit = await readFile(join(armed, 'audit.jsonl'), 'utf8');
    const withoutEnd = audit
      .split('\n')
      .filter((line) => !line.includes('"closed"'))
      .join('\n');
    await writeFile(join(running, 'audit.jsonl'), withoutEnd);
    expect(await run('status', running)).toMatchObject({ code: 0, out: expect.stringContaining('armed') });
    const reasons = [{ code: 'stale-flags', message: 'Unleash answers 401.', since: 0 }];
    const blind = { type: 'health', at: 0, status: 'blind', since: 0, reasons, began: [], ended: [] };
    const line = JSON.stringify({ time: '', flagKey: 'async-upload', pid: 1, ...blind });
    await writeFile(join(running, 'audit.jsonl'), `${withoutEnd}${line}\n`);
    expect(await run('status', running)).toMatchObject({
      code: 4,
      out: expect.stringMatching(/Blind +stale-flags since .*Unleash answers 401/),
    });
    await rm(running, { recursive: true });
    expect(await run('status', armed)).toMatchObject({ code: 4, out: expect.stringContaining('closed') });
  });

  it('ends with 3 when the flag is stopped, and prints the reason as JSON', async () => {
    const { code, out } = await run('status', stopped, '--json');
    expect(code).toBe(3);
    expect(JSON.parse(out)).toMatchObject({
      state: 'stopped',
      decision: { decision: { verdicts: [{ trigger: 'success-rate-below' }] } },
    });
  });

  it('ends with 1 for a folder that no guard has written, and with 2 for wrong usage', async () => {
    const [nothing, wrong] = await Promise.all([run('status', empty), run('status')]);
    expect(nothing).toMatchObject({ code: 1, problems: expect.stringContaining('journal.json') });
    expect(wrong.code).toBe(2);
  });
});

describe('rollout-guard status of a folder without a readable state', () => {
  it('ends with 1 and one line when the journal cannot be read and there is no audit log', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'unreadable-'));
    try {
      await writeFile(join(folder, 'journal.json'), '{"half":');
      const { code, out, problems } = await run('status', folder);
      expect({ code, out }).toEqual({ code: 1, out: '' });
      expect(problems.trimEnd()).toBe(
        `The files of the guard in ${folder} cannot be read: journal.json: damaged: it was cut off or overwritten.`,
      );
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe('rollout-guard watch', () => {
  it('prints plain lines without a terminal, prints changes, and ends cleanly on Ctrl-C', async () => {
    const folder = join(await mkdtemp(join(empty, 'watched-')), 'later');
    const child = start('watch', folder, '--interval', '20');
    const lines: string[] = [];
    child.stdout!.on('data', (data) => lines.push(...String(data).trimEnd().split('\n')));
    const until = async (count: number) => {
      while (lines.length < count) await once(child.stdout!, 'data');
    };
    await until(1);
    expect(lines[0]).toContain('No guard has written');
    // At once, so that nothing half copied is shown.
    await cp(stopped, `${folder}-copy`, { recursive: true });
    await rename(`${folder}-copy`, folder);
    await until(2);
    child.kill('SIGINT');
    const [code] = await once(child, 'close');
    expect(code).toBe(0);
    expect(lines.at(-1)).toContain('async-upload stopped');
    expect(lines.join('')).not.toMatch(/\p{Cc}/u);
  });
});

describe('rollout-guard report', () => {
  it('writes the requested formats, and prints where', async () => {
    const out = join(empty, 'report');
    const { code, out: printed } = await run('report', stopped, '--out', out, '--format', 'json,html');
    expect(code).toBe(0);
    expect((await readdir(out)).sort()).toEqual(['report.html', 'report.json']);
    expect(printed).toContain(join(out, 'report.html'));
    const report = JSON.parse(await readFile(join(out, 'report.json'), 'utf8'));
    expect(report).toMatchObject({ flagKey: 'async-upload', sources: { guards: 1 } });
    expect(report.arms.treatment.counted + report.arms.control.counted).toBe(200);
    expect((await readFile(join(out, 'report.html'), 'utf8')).includes('<svg')).toBe(true);
  });

  it('ends with 1 when there is nothing to report, and with 2 for an unknown format', async () => {
    const nothing = await mkdtemp(join(tmpdir(), 'nothing-'));
    try {
      const [none, wrong] = await Promise.all([
        run('report', nothing),
        run('report', stopped, '--format', 'pdf'),
      ]);
      expect(none.code).toBe(1);
      expect(await readdir(nothing)).toEqual([]);
      expect(wrong).toMatchObject({
        code: 2,
        problems: expect.stringContaining('one or more of json, md, html'),
      });
    } finally {
      await rm(nothing, { recursive: true, force: true });
    }
  });
});

describe('rollout-guard replay', () => {
  it('compares what other rules would have done with what happened', async () => {
    const rules = join(empty, 'rules.json');
    await writeFile(rules, JSON.stringify({ rollback: [{ successRateBelow: [0.1, { name: 'lenient' }] }] }));
    const { code, out } = await run('replay', join(stopped, 'metrics.jsonl'), '--config', rules);
    expect(code).toBe(0);
    expect(out).toMatch(/These rules would have stopped the flag:\n {2}none/);
    expect(out).toMatch(/What really happened:\n {2}2026-03-02 .* epoch 1 at 50 %/);
  });

  it('lists the rules that need signals, which a log does not contain', async () => {
    const rules = join(empty, 'signals.json');
    const prometheus = { url: 'http://127.0.0.1:9', query: 'up', threshold: 1 };
    await writeFile(
      rules,
      JSON.stringify({
        rollback: [{ prometheusBelow: prometheus }, { memoryGrowth: [1.2] }],
        review: [{ prometheusAbove: [prometheus] }],
      }),
    );
    const { code, out } = await run('replay', join(stopped, 'metrics.jsonl'), '--config', rules);
    expect(code).toBe(0);
    expect(out).toMatch(
      /\nNever had enough data for a verdict: memory-growth\.\nNot replayed, because a log has no signals: prometheus-below, prometheus-above\.$/m,
    );
  });

  it('replays with the rules of the first rollout when none are given', async () => {
    const { code, out } = await run('replay', stopped, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ outcomes: 200, actual: { total: 1 } });
  });

  it('ends with 1 without a log, and with 2 for invalid rules', async () => {
    const rules = join(empty, 'wrong.json');
    await writeFile(rules, '{"rollback":[{"successRateBelow":[95]}]}');
    const [none, wrong] = await Promise.all([
      run('replay', join(empty, 'none.jsonl')),
      run('replay', stopped, '--config', rules),
    ]);
    expect(none.code).toBe(1);
    expect(wrong).toMatchObject({ code: 2, problems: expect.stringContaining('did you mean 0.95?') });
  });
});
