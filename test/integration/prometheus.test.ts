import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { RolloutGuard } from '../../src/guard/rollout-guard.js';
import type { Verdict } from '../../src/model/shapes.js';
import { type PrometheusOptions, prometheusAbove } from '../../src/triggers/signals/prometheus.js';
import { eventually } from '../helpers/eventually.js';
import { GuardHarness } from '../helpers/guard-harness.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { MeteredService, startPrometheus } from '../helpers/real-prometheus.js';
import type { RealServer } from '../helpers/real-server.js';

/** A service, and the Prometheus that scrapes it. */
interface World {
  readonly service: MeteredService;
  readonly prometheus: RealServer;
}

describeWithBinary('a real Prometheus', 'prometheus', 'apt-get install prometheus', (program) => {
  const worlds: World[] = [];
  let steady: World;
  /** For tests that break theirs. */
  let spare: World[];
  let harness: GuardHarness;

  const begin = async (): Promise<World> => {
    const service = await MeteredService.start();
    const world = { service, prometheus: await startPrometheus(program, service.target) };
    worlds.push(world);
    return world;
  };

  // Prometheus needs 5 s for its first scrape, so all of them start together.
  beforeAll(async () => {
    [steady, ...spare] = await Promise.all([begin(), begin(), begin()]);
  });

  afterAll(async () => {
    await Promise.all(worlds.flatMap(({ service, prometheus }) => [prometheus.close(), service.close()]));
  });

  beforeEach(async () => {
    harness = await GuardHarness.create();
    steady.service.depth = 5;
  });

  afterEach(() => harness.close());

  const deepQueue = ({ prometheus }: World, options: Partial<PrometheusOptions> = {}) =>
    prometheusAbove({
      url: prometheus.url,
      query: 'max(upload_queue_depth)',
      threshold: 100,
      everyMs: 100,
      // A machine that is busy is no fault of Prometheus.
      timeoutMs: 20_000,
      maxAgeMs: 1_000,
      // The guard's own is that of its made-up Unleash.
      fetch: globalThis.fetch,
      ...options,
    });

  const readFrom = (world: World, options?: Partial<PrometheusOptions>) =>
    deepQueue(world, options).signal.read({ signal: new AbortController().signal });

  const verdictOf = (guard: RolloutGuard): Verdict | undefined => guard.status().verdicts[0];

  it('stops the flag when the metric rises, and not before', async () => {
    // Where it is tried again, the last scrape is from before.
    await eventually(async () => expect(await readFrom(steady)).toMatchObject({ value: 5 }));
    const guard = await harness.started({ rollback: [deepQueue(steady)], tickMs: 50 });
    await eventually(() => expect(verdictOf(guard)).toMatchObject({ status: 'ok', observed: 5 }));
    expect(harness.flags.isOverridden()).toBe(false);

    steady.service.depth = 500;
    await eventually(() => expect(guard.state.status).toBe('stopped'));
    expect(harness.flags.isOverridden()).toBe(true);
    expect(harness.unleash.enabled).toBe(false);
    const [decided] = harness.reported('decided');
    expect(decided?.decision.verdicts).toMatchObject([
      { trigger: 'prometheus-above', status: 'breach', observed: 500, threshold: 100 },
    ]);
    expect(decided?.decision.reason).toMatch(
      /^In Prometheus, max\(upload_queue_depth\) is 500 \(\d+ s ago\), above 100\.$/,
    );
  });

  it('returns insufficient data when Prometheus is down, and reports the fault once', async () => {
    const doomed = spare.pop() ?? (await begin());
    const guard = await harness.started({ rollback: [deepQueue(doomed)], tickMs: 50 });
    await eventually(() => expect(verdictOf(guard)).toMatchObject({ status: 'ok', observed: 5 }));

    await doomed.prometheus.kill();
    doomed.service.depth = 500;
    await eventually(() =>
      expect(verdictOf(guard)).toMatchObject({
        status: 'insufficient-data',
        observed: undefined,
        message: expect.stringContaining('(the last attempt: Prometheus does not answer (ECONNREFUSED))'),
      }),
    );
    expect(verdictOf(guard)?.freshnessMs).toBeGreaterThan(1_000);
    expect(guard.state.status).toBe('armed');
    // The first may be the end of a request that was under way.
    expect(harness.reported('fault').map(({ what, message }) => `${what}: ${message}`)).toEqual([
      expect.stringMatching(/^the signal prometheus-above: Prometheus does not answer \(\w+\)$/),
    ]);
  });

  it('returns insufficient data when the scraped target is down', async () => {
    const orphaned = spare.pop() ?? (await begin());
    const guard = await harness.started({ rollback: [deepQueue(orphaned)], tickMs: 50 });
    await eventually(() => expect(verdictOf(guard)?.status).toBe('ok'));
    await orphaned.service.close();
    // The series are marked as stale: without the mark, the last sample would be the answer for another 5 minutes.
    await eventually(() =>
      expect(verdictOf(guard)).toMatchObject({
        status: 'insufficient-data',
        message: expect.stringContaining('(the last attempt: no data)'),
      }),
    );
    expect(harness.reported('fault')).toEqual([]);
  });

  it('answers queries of every kind as the trigger expects', async () => {
    const read = (query: string) => readFrom(steady, { query });
    await eventually(async () => expect(await read('max(upload_queue_depth)')).toMatchObject({ value: 5 }));
    const begun = Date.now();
    const reading = (await read('sum(upload_queue_depth)')) as { value: number; at: number };
    expect(reading.value).toBe(6);
    expect(reading.at).toBeGreaterThanOrEqual(begun);
    expect(reading.at).toBeLessThanOrEqual(Date.now());
    expect(await read('scalar(max(upload_queue_depth)) * 1e9')).toMatchObject({ value: 5e9 });
    expect(await read('vector(1) / 0')).toMatchObject({ value: Number.POSITIVE_INFINITY });
    expect(await read('vector(0) / 0')).toMatchObject({ value: Number.NaN });
    expect(await read('no_such_metric')).toBeUndefined();
    // The query of docs/signals.md for samples that are young, and the opposite.
    const aged = (age: string) => `max(upload_queue_depth and time() - timestamp(upload_queue_depth) ${age})`;
    expect(await read(aged('< 30'))).toMatchObject({ value: 5 });
    expect(await read(aged('> 30'))).toBeUndefined();
    await expect(read('upload_queue_depth')).rejects.toThrow(
      'the query returned 2 series; aggregate it to one',
    );
    await expect(read('upload_queue_depth[1m]')).rejects.toThrow('the query returned a matrix');
    await expect(read('"text"')).rejects.toThrow('the query returned a string');
    await expect(read('sum(')).rejects.toThrow(/^Prometheus refused the query \(bad_data: .*parse error/);
  });
});
