import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { timeLimit } from '../../helpers/machine-time.js';
import { flagOf } from './bootstrapped.js';
import { startLoopbackUnleash } from './loopback-unleash.js';

const fixture = fileURLToPath(new URL('exit-fixture.ts', import.meta.url));
/** Far less than the 15 s and 60 s of unleash-client's timers: a timer that still runs keeps the process for longer. */
const EXIT_MS = 5_000;

/** Runs the fixture to its end. @returns what it wrote, and how long it was there after that, its provider closed. */
async function run(environment: string, ...args: string[]) {
  const child = spawn(process.execPath, ['--import', 'tsx', fixture, ...args], {
    env: { ...process.env, NODE_ENV: environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const written = { out: '', problems: '' };
  child.stderr.on('data', (data) => {
    written.problems += data;
  });
  let closedAt = 0;
  child.stdout.on('data', (data) => {
    closedAt = performance.now();
    written.out += data;
  });
  await once(child, 'close');
  return { ...written, exitMs: performance.now() - closedAt };
}

describe('a process that closed its provider', () => {
  // In NODE_ENV=test unleash-client's timers would keep a process alive that forgot to stop them.
  it.each(['production', 'test'])(
    'exits by itself, its usage sent, with NODE_ENV=%s',
    async (environment) => {
      await using unleash = await startLoopbackUnleash({ version: 2, features: [flagOf({})] });
      const limit = timeLimit(EXIT_MS);

      const { out, problems, exitMs } = await run(environment, unleash.url);

      expect([out, problems]).toEqual(['enabled: true', '']);
      expect(exitMs).toBeLessThan(limit());
      expect(unleash.sentMetrics.map(({ bucket }) => bucket.toggles.upload)).toMatchObject([
        { yes: 1, no: 0 },
      ]);
    },
  );

  it('closes and exits within 5 s when Unleash does not answer any more', async () => {
    await using unleash = await startLoopbackUnleash({ version: 2, features: [flagOf({})] });
    unleash.handler = ({ url = '' }) => !url.endsWith('/client/features') || unleash.polls.length > 0;
    const limit = timeLimit(EXIT_MS);

    const { out, exitMs } = await run('production', unleash.url, 'hanging');

    expect(out).toMatch(/^enabled: true closed after \d+ ms$/);
    expect(Number(out.match(/\d+/)?.[0]) + exitMs).toBeLessThan(limit());
  });
});
