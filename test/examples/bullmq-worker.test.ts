import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Job, Queue } from 'bullmq';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { InvoiceJob } from '../../examples/bullmq-worker/invoice.js';
import { RedisServer } from '../../examples/fleet/redis-server.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { compiledFile, type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';
import { ExampleProcess, unleashVariables, until } from './example-process.js';

const FLAG = 'typeset-invoices';

describeWithBinary('the BullMQ worker', 'redis-server', 'apt-get install redis-server', () => {
  let unleash: SharedUnleash;
  let redis: RedisServer;
  let connection: Awaited<ReturnType<RedisServer['client']>>;
  let queue: Queue<InvoiceJob>;
  let worker: ExampleProcess;
  let jobs = 0;

  const startWorker = async () => {
    const main = await compiledFile('examples/bullmq-worker/main.ts');
    worker = await ExampleProcess.start([main], { ...unleashVariables(unleash), REDIS_URL: redis.url });
    await worker.says('The worker is ready.');
  };

  /** One job of each of so many users. */
  const add = async (count: number, data: Partial<InvoiceJob> = {}) => {
    const invoices = Array.from({ length: count }, (_, user) => ({
      name: 'invoice',
      data: { userId: `user-${user}`, invoiceId: `R-${++jobs}`, total: 1_250, currency: 'EUR', ...data },
      opts: { attempts: 3, backoff: { type: 'fixed' as const, delay: 50 } },
    }));
    return await queue.addBulk(invoices);
  };
  const finished = (added: readonly Job<InvoiceJob>[]) =>
    until(async () => {
      const found = await Promise.all(added.map(({ id }) => queue.getJob(id!)));
      expect(found.filter((job) => job?.finishedOn === undefined).map((job) => job?.id)).toEqual([]);
      return found.map((job) => job!);
    });
  const paths = (done: readonly Job[]) => done.map(({ returnvalue }) => returnvalue?.path).sort();

  beforeAll(async () => {
    [unleash, redis] = await Promise.all([sharedUnleash(), RedisServer.start()]);
    await unleash.createFlag(FLAG, { percentage: 50 });
    connection = await redis.client();
    queue = new Queue('invoices', { connection });
    await startWorker();
  });

  afterAll(async () => {
    await worker?.[Symbol.asyncDispose]();
    await queue?.close();
    await connection?.close();
    await redis?.close();
  });

  it('runs each job on the path of its user', async () => {
    const [first, second] = [await finished(await add(40)), await finished(await add(40))];
    expect(new Set(paths(first))).toEqual(new Set(['new', 'old']));
    const pathOf = (done: readonly Job[]) =>
      Object.fromEntries(done.map(({ data, returnvalue }) => [data.userId, returnvalue.path]));
    expect(pathOf(second)).toEqual(pathOf(first));
  });

  it('counts a job that BullMQ repeats once, by its first attempt', async () => {
    const added = await add(20, { total: Number.NaN });
    for (const job of await finished(added)) {
      expect(job).toMatchObject({ attemptsMade: 3, failedReason: expect.stringContaining('whole cents') });
    }
    const ids = new Set(added.map(({ id }) => id));
    await until(async () => {
      const log = await readFile(join(worker.folder, 'logs/typeset_invoices_rollout/metrics.jsonl'), 'utf8');
      const counted = log
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { success: boolean; attributes: { job_id: string } })
        .filter(({ attributes }) => ids.has(attributes.job_id));
      expect(counted.map(({ success }) => success)).toEqual(Array(20).fill(false));
      expect(new Set(counted.map(({ attributes }) => attributes.job_id)).size).toBe(20);
    });
    // The control fails as often: that is no reason to stop the flag.
    expect((await unleash.flag(FLAG)).enabled).toBe(true);
  });

  it('serves every job by the old path while the new one fails, and turns the flag off', async () => {
    const done = await finished(await add(300, { currency: 'EURO' }));
    expect(done.map(({ failedReason }) => failedReason).filter(Boolean)).toEqual([]);
    expect(new Set(paths(done))).toEqual(new Set(['old']));
    await until(async () => expect((await unleash.flag(FLAG)).enabled).toBe(false));
    expect(new Set(paths(await finished(await add(20))))).toEqual(new Set(['old']));
  });

  it('finishes the jobs under way on SIGTERM, and leaves the others to the next worker', async () => {
    // Ten in 100 ms: some are left when the signal comes, also where this process has to wait for its turn.
    await queue.setGlobalRateLimit(10, 100);
    const added = await add(200);
    expect(await worker.ends('SIGTERM')).toBe(0);
    expect(worker.said).toContain('The worker is closed.');
    expect(await queue.getActiveCount()).toBe(0);
    expect(await queue.getWaitingCount()).toBeGreaterThan(0);
    await queue.removeGlobalRateLimit();
    await worker[Symbol.asyncDispose]();
    await startWorker();
    const done = await finished(added);
    expect(done.map(({ attemptsStarted }) => attemptsStarted)).toEqual(Array(200).fill(1));
  });
});
