import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { codeFor } from '../../src/cli/init/frameworks.js';
import { type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';
import { until } from './example-process.js';
import { Backend, ExampleService } from './example-service.js';

const EXAMPLES = [
  { framework: 'express', folder: 'examples/express', main: 'service.ts', flagKey: 'new-search' },
  { framework: 'fastify', folder: 'examples/fastify', main: 'service.ts', flagKey: 'search-v2' },
  { framework: 'nestjs', folder: 'examples/nestjs', main: 'main.ts', flagKey: 'search-backend' },
] as const;

const TWO_PATHS = [
  'const run = guard.operation({',
  '  // The new path, and the old one: each gets what the call gives, and returns or throws.',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: of the code that is printed.
  '  treatment: async (input) => `new path: ${input}`,',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: of the code that is printed.
  '  control: async (input) => `old path: ${input}`,',
];

/** What the reader of the printed code replaces. */
const REPLACED = {
  express: [
    ...TWO_PATHS,
    "app.get('/work/:user', async (request, response) => {",
    "  response.send(await run({ targetingKey: request.params.user }, 'a request'));",
  ],
  fastify: [
    ...TWO_PATHS,
    "app.get('/work/:user', async (request) => {",
    "  const { user = '' } = Object(request.params);",
    "  return run({ targetingKey: user }, 'a request');",
  ],
  nestjs: [
    ...TWO_PATHS,
    '// List it in the providers of a module, and inject it where the work is done: rollout.run(user.id, input).',
    '// In main.ts: app.enableShutdownHooks() ends the guard with the application, and',
    "// app.use('/rollouts', app.get(Rollout).dashboard) mounts the dashboard.",
    '  run(user: string, input: string) {',
    '    return run({ targetingKey: user }, input);',
  ],
};

const NEW = { status: 200, text: '{"from":"/v2"}' };
const OLD = { status: 200, text: '{"from":"/v1"}' };

let unleash: SharedUnleash;

beforeAll(async () => {
  unleash = await sharedUnleash();
});

describe.each(EXAMPLES)('the example of $framework', ({ framework, folder, main, flagKey }) => {
  it('serves both arms, turns its flag off when the new path fails, and ends with its last request', {
    timeout: 120_000,
  }, async () => {
    await unleash.createFlag(flagKey, { percentage: 50, stickiness: 'userId' });
    await using backend = await Backend.start();
    await using service = await ExampleService.start(`${folder}/${main}`, unleash, {
      SEARCH_URL: backend.url,
    });
    // A machine that is busy may have delayed its event loop.
    await until(async () =>
      expect(JSON.parse((await service.ask('/health')).text)).toMatchObject({
        status: 'ok',
        guard: { status: 'ok' },
      }),
    );

    const served = await service.askAs(20, '/search?q=shoes');
    expect(served).toContainEqual(NEW);
    expect(served).toContainEqual(OLD);
    expect(await service.askAs(20, '/search?q=shoes')).toEqual(served);

    // Users' own mistakes are counted for neither arm.
    expect((await service.ask('/search?q=shoes')).status).toBe(401);
    expect((await service.askAs(20, '/search?q=')).map(({ status }) => status)).toEqual(Array(20).fill(400));
    const { treatment, control } = (await service.view(flagKey)).arms;
    expect(treatment.counts.failures + control.counts.failures).toBe(0);
    expect(treatment.counts.expected + control.counts.expected).toBe(20);
    expect((await fetch(`${service.url}/rollouts/api/flags`)).status).toBe(401);

    backend.broken = /^\/v2/;
    const duringFailure = await service.askUntilOff(unleash, flagKey, '/search?q=shoes');
    expect(duringFailure).toEqual(duringFailure.map(() => OLD));
    backend.broken = undefined;
    expect(await service.askAs(20, '/search?q=shoes')).toEqual(Array(20).fill(OLD));
    await until(async () => expect((await service.view(flagKey)).state.status).toBe('stopped'));

    // An open page of the dashboard does not keep the service alive; a request that is under way does.
    const page = await service.dashboard('api/events');
    const last = service.ask('/search?q=slow', 'user-1');
    await until(() => expect(backend.waiting).toBe(1));
    const ended = service.terminate();
    await until(() => expect(fetch(`${service.url}/health`)).rejects.toThrow());
    backend.release();
    expect(await last).toEqual(OLD);
    expect(await ended, service.output).toBe(0);
    await page.body?.cancel();
    expect(await service.summary(flagKey)).toMatchObject({ total: { count: 81 + duringFailure.length } });
  });

  it('has what rollout-guard init prints, but for its two paths', async () => {
    const target = { url: 'https://unleash.example.com/api', project: 'default', environment: 'production' };
    const printed = codeFor(framework, { ...target, flagKey }, true).split('\n');
    const file = framework === 'nestjs' ? 'rollout.service.ts' : main;
    const example = (await readFile(`${folder}/${file}`, 'utf8')).split('\n');
    expect(withoutMatch(printed, example)).toEqual(REPLACED[framework]);
  });
});

it('the example of Express starts without flags, and serves the old path', async () => {
  await using backend = await Backend.start();
  await using service = await ExampleService.start('examples/express/service.ts', unleash, {
    SEARCH_URL: backend.url,
    UNLEASH_CLIENT_TOKEN: `default:${unleash.environment}.unknown`,
  });
  expect(service.output).toContain('PROVIDER_FATAL');
  expect(await service.askAs(20, '/search?q=shoes')).toEqual(Array(20).fill(OLD));
  expect(await service.terminate(), service.output).toBe(0);
});

/** The lines that are not in another text, in their order. */
function withoutMatch(lines: readonly string[], text: readonly string[]): string[] {
  let from = 0;
  return lines.filter((line) => {
    const found = text.indexOf(line, from);
    if (found >= 0) from = found + 1;
    return found < 0;
  });
}
