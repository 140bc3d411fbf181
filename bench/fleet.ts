/**
 * What a fleet costs: many instances on one real Redis, with the rules of the first rollout. Redis, the instances and the
 * leader are one process each, so that the processor time of each is known. Every instance has two connections of its own.
 * The two request rates alternate on the same fleet.
 *
 *     npx tsx bench/fleet.ts                             # 1,000 instances, about three minutes
 *     npx tsx bench/fleet.ts --instances 200 --seconds 3 --rate 500
 *     npx tsx bench/fleet.ts --crowd 10000               # so many, of which most are idle, and nothing else
 *     npx tsx bench/fleet.ts --crowd 10000 --listening 9000  # 1,000 of them, among 9,000 connections that only listen
 *     npx tsx bench/fleet.ts --short                     # 100 instances for seconds, as in CI: no limit is looked for
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { RedisServer } from '../examples/fleet/redis-server.js';
import { Child } from './fleet/child.js';
import { crowd } from './fleet/crowd.js';
import { deltaCosts, flushSizes } from './fleet/delta-costs.js';
import { FleetLeader } from './fleet/fleet-leader.js';
import { findLimit } from './fleet/limit.js';
import { RedisMeter } from './fleet/redis-usage.js';
import type { Simulator } from './fleet/simulator.js';
import { median } from './harness.js';

const { values } = parseArgs({
  options: {
    instances: { type: 'string' },
    seconds: { type: 'string' },
    rate: { type: 'string', default: '20' },
    short: { type: 'boolean', default: false },
    crowd: { type: 'string' },
    listening: { type: 'string', default: '0' },
  },
});
const count = Number(values.instances ?? (values.short ? 100 : 1_000));
const seconds = Number(values.seconds ?? (values.short ? 2 : 6));
const TURNS = values.short ? 1 : 3;
const ROUNDS = values.short ? 2 : 7;
/** Requests per second of one instance. */
const [LOW, HIGH] = [1, Number(values.rate)];
const FLAG_KEY = 'fleet';

const problems: string[] = [];

interface Turn {
  readonly [what: string]: number;
}

async function turn(
  meter: RedisMeter,
  simulator: Child<Simulator>,
  leader: FleetLeader,
  rate: number,
): Promise<Turn> {
  await simulator.call('setRate', rate);
  await sleep(2_000);
  leader.usage();
  await simulator.call('usage', undefined as never);
  await meter.start();
  await sleep(seconds * 1_000);
  const redis = await meter.stop();
  const [sent, evaluated] = [await simulator.call('usage', undefined as never), leader.usage()];
  if (sent.problems > 0) problems.push(`${sent.problems} × ${sent.problem}`);
  const flushes = sent.flushes / redis.seconds;
  return {
    'outcomes/s, recorded': sent.recorded / redis.seconds,
    'flushes/s': flushes,
    'commands/s, sent': redis.scripts,
    'commands/s, with those in scripts': redis.commands,
    'KB/s into Redis': redis.bytesIn / 1e3,
    'KB/s out of Redis': redis.bytesOut / 1e3,
    'bytes/s of an instance, both ways': (redis.bytesIn + redis.bytesOut) / count,
    'bytes of a delta': sent.deltaBytes,
    'Redis: memory, MB': redis.memoryBytes / 1e6,
    'Redis: processor, % of a core': redis.cpuMs / 10,
    'Redis: µs for a flush': (redis.cpuMs * 1e3) / flushes,
    'leader: processor, % of a core': evaluated.cpuMs / redis.seconds / 10,
    'leader: µs for a delta': (evaluated.cpuMs * 1e3) / Math.max(1, evaluated.deltas),
    'leader: flush to verdict, median ms': evaluated.lagP50Ms,
    'leader: flush to verdict, worst ms': evaluated.lagMaxMs,
    'flush: median ms': sent.flushP50Ms,
    'flush: 99 % ms': sent.flushP99Ms,
    'simulator: processor, % of a core': sent.cpuMs / redis.seconds / 10,
    'simulator: event loop busy, %': sent.busy * 100,
  };
}

function printTurns(low: readonly Turn[], high: readonly Turn[]): void {
  const middle = (turns: readonly Turn[], what: string) => median(turns.map((each) => each[what]!));
  const rows = Object.keys(low[0]!).map((what) => {
    const ratio = median(high.map((each, index) => each[what]! / low[index]![what]!));
    const row = {
      [`${LOW} request/s each`]: round(middle(low, what)),
      [`${HIGH} requests/s each`]: round(middle(high, what)),
      ratio: Number(ratio.toFixed(2)),
    };
    return [what, row] as const;
  });
  console.table(Object.fromEntries(rows));
}

async function stops(simulator: Child<Simulator>, leader: FleetLeader, what: 'critical' | 'breakTreatment') {
  const rounds = [];
  for (let i = 0; i < ROUNDS; i++) {
    const behind = await simulator.call('settle', await leader.clearStop());
    if (behind > 0) {
      problems.push(`${behind} instances did not see in time that the stop was cleared`);
      break;
    }
    // What was sent for the epoch before has been evaluated, and this one has outcomes.
    await sleep(1_500);
    const verdict = leader.nextVerdict();
    const { recordedAt, flushedAt, stoppedAt } = await simulator.call(what, undefined as never);
    if (stoppedAt.length < count)
      throw new Error(`The stop came to ${stoppedAt.length} of ${count} instances.`);
    const at = await verdict;
    const last = Math.max(...stoppedAt);
    rounds.push({
      'flush answered → verdict': at - flushedAt,
      'recorded → verdict': at - recordedAt,
      'verdict → stopped, median instance': median(stoppedAt) - at,
      'verdict → stopped, last instance': last - at,
      'recorded → stopped, last instance': last - recordedAt,
    });
  }
  return rounds;
}

type Round = Awaited<ReturnType<typeof stops>>[number];

function printStops(title: string, rounds: readonly Round[], without: readonly (keyof Round)[] = []): void {
  console.log(`\n${title}, ${rounds.length} times, in ms`);
  if (rounds.length === 0) return;
  const names = (Object.keys(rounds[0]!) as (keyof Round)[]).filter((name) => !without.includes(name));
  const row = (name: keyof Round) => {
    const times = rounds.map((each) => each[name]);
    return { median: round(median(times)), worst: round(Math.max(...times)) };
  };
  console.table(Object.fromEntries(names.map((name) => [name, row(name)])));
}

async function fleet(redis: RedisServer): Promise<void> {
  const client = await redis.client();
  const meter = new RedisMeter(client);
  const leader = new FleetLeader(redis.url, FLAG_KEY);
  const simulator = new Child<Simulator>('./simulator.ts');
  try {
    await leader.member.start();
    await simulator.call('start', { url: redis.url, flagKey: FLAG_KEY, count }, 120_000);
    const [low, high]: [Turn[], Turn[]] = [[], []];
    for (let i = 0; i < TURNS; i++) {
      low.push(await turn(meter, simulator, leader, LOW));
      high.push(await turn(meter, simulator, leader, HIGH));
    }
    console.log(`\n${count} instances: medians of ${TURNS} × ${seconds} s each, in turns`);
    printTurns(low, high);
    printStops(
      `One critical error in one of ${count} instances at ${HIGH} requests/s, sent at once`,
      await stops(simulator, leader, 'critical'),
    );
    printStops(
      `The treatment fails in all of ${count} instances at ${HIGH} requests/s, each sends when its second is over`,
      await stops(simulator, leader, 'breakTreatment'),
      ['flush answered → verdict'],
    );
    problems.push(...leader.faults);
  } finally {
    await simulator.end();
    await leader.member.close();
    await client.close();
  }
}

async function limit(redis: RedisServer): Promise<void> {
  const steps = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8].map((times) => Math.round(times * count));
  const found = await findLimit(redis, { steps, seconds, perSecond: HIGH });
  console.log(`\nWhere the limit is: instances at ${HIGH} requests/s, one flush a second each`);
  console.table(
    found.map((each) => ({
      instances: each.instances,
      'flushes/s': round(each.flushesPerSecond),
      'flush: median ms': round(each.flushP50Ms),
      '99 % ms': round(each.flushP99Ms),
      'not accepted': each.notAccepted,
      'verdict after, ms': round(each.leaderLagP50Ms),
      'worst ms': round(each.leaderLagMaxMs),
      'Redis, % of a core': round(each.redisCpuMs / 10),
      'leader, %': round(each.leaderCpuMs / 10),
      'sender, %': round(each.senderCpuMs / 10),
      'others, %': round(each.othersCpuMs / 10),
      '': each.tooMany ?? 'kept up',
    })),
  );
  const kept = found.findLast(({ tooMany }) => tooMany === undefined);
  const over = found.find(({ tooMany }) => tooMany !== undefined);
  if (kept !== undefined) {
    const perCore = (cpuMs: number) => round((kept.flushesPerSecond * 1_000) / cpuMs);
    console.log(
      `By processor time at ${kept.instances} instances, a core of its own is enough for ${perCore(kept.redisCpuMs)} ` +
        `instances in Redis and for ${perCore(kept.leaderCpuMs)} in the leader.`,
    );
  }
  console.log(
    over === undefined
      ? `No limit up to ${kept?.instances} instances.`
      : `The limit here is between ${kept?.instances ?? 0} and ${over.instances} instances: ${over.tooMany}.`,
  );
}

function round(value: number): number {
  return Number(value.toPrecision(value >= 1_000 ? 4 : 3));
}

// Beyond its default of 10,000 it refuses connections.
const redis = await RedisServer.start('--maxclients', '18000');
// The other processes end with this one; Redis does not.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void redis.close().finally(() => process.exit(1)));
}
try {
  if (values.crowd === undefined) await all();
  else {
    const rows = await crowd(redis, {
      count: Number(values.crowd),
      listening: Number(values.listening),
      seconds,
      rounds: 5,
    });
    console.log(`\n${values.crowd} instances, of which more and more have a request per second`);
    console.table(rows);
  }
} finally {
  await redis.close();
}

async function all(): Promise<void> {
  console.log(`\nOne second of one instance, by its request rate (no Redis)`);
  console.table(flushSizes());
  await fleet(redis);
  console.log('\nWhat the leader does with one delta, in µs');
  console.table(deltaCosts([LOW, HIGH]));
  if (!values.short) await limit(redis);
}
for (const problem of problems) console.log(`A problem: ${problem}`);
if (problems.length > 0) process.exitCode = 1;
