/** Many instances in one process, which the bench starts beside Redis and the leader. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'redis';
import type { RedisClient } from '../../src/fleet/redis/redis-client.js';
import { Intervals } from '../../src/support/intervals.js';
import { serve } from './child.js';
import { type Flush, SimulatedInstance } from './instance.js';
import { quantile, steadyMs } from './traffic.js';

/** Requests come in slices of this length. */
const SLICE_MS = 50;
/** Whatever the leader does, a round ends. */
const ROUND_MS = 15_000;

const instances: SimulatedInstance[] = [];
let flushes: Flush[] = [];
let recorded = 0;
let rate = 0;
let active = Number.POSITIVE_INFINITY;
let problems = 0;
let problem = '';
let cpu = process.cpuUsage();
let busy = performance.eventLoopUtilization();

interface Start {
  readonly url: string;
  readonly flagKey: string;
  readonly count: number;
  /** Instances that share a connection for commands, and their timers: a process may have only so many connections. @default 1 */
  readonly perConnection?: number;
}

const handlers = {
  async start({ url, flagKey, count, perConnection = 1 }: Start) {
    const onProblem = (text: string) => {
      problems++;
      problem = text;
    };
    let starting: Promise<void>[] = [];
    let shared: RedisClient | undefined;
    let intervals: Intervals | undefined;
    for (let i = 0; i < count; i++) {
      if (perConnection > 1 && i % perConnection === 0) {
        await Promise.all(starting);
        starting = [];
        const client = await createClient({ url }).connect();
        client.on('error', (error: Error) => onProblem(String(error)));
        shared = client as unknown as RedisClient;
        intervals = new Intervals();
      }
      const onFlush = (flush: Flush) => flushes.push(flush);
      const instance = new SimulatedInstance(shared ?? url, flagKey, onFlush, onProblem, intervals);
      instances.push(instance);
      starting.push(instance.member.start());
      // Processes do not start, and so do not flush, in the same millisecond.
      if (perConnection === 1) await sleep(Math.max(1, 2_000 / count));
    }
    await Promise.all(starting);
    // More instances: the work of the first ones goes on.
    if (instances.length > count) return;
    let last = steadyMs();
    setInterval(() => {
      const seconds = Math.min(1, (steadyMs() - last) / 1_000);
      last = steadyMs();
      for (const instance of instances.slice(0, active)) recorded += instance.work(rate, seconds);
    }, SLICE_MS);
  },

  setRate(perSecond: number) {
    rate = perSecond;
  },

  /** So many of the instances have requests. */
  setActive(count: number) {
    active = count;
  },

  /** What happened since the last call. */
  usage() {
    const { user, system } = process.cpuUsage(cpu);
    const now = performance.eventLoopUtilization();
    const sent = flushes.filter(({ bytes }) => bytes > 0);
    const usage = {
      flushes: flushes.length,
      recorded,
      deltaBytes: sent.reduce((sum, { bytes }) => sum + bytes, 0) / Math.max(1, sent.length),
      flushP50Ms: quantile(
        flushes.map(({ ms }) => ms),
        0.5,
      ),
      flushP99Ms: quantile(
        flushes.map(({ ms }) => ms),
        0.99,
      ),
      cpuMs: (user + system) / 1e3,
      busy: performance.eventLoopUtilization(now, busy).utilization,
      rssBytes: process.memoryUsage.rss(),
      problems,
      problem,
    };
    flushes = [];
    recorded = 0;
    problems = 0;
    cpu = process.cpuUsage();
    busy = now;
    return usage;
  },

  /** Waits until all are in an epoch and not stopped. */
  async settle(epoch: number) {
    const until = steadyMs() + ROUND_MS;
    while (steadyMs() < until && !instances.every((instance) => instance.isHealthyIn(epoch))) await sleep(20);
    return instances.filter((instance) => !instance.isHealthyIn(epoch)).length;
  },

  /** One instance has a critical error and sends it at once. */
  async critical() {
    const one = instances[Math.floor(Math.random() * instances.length)]!;
    return { ...(await one.sendCritical()), stoppedAt: await stoppedEverywhere() };
  },

  /** When the stop came to each, which another process has caused. */
  stopped: stoppedEverywhere,

  /** From now on the treatment fails wherever it runs; who sends when is left to the timers. */
  async breakTreatment() {
    for (const instance of instances) instance.isFailing = true;
    const recordedAt = steadyMs();
    return { recordedAt, flushedAt: recordedAt, stoppedAt: await stoppedEverywhere() };
  },
};

/** When the stop came to each of them. */
async function stoppedEverywhere(): Promise<number[]> {
  const until = steadyMs() + ROUND_MS;
  while (steadyMs() < until && instances.some(({ stoppedAt }) => stoppedAt === undefined)) await sleep(20);
  return instances.flatMap(({ stoppedAt }) => stoppedAt ?? []);
}

export type Simulator = typeof handlers;
serve(handlers);
