// A BullMQ worker whose jobs are guarded. Start several: they share one rollout through the Redis of the queue.
import { OpenFeature } from '@openfeature/server-sdk';
import { type Job, Worker } from 'bullmq';
import { createClient } from 'redis';
import {
  criticalErrors,
  failureRegression,
  OutcomeHook,
  RolloutGuard,
  successRateBelow,
  UnleashProvider,
} from 'unleash-rollout-guard';
import { RedisOutcomeStore } from 'unleash-rollout-guard/redis';
import { type InvoiceJob, printInvoice, typesetInvoice } from './invoice.js';

const url = process.env.UNLEASH_URL ?? 'https://unleash.example.com/api';
const environment = process.env.UNLEASH_ENVIRONMENT ?? 'production';
const redisUrl = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';

const provider = new UnleashProvider({
  url,
  appName: 'invoice-worker',
  customHeaders: { Authorization: process.env.UNLEASH_CLIENT_TOKEN ?? '' },
});

const guard = new RolloutGuard({
  flagKey: 'typeset-invoices',
  flags: provider,
  unleash: { url, environment, token: process.env.UNLEASH_ADMIN_TOKEN },
  rollback: [successRateBelow(0.95, { minOutcomes: 50 }), failureRegression(), criticalErrors()],
  store: new RedisOutcomeStore({ url: redisUrl }),
});

OpenFeature.addHooks(new OutcomeHook(guard));
// Without Unleash the worker starts all the same, and jobs take the old path until the flags are there.
await OpenFeature.setProviderAndWait(provider).catch(console.error);
await guard.start();

const render = guard.operation({
  treatment: async (job: Job<InvoiceJob>) => ({ path: 'new', text: typesetInvoice(job.data) }),
  control: async (job: Job<InvoiceJob>) => ({ path: 'old', text: printInvoice(job.data) }),
  attributes: (job) => ({ job_id: job.id ?? '', currency: job.data.currency }),
});

/**
 * A job is one outcome, that of its first attempt. What BullMQ repeats, after an error of both paths or the end of a worker, takes the old
 * path: the rollout costs no further attempt, and no failure counts twice.
 */
async function run(job: Job<InvoiceJob>, signal?: AbortSignal) {
  if (job.attemptsStarted > 1) return { path: 'old', text: printInvoice(job.data) };
  return await render({ targetingKey: job.data.userId }, job, { signal });
}

const connection = await createClient({ url: redisUrl })
  .on('error', (error: Error) => console.error(`Redis: ${error.message}`))
  .connect();
const worker = new Worker<InvoiceJob>('invoices', (job, _token, signal) => run(job, signal), {
  connection,
  concurrency: 10,
});
worker.on('error', (error) => console.error(`The worker: ${error.message}`));
await worker.waitUntilReady();
console.log('The worker is ready.');

/** New jobs first, then the guard of those that were under way. */
async function close(): Promise<void> {
  await worker.close();
  await guard.close();
  await OpenFeature.close();
  await connection.close();
  console.log('The worker is closed.');
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void close());
