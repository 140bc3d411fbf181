import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compiledFile } from '../helpers/test-run.js';

const TRAFFIC = ['--control-failure', '0.01', '--treatment-failure', '0.5', '--rate', '5/s'];
const QUICK = ['--for', '60s', '--replicates', '2'];

let main: string;
let folder: string;

beforeAll(async () => {
  main = await compiledFile('dist/cli.js');
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
describe('rollout-guard simulate', () => {
  it('plays the preset through all of its stages, with nothing on stderr but its progress', async () => {
    const { code, stdout, stderr } = await simulate(...TRAFFIC, ...QUICK);
    // On a busy machine it takes so long that it shows how far it is.
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/^(\d+\/18 rollouts\n)*$/) });
    expect(stdout).toContain('1, 10, 50, 100 % of 5 requests/s, 1 min each; the control fails 1 %.');
    expect(stdout).toMatch(/\n {2}healthy {2}.* 0 of 2/);
    expect(stdout).toMatch(/\n {2}late harm {2}.* 2 of 2/);
  });

  it("plays the user's own rules at one share", async () => {
    const config = join(folder, 'rules.json');
    const rule = { errorRateAbove: [0.1, { evidence: 'sequential', name: 'mine' }] };
    await writeFile(config, JSON.stringify({ rollback: [rule] }));
    const { code, stdout } = await simulate(
      ...TRAFFIC,
      ...QUICK,
      '--config',
      config,
      '--share',
      '0.5',
      '--json',
    );
    expect(code).toBe(0);
    const { service, scenarios } = JSON.parse(stdout);
    expect(service.shares).toEqual([0.5]);
    const harm = scenarios.find(({ name }: { name: string }) => name === 'harm');
    expect(harm).toMatchObject({ stopped: { count: 2 }, stoppedBy: [{ trigger: 'mine', count: 2 }] });
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
