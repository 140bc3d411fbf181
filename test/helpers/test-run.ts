import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { inject, TestRunner } from 'vitest';
import type { EmbeddedUnleash } from '../../src/testing/index.js';

declare module 'vitest' {
  interface ProvidedContext {
    testRunUrl: string;
  }
}

/**
 * The Unleash that all suites of a test run share. It stays up, so each suite names its flags and users so that no other
 * suite meets them.
 */
export type SharedUnleash = Omit<EmbeddedUnleash, 'pause' | 'resume' | 'stop' | typeof Symbol.asyncDispose>;

/** As much of an Unleash as a service needs to reach it. */
export type ReachableUnleash = Pick<
  EmbeddedUnleash,
  'apiUrl' | 'clientToken' | 'adminToken' | 'project' | 'environment'
>;

/** Starts the shared Unleash if no suite has done so before. */
export async function sharedUnleash(): Promise<SharedUnleash> {
  const call =
    <T>(method: string) =>
    (...args: unknown[]) =>
      fromTestRun<T>(`/unleash/${method}`, args);
  const createFlag = call<void>('createFlag');
  const request = call('request');
  return {
    ...(await fromTestRun<SharedUnleash>('/unleash')),
    async createFlag(key, ...options) {
      if ((TestRunner.getCurrentTest()?.result?.retryCount ?? 0) > 0) await removeFlag(request, key);
      await createFlag(key, ...options);
    },
    setPercentage: call('setPercentage'),
    addStrategy: call('addStrategy'),
    enable: call('enable'),
    disable: call('disable'),
    flag: call('flag'),
    history: call('history'),
    request,
  };
}

/** Removes what the attempt before has left, if it came so far: no test can be tried again while its flag exists. */
async function removeFlag(request: SharedUnleash['request'], key: string): Promise<void> {
  const paths = [`/api/admin/projects/default/features/${key}`, `/api/admin/archive/${key}`];
  for (const path of paths) await request('DELETE', path).catch(() => undefined);
}

/** By its path from the project's root: a file of the built package in `dist/`, or a TypeScript file that `compiled.ts` lists, as JavaScript. */
export async function compiledFile(path: string): Promise<string> {
  return join(await fromTestRun<string>('/compiled'), path.replace(/\.ts$/, '.js'));
}

/** The built package on a command line. */
export interface CommandLine {
  readonly unleash: SharedUnleash;
  /** The built `rollout-guard`. */
  readonly main: string;
  /** A folder within the built package, so that what is written there can import it by its name. */
  readonly folder: string;
}

/** What a suite of commands on the shared Unleash works with. */
export async function commandLine(prefix: string): Promise<CommandLine> {
  const unleash = await sharedUnleash();
  return {
    unleash,
    main: await compiledFile('dist/cli.js'),
    folder: await mkdtemp(join(await compiledFile(''), prefix)),
  };
}

/** Builds the dashboard's page, in `dist/page`, if no suite has done so before. */
export async function builtPage(): Promise<void> {
  await fromTestRun('/page');
}

async function fromTestRun<T>(path: string, args: readonly unknown[] = []): Promise<T> {
  const answer = await fetch(inject('testRunUrl') + path, { method: 'POST', body: JSON.stringify(args) });
  const { value, message } = (await answer.json()) as { value: T; message?: string };
  if (!answer.ok) throw new Error(message);
  return value;
}
