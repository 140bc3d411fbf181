import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { startLoopbackProvider } from '../../examples/upload-service/loopback-provider.js';
import { eventually } from '../helpers/eventually.js';

const root = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const text = (path: string) => readFile(root(path), 'utf8');

it('the quickstart of the README is in examples/quickstart.ts, word for word', async () => {
  const blocks = [...(await text('README.md')).matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => match[1]!);
  const quickstart = blocks.find(
    (block) => block.includes('new RolloutGuard(') && block.includes('new OutcomeHook('),
  );
  expect(quickstart).toBeDefined();
  expect(await text('examples/quickstart.ts')).toContain(quickstart!);
});

/** Runs an example in its own process and folder until `check` accepts what it has done; `said` is its output. */
async function runs(
  example: string,
  check: (provider: Awaited<ReturnType<typeof startLoopbackProvider>>, said: string) => void,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'quickstart-test-'));
  const provider = await startLoopbackProvider();
  const tsx = createRequire(import.meta.url).resolve('tsx/cli');
  const world = root('test/examples/quickstart-world.ts');
  const child = spawn(
    process.execPath,
    [tsx, '--tsconfig', root('tsconfig.json'), '--import', world, root(example)],
    {
      cwd: folder,
      env: {
        ...process.env,
        TMPDIR: folder, // Where unleash-client keeps its backup.
        UNLEASH_CLIENT_TOKEN: 'default:production.made-up',
        UNLEASH_ADMIN_TOKEN: '*:*.made-up',
        FILE_API_URL: provider.baseUrl('kimi'),
        FILE_API_KEY: provider.apiKey,
      },
    },
  );
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  try {
    await eventually(() => {
      expect(child.exitCode ?? 0, said).toBe(0);
      check(provider, said);
    });
  } finally {
    child.kill();
    await ended;
    await provider.close();
    await rm(folder, { recursive: true, force: true });
  }
}

it('the quickstart runs as it is written', async () => {
  await runs('examples/quickstart.ts', (provider, said) => {
    const uploaded = [{ fileName: 'hello.txt', sizeBytes: 22, streamed: true }];
    expect(provider.received, said).toMatchObject(uploaded);
  });
});

it('the example of metrics runs as it is written, and docs/metrics.md shows its rules', async () => {
  const example = await text('examples/metrics.ts');
  const shown = /^```ts\n( {2}rollback: .*?)^```$/ms.exec(await text('docs/metrics.md'))?.[1];
  expect(shown).toBeDefined();
  expect(example).toContain(shown!);
  await runs('examples/metrics.ts', (_, said) => {
    for (const name of ['checkout-completed', 'cart-value', 'page-error']) {
      expect(said).toContain(`${name}: 1 tracked, 0 of unknown users`);
    }
  });
});
