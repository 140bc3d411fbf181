import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What tests run as processes of their own beside the package's programs, and what those load by a computed name. */
const PROGRAMS = [
  'examples/bullmq-worker/main',
  'examples/existing-openfeature/service',
  'examples/express/service',
  'examples/fastify/service',
  'examples/kubernetes/controller',
  'examples/kubernetes/service',
  'examples/lambda/controller',
  'examples/lambda/handler',
  'examples/nestjs/main',
  'examples/several-flags/service',
  'examples/variants/main',
  'test/chaos/bare-service',
  'test/chaos/chaos-service',
  'test/examples/lambda-runtime',
  'test/helpers/crashing-service',
  'test/helpers/doctor-program',
  'test/helpers/embedding-process',
  'test/helpers/fleet-instance',
  'test/helpers/folder-service',
  'test/helpers/freezing-service',
  'test/helpers/hanging-service',
  'test/helpers/logging-service',
  'test/helpers/short-lived-service',
];

/** The package as it is built, in `dist/`, and the programs of tests as JavaScript beside it. */
export interface Compiled extends AsyncDisposable {
  readonly folder: string;
}

export async function compile(): Promise<Compiled> {
  // Within the project, so that the compiled files find the project's packages.
  const cache = join(root, 'node_modules/.cache');
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'compiled-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    const { name, version, type, exports } = createRequire(import.meta.url)('../../package.json');
    await writeFile(join(folder, 'package.json'), JSON.stringify({ name, version, type, exports }));
    const build = [join(root, 'scripts/build.mjs'), join(folder, 'dist')];
    await Promise.all([promisify(execFile)(process.execPath, build), bundlePrograms(folder)]);
  } catch (error) {
    await remove();
    throw error;
  }
  return { folder, [Symbol.asyncDispose]: remove };
}

/** In few files: a program of hundreds takes twice the time to start. */
async function bundlePrograms(folder: string): Promise<void> {
  await using bundle = await rolldown({
    cwd: root,
    input: Object.fromEntries(PROGRAMS.map((program) => [program, `${program}.ts`])),
    platform: 'node',
    // But for what decorators need: rolldown has it.
    external: (id) => !id.startsWith('.') && !isAbsolute(id) && !id.includes('@oxc-project/runtime'),
    onLog(level, log) {
      if (level !== 'info') throw new Error(log.message);
    },
  });
  await bundle.write({ dir: folder, format: 'esm', entryFileNames: '[name].js' });
}
