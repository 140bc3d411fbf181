import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Suites that take longest: one that began at the end would run alone. */
const LONGEST = [
  'dashboard/page',
  'testing/embedded-unleash',
  'integration/guard',
  'integration/connection',
  'integration/drill',
  'integration/run',
  'examples/upload-service/end-to-end/delivery',
  'integration/fleet',
  'integration/fleet-frozen',
  'integration/doctor-services',
  'cli/outputs',
  'cli/init-terminal',
  'guard/callbacks',
  'fleet/fleet-rollups',
  'fleet/lost-keys',
  'operation/freeze',
].map((name) => `/test/${name}.test.ts`);

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const index = LONGEST.findIndex((name) => moduleId.endsWith(name));
      return index === -1 ? LONGEST.length : index;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  resolve: {
    alias: [
      { find: /^unleash-rollout-guard\/dashboard$/, replacement: source('src/dashboard/index.ts') },
      {
        find: /^unleash-rollout-guard\/opentelemetry$/,
        replacement: source('src/opentelemetry/index.ts'),
      },
      { find: /^unleash-rollout-guard\/redis$/, replacement: source('src/fleet/redis/index.ts') },
      { find: /^unleash-rollout-guard\/testing$/, replacement: source('src/testing/index.ts') },
      { find: /^unleash-rollout-guard$/, replacement: source('src/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    restoreMocks: true,
    // Ends a test that hangs, and no test that a busy machine makes slow: more than `eventually()` waits.
    testTimeout: 120_000,
    // On a machine that others use too, a real server may be late once; what needs it is marked in the output.
    retry: process.env.CI === 'true' ? 1 : 0,
    globalSetup: 'test/helpers/test-run-server.ts',
    // The first suite that needs the compiled programs or the real Unleash waits for them.
    hookTimeout: 240_000,
    // Until the shared Unleash has ended and what was temporary is removed.
    teardownTimeout: 60_000,
    // More than two cores have: much of the time, tests wait for processes of their own.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    // Of this process only: programs that suites start are not measured.
    coverage: {
      provider: 'v8',
      include: ['src/**', 'providers/**', 'hooks/**'],
      reporter: ['text-summary', 'html'],
      reportOnFailure: true,
    },
  },
});
