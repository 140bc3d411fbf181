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

/** The framework of the package in a folder; `worker` when it has none of them, or there is no package. */
export async function frameworkOf(folder: string): Promise<Framework> {
  const text = await readFile(join(folder, 'package.json'), 'utf8').catch(() => '');
  const manifest = parseJson(text);
  const { dependencies, devDependencies } = isRecord(manifest) ? manifest : {};
  const names = [dependencies, devDependencies].flatMap((list) => (isRecord(list) ? Object.keys(list) : []));
  return PACKAGES.find(([name]) => names.includes(name))?.[1] ?? 'worker';
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

/** The code that guards a flag in a framework: one ES module, which is TypeScript as well. */
export function codeFor(framework: Framework, target: CodeTarget): string {
  const parts = { express, fastify, nestjs, worker }[framework](target);
  return `${parts.join('\n')}\n`;
}

/** Text as a literal. */
function quote(text: string): string {
  return `'${JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
}

const IMPORTS = [
  "import { OpenFeature } from '@openfeature/server-sdk';",
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
    `const url = ${quote(url)};`,
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
    `    environment: ${quote(environment)},`,
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
  'await OpenFeature.setProviderAndWait(provider);',
  'await guard.start();',
];

const SHUTDOWN = ['  await guard.close();', '  await OpenFeature.close();'];

function express(target: CodeTarget): string[] {
  return [
    "import express from 'express';",
    ...IMPORTS,
    '',
    ...setUp(target),
    '',
    ...START,
    '',
    ...OPERATION,
    '',
    'const app = express();',
    "app.get('/work/:user', async (request, response) => {",
    "  response.send(await run({ targetingKey: request.params.user }, 'a request'));",
    '});',
    'const server = app.listen(Number(process.env.PORT ?? 3000));',
    '',
    "process.once('SIGTERM', async () => {",
    '  server.close();',
    ...SHUTDOWN,
    '});',
  ];
}

function fastify(target: CodeTarget): string[] {
  return [
    "import Fastify from 'fastify';",
    ...IMPORTS,
    '',
    ...setUp(target),
    '',
    ...START,
    '',
    ...OPERATION,
    '',
    'const app = Fastify();',
    "app.get('/work/:user', async (request) => {",
    "  const { user = '' } = Object(request.params);",
    "  return run({ targetingKey: user }, 'a request');",
    '});',
    "app.addHook('onClose', async () => {",
    ...SHUTDOWN,
    '});',
    'await app.listen({ port: Number(process.env.PORT ?? 3000) });',
    '',
    "process.once('SIGTERM', () => app.close());",
  ];
}

function nestjs(target: CodeTarget): string[] {
  return [
    "import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';",
    ...IMPORTS,
    '',
    ...setUp(target),
    '',
    ...OPERATION,
    '',
    '// List it in the providers of a module, and inject it where the work is done: rollout.run(user.id, input).',
    '// In main.ts, app.enableShutdownHooks() makes the guard end with the application.',
    '@Injectable()',
    'export class Rollout implements OnModuleInit, OnApplicationShutdown {',
    '  async onModuleInit() {',
    ...START.map((line) => `    ${line}`),
    '  }',
    '',
    '  run(user: string, input: string) {',
    '    return run({ targetingKey: user }, input);',
    '  }',
    '',
    '  async onApplicationShutdown() {',
    ...SHUTDOWN.map((line) => `  ${line}`),
    '  }',
    '}',
  ];
}

function worker(target: CodeTarget): string[] {
  return [
    ...IMPORTS,
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
    'await guard.close();',
    'await OpenFeature.close();',
  ];
}
