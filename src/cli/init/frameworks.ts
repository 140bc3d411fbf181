import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isRecord } from '../../support/config-error.js';
import { parseJson } from '../../support/json.js';

/** What the code can be made for. */
export const FRAMEWORKS = ['express', 'fastify', 'nestjs', 'worker'] as const;

/** A framework by name; `worker` needs none. */
export type Framework = (typeof FRAMEWORKS)[number];

/** Packages by which a framework is recognised; NestJS first, because it is built on one of the others. */
const PACKAGES: readonly (readonly [string, Framework])[] = [
  ['@nestjs/core', 'nestjs'],
  ['fastify', 'fastify'],
  ['express', 'express'],
];

/** What the code must fit. */
export interface Package {
  readonly framework: Framework;
  /** Whether its files are ES modules. */
  readonly isModule: boolean;
}

/** The package in a folder; a `worker` when it has no framework, or there is no package. */
export async function packageIn(folder: string): Promise<Package> {
  const text = await readFile(join(folder, 'package.json'), 'utf8').catch(() => '');
  const manifest = parseJson(text);
  const { dependencies, devDependencies, type } = isRecord(manifest) ? manifest : {};
  const names = [dependencies, devDependencies].flatMap((list) => (isRecord(list) ? Object.keys(list) : []));
  const framework = PACKAGES.find(([name]) => names.includes(name))?.[1] ?? 'worker';
  return { framework, isModule: type === 'module' };
}

/** What the code has in it. */
export interface CodeTarget {
  readonly url: string;
  readonly flagKey: string;
  readonly project: string;
  readonly environment: string;
}

/** The command that installs what the code imports. */
export function installCommand(framework: Framework): string {
  const own = { express: 'express', fastify: 'fastify', nestjs: '@nestjs/common', worker: '' }[framework];
  return `npm install unleash-rollout-guard @openfeature/server-sdk @openfeature/core ${own}`.trimEnd();
}

/**
 * The code that guards a flag in a framework: JavaScript, which is TypeScript as well.
 *
 * @param isModule - Whether it may await at its top level. TypeScript that becomes CommonJS may not.
 */
export function codeFor(framework: Framework, target: CodeTarget, isModule: boolean): string {
  const lines = { express, fastify, nestjs, worker }[framework](target);
  return `${(isModule ? lines : inMain(lines)).join('\n')}\n`;
}

/** With a function around what awaits. */
function inMain(lines: readonly string[]): readonly string[] {
  const from = lines.indexOf(START[0]!);
  if (from === -1) return lines;
  return [
    ...lines.slice(0, from),
    'async function main() {',
    ...indented(lines.slice(from), '  '),
    '}',
    '',
    'void main();',
  ];
}

/** Text as a literal. */
function quote(text: string): string {
  return `'${JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
}

const OPEN_FEATURE = "import { OpenFeature } from '@openfeature/server-sdk';";

const GUARD = [
  'import {',
  '  criticalErrors,',
  '  failureRegression,',
  '  OutcomeHook,',
  '  RolloutGuard,',
  '  successRateBelow,',
  '  UnleashProvider,',
  "} from 'unleash-rollout-guard';",
];

function setUp({ url, flagKey, project, environment }: CodeTarget): string[] {
  return [
    `const url = process.env.UNLEASH_URL ?? ${quote(url)};`,
    '',
    'const provider = new UnleashProvider({',
    '  url,',
    `  appName: ${quote(`${flagKey}-service`)},`,
    "  customHeaders: { Authorization: process.env.UNLEASH_CLIENT_TOKEN ?? '' },",
    '});',
    '',
    'const guard = new RolloutGuard({',
    `  flagKey: ${quote(flagKey)},`,
    '  flags: provider,',
    '  unleash: {',
    '    url,',
    "    token: process.env.UNLEASH_ADMIN_TOKEN ?? '',",
    `    project: ${quote(project)},`,
    `    environment: process.env.UNLEASH_ENVIRONMENT ?? ${quote(environment)},`,
    '  },',
    '  // The flag is turned off when the new path is worse than the old one, or for one critical error.',
    '  rollback: [failureRegression(), successRateBelow(0.95, { minOutcomes: 100 }), criticalErrors()],',
    '});',
  ];
}

const OPERATION = [
  'const run = guard.operation({',
  '  // The new path, and the old one: each gets what the call gives, and returns or throws.',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: of the code that is printed.
  '  treatment: async (input) => `new path: ${input}`,',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: of the code that is printed.
  '  control: async (input) => `old path: ${input}`,',
  '});',
];

const START = [
  'OpenFeature.addHooks(new OutcomeHook(guard));',
  '// Without Unleash the service starts all the same, and users get the old path until the flags are there.',
  'await OpenFeature.setProviderAndWait(provider).catch(console.error);',
  'await guard.start();',
];

const CLOSE = ['await guard.close();', 'await OpenFeature.close();'];

const ADDRESS = { port: 'Number(process.env.PORT ?? 3000)', host: "process.env.HOST ?? '127.0.0.1'" };

const DASHBOARD_ACCESS = '// Without DASHBOARD_TOKEN, whoever reaches the service can read it.';

const KEPT_ALIVE = '// A connection that is kept alive would delay the end by its time-out.';

const HEALTH = '// A blind guard is a reason for an alert, and none to restart a service that works.';

const indented = (lines: readonly string[], by: string) =>
  lines.map((line) => (line === '' ? '' : by + line));

function express(target: CodeTarget): string[] {
  return [
    OPEN_FEATURE,
    "import express from 'express';",
    ...GUARD,
    '',
    ...setUp(target),
    '',
    ...START,
    '',
    ...OPERATION,
    '',
    'const app = express();',
    DASHBOARD_ACCESS,
    'const dashboard = guard.dashboard({ token: process.env.DASHBOARD_TOKEN });',
    "app.use('/rollouts', dashboard);",
    HEALTH,
    "app.get('/health', (_request, response) => {",
    "  response.json({ status: 'ok', guard: guard.health });",
    '});',
    "app.get('/work/:user', async (request, response) => {",
    "  response.send(await run({ targetingKey: request.params.user }, 'a request'));",
    '});',
    '',
    `const server = app.listen(${ADDRESS.port}, ${ADDRESS.host}, (error) => {`,
    '  if (error) throw error;',
    "  console.log('Listening:', server.address());",
    '});',
    '',
    "process.once('SIGTERM', async () => {",
    '  dashboard.close();',
    `  ${KEPT_ALIVE}`,
    '  setInterval(() => server.closeIdleConnections(), 250).unref();',
    '  // Requests that are under way end first, and are counted.',
    '  await new Promise((closed) => server.close(closed));',
    ...indented(CLOSE, '  '),
    '});',
  ];
}

function fastify(target: CodeTarget): string[] {
  return [
    OPEN_FEATURE,
    "import Fastify from 'fastify';",
    ...GUARD,
    '',
    ...setUp(target),
    '',
    ...START,
    '',
    ...OPERATION,
    '',
    'const app = Fastify();',
    DASHBOARD_ACCESS,
    "const dashboard = guard.dashboard({ baseUrl: '/rollouts', token: process.env.DASHBOARD_TOKEN });",
    "for (const path of ['/rollouts', '/rollouts/*']) {",
    '  app.all(path, (request, reply) => {',
    '    reply.hijack();',
    '    dashboard(Object.assign(request.raw, { body: request.body }), reply.raw);',
    '  });',
    '}',
    HEALTH,
    "app.get('/health', async () => ({ status: 'ok', guard: guard.health }));",
    "app.get('/work/:user', async (request) => {",
    "  const { user = '' } = Object(request.params);",
    "  return run({ targetingKey: user }, 'a request');",
    '});',
    '',
    "app.addHook('preClose', async () => {",
    '  dashboard.close();',
    `  ${KEPT_ALIVE}`,
    '  setInterval(() => app.server.closeIdleConnections(), 250).unref();',
    '});',
    '// Requests that were under way have ended, and are counted.',
    "app.addHook('onClose', async () => {",
    ...indented(CLOSE, '  '),
    '});',
    "process.once('SIGTERM', () => app.close());",
    '',
    'const address = await app.listen({',
    `  port: ${ADDRESS.port},`,
    `  host: ${ADDRESS.host},`,
    '});',
    "console.log('Listening:', address);",
  ];
}

function nestjs(target: CodeTarget): string[] {
  return [
    'import {',
    '  type BeforeApplicationShutdown,',
    '  Injectable,',
    '  type OnApplicationShutdown,',
    '  type OnModuleInit,',
    "} from '@nestjs/common';",
    OPEN_FEATURE,
    ...GUARD,
    '',
    ...setUp(target),
    '',
    ...OPERATION,
    '',
    '// List it in the providers of a module, and inject it where the work is done: rollout.run(user.id, input).',
    '// In main.ts: app.enableShutdownHooks() ends the guard with the application, and',
    "// app.use('/rollouts', app.get(Rollout).dashboard) mounts the dashboard.",
    '@Injectable()',
    'export class Rollout implements OnModuleInit, BeforeApplicationShutdown, OnApplicationShutdown {',
    `  ${DASHBOARD_ACCESS}`,
    '  readonly dashboard = guard.dashboard({ token: process.env.DASHBOARD_TOKEN });',
    '',
    '  get health() {',
    '    return guard.health;',
    '  }',
    '',
    '  async onModuleInit() {',
    ...indented(START, '    '),
    '  }',
    '',
    '  run(user: string, input: string) {',
    '    return run({ targetingKey: user }, input);',
    '  }',
    '',
    '  beforeApplicationShutdown() {',
    '    this.dashboard.close();',
    '  }',
    '',
    '  // Requests that were under way have ended, and are counted.',
    '  async onApplicationShutdown() {',
    ...indented(CLOSE, '    '),
    '  }',
    '}',
  ];
}

function worker(target: CodeTarget): string[] {
  return [
    OPEN_FEATURE,
    ...GUARD,
    '',
    ...setUp(target),
    '',
    ...START,
    '',
    ...OPERATION,
    '',
    "for (const user of ['ada', 'grace', 'alan']) {",
    "  console.log(user, await run({ targetingKey: user }, 'a job'));",
    '}',
    '',
    '// At the end of the process.',
    ...CLOSE,
  ];
}
