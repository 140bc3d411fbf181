import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What tests run as processes of their own, and what those load by a computed name. */
const PROGRAMS = [
  'examples/bullmq-worker/main.ts',
  'examples/existing-openfeature/service.ts',
  'examples/express/service.ts',
  'examples/fastify/service.ts',
  'examples/kubernetes/controller.ts',
  'examples/kubernetes/service.ts',
  'examples/lambda/controller.ts',
  'examples/lambda/handler.ts',
  'examples/nestjs/main.ts',
  'examples/several-flags/service.ts',
  'examples/variants/main.ts',
  'src/cli/main.ts',
  'src/fleet/redis/index.ts',
  'src/index.ts',
  'src/opentelemetry/index.ts',
  'src/testing/unleash-process.ts',
  'test/chaos/bare-service.ts',
  'test/chaos/chaos-service.ts',
  'test/examples/lambda-runtime.ts',
  'test/helpers/crashing-service.ts',
  'test/helpers/doctor-program.ts',
  'test/helpers/embedding-process.ts',
  'test/helpers/fleet-instance.ts',
  'test/helpers/folder-service.ts',
  'test/helpers/freezing-service.ts',
  'test/helpers/hanging-service.ts',
  'test/helpers/logging-service.ts',
  'test/helpers/short-lived-service.ts',
];

/** The package and its test programs as JavaScript: one takes a fifth of the time to start that it needs through tsx. */
export interface Compiled extends AsyncDisposable {
  readonly folder: string;
}

export async function compile(): Promise<Compiled> {
  // Within the project, so that the compiled files find the project's packages.
  const cache = join(root, 'node_modules/.cache');
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'compiled-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
  const flags =
    '--module nodenext --target es2023 --types node --noCheck --ignoreConfig --experimentalDecorators'.split(
      ' ',
    );
  try {
    await writeFile(join(folder, 'package.json'), packageJson());
    await promisify(execFile)(
      process.execPath,
      [tsc, ...PROGRAMS, ...flags, '--rootDir', root, '--outDir', folder],
      { cwd: root },
    );
  } catch (error) {
    await remove();
    throw error;
  }
  return { folder, [Symbol.asyncDispose]: remove };
}

/** The package as it is published, but for the place and the form of its files. */
function packageJson(): string {
  const { name, version, type } = createRequire(import.meta.url)('../../package.json');
  const { entries } = createRequire(import.meta.url)('../../scripts/entries.json');
  const paths = Object.entries<string>(entries).map(([entry, source]) => [
    entry === 'index' ? '.' : `./${entry}`,
    `./${source.replace(/\.ts$/, '.js')}`,
  ]);
  const exports = { ...Object.fromEntries(paths), './package.json': './package.json' };
  return JSON.stringify({ name, version, type, exports });
}
