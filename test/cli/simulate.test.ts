import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compiledFile } from '../helpers/test-run.js';

const TRAFFIC = ['--control-failure', '0.01', '--treatment-failure', '0.3', '--rate', '20/s'];
const QUICK = ['--for', '30s', '--replicates', '20'];

let main: string;
let folder: string;

beforeAll(async () => {
  main = await compiledFile('src/cli/main.ts');
  folder = await mkdtemp(join(tmpdir(), 'simulate-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function simulate(...options: readonly string[]): Promise<Answer> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, 'simulate', ...options], (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

// Each test computes for seconds in a process of its own, longer on a busy machine.
describe('rollout-guard simulate', { timeout: 60_000 }, () => {
  it('describes the first stage of the preset in words, with nothing on stderr', async () => {
    const { code, stdout, stderr } = await simulate(...TRAFFIC, ...QUICK);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('1 % of 20 requests/s, for 30 s. 20 simulated rollouts, seed 1.');
    expect(stdout).toContain('What can be detected at 1 % of 20 requests/s, from 1 % failing:');
  });

  it("simulates the user's own rules, and draws a chart", async () => {
    const config = join(folder, 'rules.json');
    const svg = join(folder, 'picture.svg');
    const rule = { errorRateAbove: [0.1, { evidence: 'sequential', name: 'mine' }] };
    await writeFile(config, JSON.stringify({ rollback: [rule] }));
    const options = ['--config', config, '--svg', svg, '--share', '0.5', '--json'];
    const { code, stdout } = await simulate(...TRAFFIC, ...QUICK, ...options);
    expect(code).toBe(0);
    const { actual } = JSON.parse(stdout);
    expect(actual.stoppedBy).toEqual([{ trigger: 'mine', count: 20 }]);
    expect(await readFile(svg, 'utf8')).toMatch(/^<svg .*<\/svg>\s*$/s);
  });

  it.each([
    [['--share', '10'], /share: expected a fraction.*did you mean 0\.1\?/],
    [['--rate', '20'], /rate: expected .*did you mean 20\/s\?/],
    [['--config', 'empty.json'], /share|rollback/],
    [['--what'], /unknown option/],
  ])('refuses %j with exit code 2', async (options, message) => {
    await writeFile(join(folder, 'empty.json'), '{ "rollback": [] }');
    const paths = options.map((option) => (option === 'empty.json' ? join(folder, option) : option));
    const { code, stdout, stderr } = await simulate(...TRAFFIC, ...QUICK, ...paths);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });
});
