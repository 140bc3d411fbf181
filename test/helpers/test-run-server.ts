/**
 * Vitest's global setup: what is expensive is made once in a test run, when the first suite needs it.
 * Suites reach it through `test/helpers/test-run.ts`.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { TestProject } from 'vitest/node';
import type { EmbeddedUnleash } from '../../src/testing/index.js';
import { type Compiled, compile } from './compiled.js';
import type { SharedUnleash } from './test-run.js';

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  // For all that is temporary: unleash-client keeps flags there by the application's name, and those of another run, or of an
  // earlier one, would be taken for this run's.
  const temporary = await mkdtemp(join(tmpdir(), 'tests-'));
  // Tests that give up root's privileges read below it.
  await chmod(temporary, 0o755);
  process.env.TMPDIR = temporary;
  let compiled: Promise<Compiled> | undefined;
  let unleash: Promise<EmbeddedUnleash> | undefined;
  let page: Promise<unknown> | undefined;

  const compiledOnce = () => {
    compiled ??= compile();
    return compiled;
  };
  const unleashOnce = () => {
    unleash ??= startUnleash(compiledOnce()).catch((error) => {
      // A start that a busy machine makes too slow fails one suite, not all that follow.
      unleash = undefined;
      throw error;
    });
    return unleash;
  };
  const pageOnce = () => {
    page ??= buildPage();
    return page;
  };
  const reply = async (path: string, args: unknown[]): Promise<unknown> => {
    if (path === '/page') return void (await pageOnce());
    if (path === '/compiled') return (await compiledOnce()).folder;
    const server = await unleashOnce();
    if (path === '/unleash') {
      // A suite that would start after the server's end fails with how it ended.
      await server.request('GET', '/api/admin/projects');
      return factsOf(server);
    }
    const method = path.replace('/unleash/', '') as Exclude<
      keyof SharedUnleash,
      keyof ReturnType<typeof factsOf>
    >;
    return await (server[method] as (...values: unknown[]) => unknown)(...args);
  };

  // A connection that the server closes while it is idle may end a request that a busy suite sends just then.
  const http = createServer({ keepAliveTimeout: 0 }, async (request, response) => {
    try {
      const body = (await request.setEncoding('utf8').toArray()).join('');
      const value = await reply(request.url!, JSON.parse(body));
      response.end(JSON.stringify({ value }));
    } catch (error) {
      response.statusCode = 500;
      response.end(JSON.stringify({ message: String(error) }));
    }
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  project.provide('testRunUrl', `http://127.0.0.1:${(http.address() as AddressInfo).port}`);

  return async () => {
    http.close();
    http.closeAllConnections();
    await (await unleash?.catch(() => undefined))?.stop();
    await (await compiled?.catch(() => undefined))?.[Symbol.asyncDispose]();
    await rm(temporary, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  };
}

/** The dashboard's page, where the package has it. */
async function buildPage(): Promise<unknown> {
  const { build } = await import('vite');
  const configFile = fileURLToPath(new URL('../../vite.page.config.ts', import.meta.url));
  return build({ configFile, logLevel: 'warn' });
}

async function startUnleash(compiled: Promise<Compiled>): Promise<EmbeddedUnleash> {
  const url = pathToFileURL(join((await compiled).folder, 'dist/testing.mjs')).href;
  const testing = (await import(/* @vite-ignore */ url)) as typeof import('../../src/testing/index.js');
  // Its suites begin at the same time.
  return testing.startEmbeddedUnleash({ startTimeoutMs: 180_000 });
}

function factsOf(unleash: EmbeddedUnleash) {
  const { url, apiUrl, port, adminToken, clientToken, project, environment, user } = unleash;
  return { url, apiUrl, port, adminToken, clientToken, project, environment, user };
}
