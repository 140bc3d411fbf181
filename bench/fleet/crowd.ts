import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisServer } from '../../examples/fleet/redis-server.js';
import { median } from '../harness.js';
import { FleetLeader } from './fleet-leader.js';
import { RedisMeter } from './redis-usage.js';
import { Simulators } from './simulators.js';
import { quantile } from './traffic.js';

const FLAG_KEY = 'crowd';
/** What is promised, in milliseconds: a verdict after its flush. */
const PROMISED_MS = 1_000;

/**
 * A large fleet, of which most instances are idle: more and more of them have requests, until the leader is a second behind. Each time one
 * critical error stops all. Each instance listens on a connection of its own; commands share some.
 */
export async function crowd(
  redis: RedisServer,
  options: {
    /** Instances, and connections that only listen. */
    readonly count: number;
    /** Connections that only listen: they stand for instances that have processors of their own. */
    readonly listening: number;
    readonly seconds: number;
    readonly rounds: number;
  },
): Promise<readonly Record<string, number | string>[]> {
  const { listening, seconds, rounds } = options;
  const count = options.count - listening;
  const client = await redis.client();
  const meter = new RedisMeter(client);
  const leader = new FleetLeader(redis.url, FLAG_KEY);
  const simulators = new Simulators();
  const rows = [];
  try {
    await leader.member.start();
    const fleet = { url: redis.url, flagKey: FLAG_KEY, count };
    await (listening > 0 ? simulators.startAmong(listening, fleet) : simulators.start(fleet));
    await simulators.setRate(1);
    for (const share of [0, 0.05, 0.2, 0.4, 0.7, 1]) {
      await simulators.setActive(Math.round(share * count));
      await sleep(8_000);
      leader.usage();
      await simulators.usage();
      await meter.start();
      await sleep(seconds * 1_000);
      const used = await meter.stop();
      const [sent, read] = [await simulators.usage(), leader.usage()];
      const stops = [];
      for (let round = 0; round < rounds; round++) {
        if ((await simulators.settle(await leader.clearStop())) > 0) break;
        await sleep(1_500);
        const verdict = leader.nextVerdict();
        await simulators.usage();
        const { stoppedAt, flushedAt } = await simulators.critical();
        const { cpuMs } = await simulators.usage();
        const at = await verdict;
        const after = stoppedAt.map((each) => each - at);
        const missing = count - stoppedAt.length;
        stops.push({ verdict: at - flushedAt, after, missing, cpuMs });
      }
      await leader.clearStop();
      rows.push({
        'with requests': Math.round(share * count),
        'syncs/s': Math.round(sent.flushes / used.seconds),
        'deltas/s': Math.round(read.deltas / used.seconds),
        'Redis, % of a core': Math.round(used.cpuMs / 10),
        'leader, %': Math.round(read.cpuMs / used.seconds / 10),
        'instances, %': Math.round(sent.cpuMs / used.seconds / 10),
        'Redis: MB': Math.round(used.memoryBytes / 1e6),
        'sync: median ms': Math.round(sent.flushP50Ms),
        '99 % ms': Math.round(sent.flushP99Ms),
        'delta → verdict, worst ms': Math.round(read.lagMaxMs),
        'critical flush → verdict, ms': Math.round(median(stops.map(({ verdict }) => verdict))),
        'verdict → half of all, ms': Math.round(median(stops.map(({ after }) => quantile(after, 0.5)))),
        '99 % of all, ms': Math.round(median(stops.map(({ after }) => quantile(after, 0.99)))),
        'the last, ms': Math.round(median(stops.map(({ after }) => Math.max(...after)))),
        'an instance, µs of processor until then': Math.round(
          median(stops.map(({ cpuMs }) => (cpuMs * 1e3) / count)),
        ),
        'not stopped': stops.reduce((sum, { missing }) => sum + missing, 0),
        problems: sent.problems,
      });
      console.log(JSON.stringify(rows.at(-1)));
      if (read.lagP50Ms > PROMISED_MS || sent.flushP99Ms > PROMISED_MS) break;
    }
  } finally {
    await simulators.end();
    await leader.member.close();
    await client.close();
  }
  return rows;
}
