import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as redisExports from '../../src/fleet/redis/index.js';
import * as packageExports from '../../src/index.js';
import { pages, root } from './pages.js';
import { type Names, type Snippet, snippetsWith, strayParts, wrongDirectives } from './snippets.js';

const preamble = join(root, 'test/docs/preamble.ts');
const run = promisify(execFile);
const resolve = createRequire(import.meta.url).resolve;

async function namesForSnippets(): Promise<Names> {
  const text = await readFile(preamble, 'utf8');
  const declared = [...text.matchAll(/^export (const|class|interface) (\w+)/gm)].map(([, kind, name]) =>
    kind === 'interface' ? `type ${name}` : name!,
  );
  const passedOn = [...text.matchAll(/^export \{ (.*) \}/gm)].flatMap(([, names]) => names!.split(', '));
  const from = (module: string, names: string[]) => names.map((name) => [name, module] as const);
  return new Map([
    ...from('unleash-rollout-guard', Object.keys(packageExports)),
    ...from('unleash-rollout-guard/redis', Object.keys(redisExports)),
    ...from(preamble.replace(/\.ts$/, '.js'), [...declared, ...passedOn]),
  ]);
}

const snippets = snippetsWith(await namesForSnippets());
/** One that must be found wrong, by both checks. */
const wrong: Snippet = {
  place: '',
  name: 'wrong',
  module: "import { version } from 'unleash-rollout-guard';\nversion.nonsense();\n",
  notRun: undefined,
};
const runnable = snippets.filter(({ notRun }) => notRun === undefined);

/** What is wrong with each snippet, by its name. */
let typeProblems: Map<string, string[]>;
let runProblems: Record<string, string>;
let folder: string;

const fileOf = ({ name }: Snippet) => join(folder, `${name}.ts`);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'snippets-'));
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  const { compilerOptions } = JSON.parse(await readFile(join(root, 'tsconfig.json'), 'utf8'));
  const paths = Object.entries<string[]>(compilerOptions.paths).map(([name, files]) => [
    name,
    files.map((file) => join(root, file)),
  ]);
  const options = { ...compilerOptions, noUnusedLocals: false, paths: Object.fromEntries(paths) };
  const files = [...snippets, wrong].map(fileOf);
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files }));
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  for (const snippet of [...snippets, wrong]) await writeFile(fileOf(snippet), snippet.module);
  typeProblems = await checked();
  runProblems = await ran();
});

afterAll(() => rm(folder, { recursive: true, force: true }));

async function checked(): Promise<Map<string, string[]>> {
  const tsc = join(dirname(resolve('typescript/package.json')), 'bin/tsc');
  const { stdout } = await run(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], {
    cwd: folder,
  }).catch((error: { stdout: string }) => error);
  const problems = new Map<string, string[]>();
  let last: string[] = [];
  problems.set('', last);
  for (const line of stdout.split('\n').filter((each) => each !== '')) {
    const [, name] = /^(?:.*\/)?([\w-]+)\.ts\(\d+,\d+\): /.exec(line) ?? [];
    if (name !== undefined) {
      last = problems.get(name) ?? [];
      problems.set(name, last);
    }
    last.push(line);
  }
  return problems;
}

async function ran(): Promise<Record<string, string>> {
  const program = join(root, 'test/docs/run-snippets.ts');
  const work = join(folder, 'work');
  await mkdir(work);
  const { stdout } = await run(
    process.execPath,
    [
      resolve('tsx/cli'),
      '--tsconfig',
      join(folder, 'tsconfig.json'),
      program,
      ...[...runnable, wrong].map(fileOf),
    ],
    {
      cwd: work,
      maxBuffer: 2 ** 26,
      env: {
        ...process.env,
        TMPDIR: work, // Where unleash-client keeps its backup.
        UNLEASH_CLIENT_TOKEN: 'default:production.made-up',
        UNLEASH_ADMIN_TOKEN: '*:*.made-up',
        REDIS_URL: 'redis://127.0.0.1:6379',
        ALERTS_TOKEN: 'a-token-of-more-than-16-characters',
        DASHBOARD_TOKEN: 'a-token-of-more-than-16-characters',
        PROMETHEUS_TOKEN: 'made-up',
        SLACK_WEBHOOK_URL: 'https://hooks.slack.example.com/services/T/B/X',
        TEAMS_WORKFLOW_URL: 'https://teams.example.com/workflow',
        DISCORD_WEBHOOK_URL: 'https://discord.example.com/api/webhooks/1/x',
        PAGERDUTY_ROUTING_KEY: '0123456789abcdef0123456789abcdef',
        INCIDENT_WEBHOOK_URL: 'https://incidents.example.com/hook',
        INCIDENT_WEBHOOK_SECRET: 'whsec_c2VjcmV0LW9mLWEtcmVjZWl2ZXItMTIzNA==',
      },
    },
  );
  return JSON.parse(stdout.trimEnd().split('\n').at(-1)!);
}

describe('snippets of the documentation', () => {
  it('are found', () => {
    expect(snippets.length).toBeGreaterThan(30);
    expect(runnable.length).toBeGreaterThan(25);
  });

  it.each(pages)('are left out for a reason only: $path', (page) =>
    expect(wrongDirectives(page)).toEqual([]),
  );

  it.each(pages)('are in the program that they are from: $path', (page) =>
    expect(strayParts(page)).toEqual([]),
  );

  it('are all checked: no problem is of anything else', () => {
    const names = [...snippets, wrong].map(({ name }) => name);
    expect([...typeProblems].filter(([name]) => !names.includes(name))).toEqual([['', []]]);
  });

  it('would be noticed', () => {
    expect(typeProblems.get(wrong.name)?.join()).toContain("Property 'nonsense' does not exist");
    expect(runProblems[fileOf(wrong)]).toContain('version.nonsense is not a function');
    const directives = [
      'not run: it needs Redis',
      'not run',
      'skip: it fails',
      'part of RolloutGuardOptions',
    ];
    const blocks = directives.map((directive) => ({ place: '', language: 'ts', text: '', directive }));
    const found = wrongDirectives({ path: '', text: '', prose: '', blocks });
    expect(found).toEqual([': not run', ': skip: it fails']);
    const part = {
      place: '',
      language: 'ts',
      text: 'no such line',
      directive: 'from examples/quickstart.ts',
    };
    expect(strayParts({ path: '', text: '', prose: '', blocks: [part] })).toEqual([
      ': not in examples/quickstart.ts: no such line',
    ]);
  });

  it.each(snippets)('compile: $place', ({ name }) => expect(typeProblems.get(name) ?? []).toEqual([]));

  it.each(runnable)('run: $place', (snippet) => expect(runProblems[fileOf(snippet)]).toBeUndefined());
});
