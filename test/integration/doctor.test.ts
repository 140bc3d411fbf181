import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { diagnose } from '../../src/doctor/diagnose.js';
import type { Finding } from '../../src/doctor/finding.js';
import { type ObserveOptions, observe } from '../../src/doctor/observe.js';
import { personalToken } from '../helpers/personal-token.js';
import { compiledFile, type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';

let unleash: SharedUnleash;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rollout-doctor-'));
  unleash = await sharedUnleash();
  await Promise.all([
    unleash.createFlag('doctor-upload', { percentage: 10 }),
    unleash.createFlag('random-upload', { percentage: 10, stickiness: 'random' }),
  ]);
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function findings(overrides: Partial<ObserveOptions> = {}): Promise<Record<string, Finding>> {
  const { apiUrl, project, environment, clientToken, adminToken } = unleash;
  const found = diagnose(
    await observe({
      url: apiUrl,
      flagKey: 'doctor-upload',
      project,
      environment,
      contextFields: ['userId'],
      // Much time for a request: many suites share the machine.
      timeoutMs: 20_000,
      clientToken,
      adminToken,
      folder,
      ...overrides,
    }),
  );
  return Object.fromEntries(found.map((finding) => [finding.check, finding]));
}

async function mayTurnOff(token: string): Promise<boolean> {
  const { url, project, environment } = unleash;
  const path = `/api/admin/projects/${project}/features/doctor-upload/environments/${environment}/off`;
  const answer = await fetch(`${url}${path}`, { method: 'POST', headers: { authorization: token } });
  if (answer.ok) await unleash.enable('doctor-upload');
  return answer.ok;
}

describe('the doctor with a real Unleash', () => {
  it('finds no problem in a healthy setup, and changes nothing', async () => {
    const before = await unleash.history('doctor-upload');
    const found = await findings();
    expect(Object.values(found).filter(({ status }) => status !== 'ok')).toEqual([]);
    expect(Object.keys(found)).toHaveLength(14);
    expect(found.percentage?.message).toContain('10 %');
    expect(await unleash.history('doctor-upload')).toEqual(before);
  });

  it('distinguishes the kinds of tokens', async () => {
    const { adminToken, clientToken } = unleash;
    const unknownClient = `default:development.${'0'.repeat(48)}`;
    const unknownAdmin = `*:*.${'0'.repeat(48)}`;
    expect((await findings({ clientToken: adminToken }))['client-token']).toMatchObject({
      status: 'fail',
      message: expect.stringContaining('this is an admin token; expected a client token'),
    });
    expect((await findings({ clientToken: unknownClient }))['client-token']).toMatchObject({
      status: 'fail',
      message: expect.stringContaining('does not accept'),
    });
    expect((await findings({ adminToken: clientToken }))['admin-token']).toMatchObject({
      status: 'fail',
      message: expect.stringContaining('client or frontend token'),
    });
    expect((await findings({ adminToken: unknownAdmin }))['admin-token']).toMatchObject({
      status: 'fail',
      message: expect.stringContaining('does not accept'),
    });
  });

  it.each([
    ['vera', 'viewer', false],
    ['edda', 'editor', true],
  ] as const)('says of %s what Unleash then says to a real "off"', async (username, role, may) => {
    const adminToken = await personalToken(unleash, username, role);
    const found = await findings({ adminToken });
    expect(found['admin-token']?.status).toBe('ok');
    expect(found['admin-permission']?.status).toBe(may ? 'ok' : 'fail');
    expect(found['admin-history']?.status).toBe('ok');
    expect(found['token-expiry']).toMatchObject({
      status: 'warn',
      message: expect.stringMatching(/^The admin token expires on .* UTC \(in \d+ min\)\.$/),
    });
    expect(await mayTurnOff(adminToken)).toBe(may);
  });

  it('notices an environment, a project and a flag that do not fit', async () => {
    expect((await findings({ environment: 'production' }))['client-token']).toMatchObject({
      status: 'fail',
      message: expect.stringContaining('reads environment "development"'),
    });
    expect(await findings({ project: 'elsewhere' })).toMatchObject({
      'client-token': { status: 'fail' },
      flag: { status: 'fail' },
    });
    const missing = await findings({ flagKey: 'missing-flag' });
    expect(missing.flag).toMatchObject({ status: 'fail', todo: expect.stringContaining('Create the flag') });
    expect(missing.percentage).toBeUndefined();
  });

  it('warns of a random rollout', async () => {
    expect((await findings({ flagKey: 'random-upload' })).stickiness).toMatchObject({
      status: 'warn',
      message: expect.stringContaining('random'),
    });
  });

  it('distinguishes an Unleash from another server', async () => {
    const found = await findings({ url: `${unleash.url}/somewhere/else/api` });
    expect(found.url).toMatchObject({ status: 'fail' });
  });
});

describe('rollout-guard doctor', () => {
  const run = async (args: string[], environment: Record<string, string> = {}) => {
    const program = await compiledFile('test/helpers/doctor-program.ts');
    return new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
      const env = { PATH: process.env.PATH, ...environment };
      execFile(
        process.execPath,
        [program, 'doctor', '--timeout', '20000', ...args],
        { env },
        (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }),
      );
    });
  };
  const settings = () => ({
    UNLEASH_URL: unleash.apiUrl,
    UNLEASH_ENVIRONMENT: unleash.environment,
    UNLEASH_CLIENT_TOKEN: unleash.clientToken,
    UNLEASH_ADMIN_TOKEN: unleash.adminToken,
  });

  it('reads tokens from the environment, shows none, and exits with 0', async () => {
    const { code, stdout, stderr } = await run(['--flag', 'doctor-upload', '--folder', folder], settings());
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toContain('14 ok, 0 warnings, 0 failed, 0 not checked');
    for (const token of [unleash.adminToken, unleash.clientToken]) {
      expect(stdout).not.toContain(token.split('.')[1]);
    }
  });

  it('exits with 0 in spite of a warning, and shows how to fix it', async () => {
    const { code, stdout } = await run(['--flag', 'random-upload', '--folder', folder], settings());
    expect(code).toBe(0);
    expect(stdout).toMatch(/! stickiness .*random[^\n]*\n\s+→ Set the stickiness to userId/);
  });

  it('ends with 1 when something failed, here the folder, and prints JSON for scripts', async () => {
    const file = join(folder, 'a-file');
    await writeFile(file, '');
    const args = ['--flag', 'doctor-upload', '--folder', join(file, 'logs'), '--json'];
    const { code, stdout } = await run(args, settings());
    expect(code).toBe(1);
    const { findings } = JSON.parse(stdout) as { findings: Finding[] };
    expect(findings.filter(({ status }) => status === 'fail')).toEqual([
      expect.objectContaining({ check: 'folder', message: expect.stringContaining('ENOTDIR') }),
    ]);
  });

  it.each([
    ['nothing', []],
    ['an unknown option', ['--nope']],
    ['a URL without a scheme', ['--url', 'unleash', '--flag', 'x', '--environment', 'production']],
  ])('ends with 2 for %s', async (_, args) => {
    const { code, stdout, stderr } = await run(args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).not.toBe('');
  });
});
