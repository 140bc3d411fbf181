import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { flagOf } from './bootstrapped.js';
import { startLoopbackUnleash } from './loopback-unleash.js';

const fixture = fileURLToPath(new URL('exit-fixture.ts', import.meta.url));

describe('a process that closed its provider', () => {
  // In NODE_ENV=test unleash-client's timers would keep a process alive that forgot to stop them.
  it.each(['production', 'test'])(
    'exits by itself, its usage sent, with NODE_ENV=%s',
    async (environment) => {
      await using unleash = await startLoopbackUnleash({ version: 2, features: [flagOf({})] });

      // Far less than the 15 s and 60 s of unleash-client's timers: a timer that still runs fails the test.
      const { stdout, stderr } = await promisify(execFile)(
        process.execPath,
        ['--import', 'tsx', fixture, unleash.url],
        {
          env: { ...process.env, NODE_ENV: environment },
          timeout: 12_000,
        },
      );

      expect([stdout, stderr]).toEqual(['enabled: true', '']);
      expect(unleash.sentMetrics.map(({ bucket }) => bucket.toggles.upload)).toMatchObject([
        { yes: 1, no: 0 },
      ]);
    },
  );

  it('exits within 5 s when Unleash does not answer any more', async () => {
    await using unleash = await startLoopbackUnleash({ version: 2, features: [flagOf({})] });
    unleash.handler = ({ url = '' }) => !url.endsWith('/client/features') || unleash.polls.length > 0;

    const start = performance.now();
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', fixture, unleash.url, 'hanging'],
      { env: { ...process.env, NODE_ENV: 'production' }, timeout: 20_000 },
    );

    expect(stdout).toMatch(/^enabled: true closed after \d+ ms$/);
    expect(Number(stdout.match(/\d+/)?.[0])).toBeLessThan(5_000);
    // With the time that a process takes to start.
    expect(performance.now() - start).toBeLessThan(12_000);
  });
});
