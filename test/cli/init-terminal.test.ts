import { randomUUID } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { freePort } from '../../examples/fleet/redis-server.js';
import { eventually } from '../helpers/eventually.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { commandLine, type SharedUnleash } from '../helpers/test-run.js';
import { Tmux } from '../helpers/tmux.js';

const GUIDE = join(import.meta.dirname, '../../docs/getting-started.md');
const TWO_MINUTES_MS = 120_000;

describeWithBinary('rollout-guard init in a terminal', 'tmux', 'apt-get install tmux', (tmux) => {
  let unleash: SharedUnleash;
  let main: string;
  let folder: string;
  /** Of the flags that one attempt of a test makes. */
  let prefix: string;

  beforeAll(async () => {
    ({ unleash, main, folder } = await commandLine('init-terminal-'));
  });

  beforeEach(() => {
    prefix = `init-terminal-${randomUUID().slice(0, 8)}`;
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** A terminal in which `rollout-guard` can be typed, and in which no variable says anything of Unleash. */
  function terminal(columns: number, env: NodeJS.ProcessEnv = {}): Tmux {
    const terminal = new Tmux(tmux, { columns, rows: 50, folder, env });
    terminal.type(`alias rollout-guard="'${process.execPath}' '${main}'"; clear`);
    return terminal;
  }

  it('leads from nothing to the first guarded request in less than two minutes', async () => {
    const flag = `${prefix}-first`;
    const startedAt = performance.now();
    const port = await freePort();
    const shell = terminal(120, {
      PORT: String(port),
      UNLEASH_CLIENT_TOKEN: '',
      UNLEASH_ADMIN_TOKEN: '',
    });
    const answer = async (question: RegExp, text: string) => {
      await shell.shows(question);
      shell.type(text);
    };
    shell.type('unset UNLEASH_CLIENT_TOKEN UNLEASH_ADMIN_TOKEN; clear; rollout-guard init');
    await answer(/Unleash's API, for example \S+: *$/, unleash.apiUrl);
    await answer(/Key of the flag: *$/, flag);
    await answer(/Project \(default\): *$/, '');
    await answer(/Environment \(production\): *$/, unleash.environment);
    await answer(/Client token .*: *$/, unleash.clientToken);
    await answer(/Admin token .*: *$/, unleash.adminToken);
    await answer(/Framework: .*: *$/, 'express');
    await answer(/unless it exists\? \(y\): *$/, 'y');
    await shell.shows(/^void main\(\);\s*[#$] *$/m);
    // With -J, lines that the terminal has broken are one.
    const session = shell.text('-J');
    expect(session).toContain(`Created "${flag}": off in ${unleash.environment}`);
    for (const token of [unleash.clientToken, unleash.adminToken]) {
      expect(session).not.toContain(token.slice(-20));
    }
    // Copied from the terminal, as a user does.
    await writeFile(
      join(folder, 'service.mjs'),
      session.split('// For express\n')[1]!.replace(/[#$] *$/, ''),
    );

    const tokens = `UNLEASH_CLIENT_TOKEN='${unleash.clientToken}' UNLEASH_ADMIN_TOKEN='${unleash.adminToken}'`;
    shell.type(`clear; ${tokens} '${process.execPath}' service.mjs > service.log 2>&1 &`);
    const ask = async () => (await fetch(`http://127.0.0.1:${port}/work/ada`)).text();
    await eventually(async () => expect(await ask()).toBe('old path: a request'), 100);
    const tookMs = performance.now() - startedAt;
    console.info(`From init to the first guarded request: ${(tookMs / 1_000).toFixed(1)} s`);
    expect(tookMs).toBeLessThan(TWO_MINUTES_MS);

    const status = `rollout-guard status logs/${flag.replaceAll('-', '_')}_rollout`;
    await eventually(async () => {
      shell.type(`clear; ${status}`);
      await shell.shows(/control +1 +100\.00 %/, 15_000);
    }, 100);
    expect(shell.text()).toMatch(/Guard +armed/);
    shell.type('kill %1; wait %1; clear; cat service.log');
    await shell.shows(/"closed"/);

    await checkGuide(session, flag);
  }, 180_000);

  /** The session in the guide is this one; with UPDATE_DOCS=1 it is written anew. */
  async function checkGuide(session: string, flag: string): Promise<void> {
    const shown = session
      .replace(/^[\s\S]*?(?=Unleash's API)/, '$ npx rollout-guard init\n')
      .replace(/\n\/\/ For express\n[\s\S]*/, '\n\n// For express\n…')
      .replaceAll(unleash.url, 'https://unleash.example.com')
      .replaceAll(flag, 'new-checkout')
      .replaceAll(flag.replaceAll('-', '_'), 'new_checkout')
      .replace(/ +$/gm, '');
    const guide = await readFile(GUIDE, 'utf8');
    expect(guide).toContain('```text session\n');
    const renewed = guide.replace(/(?<=```text session\n)[\s\S]*?(?=\n```)/, () => shown);
    if (process.env.UPDATE_DOCS === '1') await writeFile(GUIDE, renewed);
    else expect(renewed).toBe(guide);
  }

  it('says what is wrong with an answer, and asks again, also where a question takes several lines', async () => {
    const shell = terminal(40);
    const compact = (text: string) => text.replace(/\s/g, '');
    /** Wherever lines are broken. */
    const answer = async (shown: string, text: string) => {
      await eventually(() => expect(compact(shell.text()).endsWith(compact(shown))).toBe(true), 50);
      shell.type(text);
    };
    const url = "Unleash's API, for example https://unleash.example.com/api:";
    shell.type('rollout-guard init; echo ended with $?');
    await answer(url, 'unleash');
    await answer(`Expected Unleash's API with its scheme. ${url}`, `${unleash.apiUrl}/admin`);
    await answer(`use ${unleash.apiUrl}, with a client token. ${url}`, unleash.apiUrl);
    await answer('Key of the flag:', 'new checkout/');
    await answer('at most 100 letters, digits and - _ . ~. Key of the flag:', `${prefix}-never`);
    await answer('Project (default):', '');
    await answer('Environment (production):', unleash.environment);
    await answer('(not shown; empty: not checked):', unleash.adminToken);
    await answer('("project:environment.…"). Client token (not shown; empty: not checked):', '');
    await answer('(not shown):', unleash.clientToken);
    await answer('("user:…"). Admin token or personal access token (not shown):', unleash.adminToken);
    await answer('(worker):', 'flask');
    await answer('nestjs, worker. Framework: express, fastify, nestjs, worker (worker):', '');
    await answer('unless it exists? (y):', 'maybe');
    await answer('Answer y or n. Create the flag there, off and at 0 %, unless it exists? (y):', 'n');
    await shell.shows(/^Ended\.\nended with 1$/m);
    // Each typed answer stands behind its question.
    expect(shell.text()).toMatch(/exists\? \(y\): maybe$/m);
    for (const line of shell.text().split('\n')) expect(line.length).toBeLessThanOrEqual(40);
    await expect(unleash.flag(`${prefix}-never`)).rejects.toThrow();
  });

  it.each([
    ['Ctrl-C', 'C-c'],
    ['the end of the input', 'C-d'],
  ])('ends at %s, with nothing created, and leaves the terminal as it was', async (_how, key) => {
    const shell = terminal(80);
    shell.type(`rollout-guard init --url ${unleash.apiUrl} --flag ${prefix}-ended; echo ended with $?`);
    await shell.shows(/Project \(default\): *$/);
    shell.press(key);
    // Typed before the shell reads again, it would be seen elsewhere.
    await shell.shows(/^Ended\.\nended with 1\n[#$]$/m);
    shell.type('echo typed and seen');
    await shell.shows(/^typed and seen$/m);
    await expect(unleash.flag(`${prefix}-ended`)).rejects.toThrow();
  });

  it('has colours, and none with NO_COLOR', async () => {
    const args = `init --url ${unleash.apiUrl} --flag ${prefix}-colours --environment moon --framework worker`;
    for (const isColoured of [true, false]) {
      const env = { UNLEASH_CLIENT_TOKEN: unleash.clientToken, UNLEASH_ADMIN_TOKEN: unleash.adminToken };
      const shell = terminal(80, env);
      shell.type(`${isColoured ? '' : 'export NO_COLOR=1; '}rollout-guard ${args} --yes`);
      await shell.shows('Nothing was created in Unleash.');
      expect(shell.text('-e').includes('\u001b[31m')).toBe(isColoured);
    }
  });
});
