import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, vi } from 'vitest';
import { startLoopbackProvider } from '../../examples/upload-service/loopback-provider.js';

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

it('the quickstart runs as it is written', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'quickstart-test-'));
  const provider = await startLoopbackProvider();
  const tsx = createRequire(import.meta.url).resolve('tsx/cli');
  const world = root('test/examples/quickstart-world.ts');
  const child = spawn(
    process.execPath,
    [tsx, '--tsconfig', root('tsconfig.json'), '--import', world, root('examples/quickstart.ts')],
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
    await vi.waitFor(
      () => {
        expect(child.exitCode, said).toBeNull();
        expect(provider.received, said).toMatchObject([
          { fileName: 'hello.txt', sizeBytes: 22, streamed: true },
        ]);
      },
      { timeout: 15_000, interval: 50 },
    );
  } finally {
    child.kill();
    await ended;
    await provider.close();
    await rm(folder, { recursive: true });
  }
});
