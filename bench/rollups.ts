/**
 * What three weeks of rollups take: a rollout at 5,000 requests per second, simulated on a fast clock through the real store, recorder,
 * files and Redis. Single outcomes (9·10⁹) would need a day, so what happens in a minute comes as a delta, as from other processes of a
 * fleet: its merge, and everything after it, is the real thing. Four cases: a usual service, one with a wide spread of latencies,
 * 50 error types of 64 characters in each arm and 12 triggers, the same with latencies in all 2,050 buckets, and a usual service at
 * 50 requests per second.
 *
 *     npx tsx bench/rollups.ts                  # three weeks, all cases: some minutes
 *     npx tsx bench/rollups.ts --case usual     # three weeks, one case
 *     npx tsx bench/rollups.ts --days 3         # three days
 */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { RedisServer } from '../examples/fleet/redis-server.js';
import { FlagFeed } from '../src/dashboard/server/flag-feed.js';
import type { RolloutSource } from '../src/dashboard/source.js';
import { FleetSource } from '../src/dashboard/sources/fleet-source.js';
import { FolderSource } from '../src/dashboard/sources/folder-source.js';
import { RedisOutcomeStore } from '../src/fleet/redis/redis-outcome-store.js';
import { RedisReader } from '../src/fleet/redis/redis-reader.js';
import { COUNTS_LENGTH } from '../src/measure/arm-counts.js';
import { LatencyHistogram } from '../src/measure/latency-histogram.js';
import { MemoryOutcomeStore } from '../src/measure/memory-outcome-store.js';
import { DELTA_VERSION, type OutcomeDelta } from '../src/measure/outcome-delta.js';
import type { Arm, Verdict } from '../src/model/shapes.js';
import { drawCharts } from '../src/report/charts.js';
import { collectFleetReport, collectReport } from '../src/report/collect.js';
import { toHtml } from '../src/report/html.js';
import type { RolloutReport } from '../src/report/rollout-report.js';
import { readHistory } from '../src/rollups/read-history.js';
import type { RolloutHistory } from '../src/rollups/rollup.js';
import { RollupBook } from '../src/rollups/rollup-book.js';
import { RollupFiles } from '../src/rollups/rollup-files.js';
import { RollupRecorder } from '../src/rollups/rollup-recorder.js';

const { values } = parseArgs({
  options: { days: { type: 'string', default: '21' }, case: { type: 'string' } },
});
const DAY_MS = 86_400_000;
const DAYS = Number(values.days);
if (!(DAYS >= 1)) throw new Error(`--days: a number of at least 1, not ${values.days}`);
const START = Date.UTC(2026, 0, 5);
const FLAG_KEY = 'rollups';

interface Case {
  readonly name: string;
  readonly perSecond: number;
  /** Standard deviation of the logarithm of the latency; `all`: spread evenly over all buckets. */
  readonly spread: number | 'all';
  readonly errorTypes: number;
  readonly triggers: number;
}

const CASES: readonly Case[] = [
  { name: 'usual', perSecond: 5_000, spread: 0.6, errorTypes: 5, triggers: 6 },
  { name: 'wide, 50 error types, 12 triggers', perSecond: 5_000, spread: 1.5, errorTypes: 50, triggers: 12 },
  {
    name: 'all buckets, 50 error types, 12 triggers',
    perSecond: 5_000,
    spread: 'all',
    errorTypes: 50,
    triggers: 12,
  },
  { name: 'usual, 50 requests/s', perSecond: 50, spread: 0.6, errorTypes: 5, triggers: 6 },
];

function normal(): number {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

function latencyOf(spread: Case['spread'], successes: number) {
  const histogram = new LatencyHistogram();
  for (let index = 0; index < successes; index++) {
    histogram.record(spread === 'all' ? 2 ** (Math.random() * 32 - 10) : 80 * Math.exp(spread * normal()));
  }
  return histogram.toSparse();
}

/** What one of several prepared minutes' worth of deltas contains: they are drawn once, and used in turns. */
function deltasOf({ perSecond, spread, errorTypes }: Case, seconds: number, epoch: number): OutcomeDelta {
  const trials = {
    treatment: Math.round(perSecond * seconds * 0.25),
    control: Math.round(perSecond * seconds * 0.75),
  };
  const counts = new Array<number>(COUNTS_LENGTH).fill(0);
  const failuresOf = (arm: Arm) => Math.round(trials[arm] * 0.01);
  const typesOf = (arm: Arm) => {
    const types: [string, number][] = [];
    for (let left = failuresOf(arm); left > 0; left--) {
      const index = Math.floor(Math.random() ** 2 * errorTypes);
      const name = `${arm === 'treatment' ? 'T' : 'C'}${index}`.padEnd(
        64,
        `${(index * 2_654_435_761) % 2 ** 32}`,
      );
      const known = types.find(([type]) => type === name);
      if (known) known[1] += 1;
      else types.push([name, 1]);
    }
    return types;
  };
  counts[0] = trials.treatment - failuresOf('treatment');
  counts[1] = failuresOf('treatment');
  counts[COUNTS_LENGTH / 2] = trials.control - failuresOf('control');
  counts[COUNTS_LENGTH / 2 + 1] = failuresOf('control');
  return {
    version: DELTA_VERSION,
    flagKey: FLAG_KEY,
    epoch,
    windows: [],
    exposures: { bucketMs: 6_000, buckets: [] },
    counts,
    latency: {
      treatment: latencyOf(spread, counts[0]),
      control: latencyOf(spread, counts[COUNTS_LENGTH / 2]!),
    },
    errorTypes: { treatment: typesOf('treatment'), control: typesOf('control') },
    invalidDurations: 0,
    lastOutcomeAt: {},
    recent: { outcomes: [], units: [] },
    details: { failures: [], others: [] },
  };
}

function verdictsOf(count: number): Verdict[] {
  return Array.from({ length: count }, (_, index) => ({
    trigger: `trigger-with-a-usual-name-${index}`,
    status: 'ok',
    observed: Math.random(),
    threshold: 0.05,
    unit: 'fraction',
    sampleSize: { treatment: 1, control: 1 },
    windowMs: 300_000,
    message: '',
    evidence: {
      e: 1 + Math.random(),
      threshold: 20,
      alpha: 0.05,
      treatment: { trials: 1, failures: 0 },
      control: { trials: 1, failures: 0 },
      basis: 'units',
      events: 1,
      excluded: 0,
      repeated: 0,
      invalid: 0,
    },
  }));
}

const megabytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MB`;

/** The median of the processor time that it needs: other programs run beside this one. */
async function timed<Value>(work: () => Promise<Value>): Promise<[ms: number, value: Value]> {
  const times: number[] = [];
  let value: Value;
  do {
    const start = process.cpuUsage();
    value = await work();
    const { user, system } = process.cpuUsage(start);
    times.push((user + system) / 1_000);
  } while (times.length < 3);
  return [times.sort((a, b) => a - b)[1]!, value];
}

const outcomesIn = ({ rollups }: RolloutHistory) =>
  rollups.reduce(
    (sum, { arms: { treatment, control } }) =>
      sum + treatment.successes + treatment.failures + control.successes + control.failures,
    0,
  );

async function measure(which: Case, redis: RedisServer): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'rollups-'));
  const client = await redis.client();
  await client.sendCommand(['FLUSHALL']);
  const emptyBytes = await usedBytes(client);
  try {
    const store = new MemoryOutcomeStore({ flagKey: FLAG_KEY, windowsMs: [], now: START });
    const book = new RollupBook();
    let verdicts: Verdict[] = [];
    let epoch = 1;
    const recorder = new RollupRecorder(book, {
      takeTally: (now) => store.takeTally(now),
      epoch: () => epoch,
      percentage: () => 25,
      verdicts: () => verdicts,
      serviceVersions: () => ['1.0.0'],
    });
    const files = new RollupFiles(folder, FLAG_KEY, {}, () => {});
    const link = new RedisOutcomeStore({ url: redis.url, leaseMs: 3_600_000 }).link({
      flagKey: FLAG_KEY,
      environment: 'bench',
    });
    const lease = await leaseOf(link);
    // A minute at once: the store adds up whatever comes within it, and a delta may be of any length.
    const secondsAtOnce = 60;
    const prepared = Array.from({ length: 6 }, () => deltasOf(which, secondsAtOnce, 1));
    let fed = 0;
    let busyMs = 0;
    let linesAdded = 0;
    for (let at = START, turn = 0; at < START + DAYS * DAY_MS; at += secondsAtOnce * 1_000, turn++) {
      if (turn > 0 && at % (2 * DAY_MS) === 0) {
        epoch += 1;
        store.beginEpoch(epoch, at, { keepWindows: true });
        book.annotate({ at, type: 'percentage', title: `${epoch} %`, text: 'The rollout changed.' });
      } else if (turn === 0) store.beginEpoch(epoch, at, { keepWindows: true });
      const delta = prepared[turn % prepared.length]!;
      store.merge({ ...delta, epoch }, at);
      fed += delta.counts.reduce((sum, count) => sum + count, 0);
      verdicts = verdictsOf(which.triggers);
      const start = process.cpuUsage();
      recorder.tick(at);
      const { user, system } = process.cpuUsage(start);
      busyMs += (user + system) / 1_000;
      // Every minute on disk would take an hour of fsync: hourly here, which writes the same lines.
      if (turn % (3_600 / secondsAtOnce) !== 0) continue;
      recorder.take(at);
      linesAdded = await write(files, link, lease, book, linesAdded);
    }
    recorder.take(START + DAYS * DAY_MS);
    await write(files, link, lease, book, linesAdded);
    await link.close();

    const names = await readdir(join(folder, 'rollups'));
    const sizes = await Promise.all(
      names.map(async (name) => (await stat(join(folder, 'rollups', name))).size),
    );
    const diskBytes = sizes.reduce((sum, size) => sum + size, 0);
    const [diskMs, fromDisk] = await timed(() => readHistory(folder));
    const reader = new RedisReader({ url: redis.url });
    const flag = { environment: 'bench', flagKey: FLAG_KEY };
    await reader.view(flag);
    const [redisMs, fromRedis] = await timed(() => reader.history(flag));
    const [tailMs] = await timed(() => reader.history(flag, { from: START + DAYS * DAY_MS - 60_000 }));
    const fleet = { flagKey: FLAG_KEY, name: redis.url, rollout: reader.rollout(flag) };
    // What a page needs first: a dashboard that has just been started, and the whole rollout in 600 points.
    const firstPage = async (source: RolloutSource) =>
      new FlagFeed(source).series({ points: 600, from: undefined, to: undefined, stepMs: undefined });
    const [folderPageMs] = await timed(() => firstPage(new FolderSource(FLAG_KEY, [folder])));
    const [redisPageMs] = await timed(() => firstPage(new FleetSource(FLAG_KEY, fleet.rollout)));
    const reported = async (collected: Promise<RolloutReport>) => {
      const report = await collected;
      return toHtml(report, await drawCharts(report));
    };
    const [folderReportMs] = await timed(() => reported(collectReport([folder])));
    const [redisReportMs] = await timed(() => reported(collectFleetReport(fleet)));
    reader.close();
    const redisBytes = (await usedBytes(client)) - emptyBytes;
    console.log(
      `| ${[
        which.name,
        `${(fed / 1e9).toFixed(2)}·10⁹`,
        outcomesIn(fromDisk) === fed && outcomesIn(fromRedis) === fed
          ? 'each once'
          : `${outcomesIn(fromDisk)} OF ${fed}`,
        fromDisk.rollups.length,
        megabytes(diskBytes),
        `${Math.round(diskMs)} ms`,
        megabytes(redisBytes),
        `${Math.round(redisMs)} ms`,
        `${tailMs.toFixed(1)} ms`,
        `${Math.round(folderPageMs)} and ${Math.round(redisPageMs)} ms`,
        `${Math.round(folderReportMs)} and ${Math.round(redisReportMs)} ms`,
        `${((busyMs / (DAYS * 1_440)) * 1_000).toFixed(0)} µs`,
      ].join(' | ')} |`,
    );
  } finally {
    await client.close();
    await rm(folder, { recursive: true, force: true });
  }
}

type Link = ReturnType<RedisOutcomeStore['link']>;
type Lease = Parameters<Link['saveCheckpoint']>[0];

/** Joins as the only process, which leads. */
async function leaseOf(link: Link): Promise<Lease> {
  await link.open(() => {});
  const request = {
    datasetId: '',
    version: 0,
    oldestEpoch: 0,
    assignment: { epoch: 0, seenRevision: '', revision: 'on', keepWindows: true, minEpoch: 1 },
    delta: undefined,
    accepted: 0,
    feeds: '',
    settledUpTo: undefined,
    rebuild: false,
    mayLead: true,
    isLeaving: false,
    isIdle: false,
  };
  const { fence, state } = await link.sync(request);
  const lease = { fence: fence!, datasetId: state!.datasetId };
  return lease;
}

async function write(
  files: RollupFiles,
  link: Link,
  lease: Lease,
  book: RollupBook,
  linesAdded: number,
): Promise<number> {
  const lines = [...book.pending];
  const state = book.toState();
  await files.write({ book: state, pending: lines });
  const sent = { earlier: { book: state, pending: [] }, lines, linesAdded, events: [] };
  if (!(await link.saveCheckpoint(lease, '', '{}', sent))) throw new Error('Another process leads.');
  book.written(lines);
  return linesAdded + lines.length;
}

async function usedBytes(client: Awaited<ReturnType<RedisServer['client']>>): Promise<number> {
  const info = String(await client.sendCommand(['INFO', 'memory']));
  return Number(/used_memory:(\d+)/.exec(info)![1]);
}

const redis = await RedisServer.start();
try {
  console.log(
    `Rollups of ${DAYS} days; times are processor time. A minute costs the last column, an outcome nothing.\n`,
  );
  console.log(
    '| case | outcomes | found | rollups | disk | read | Redis | read | its last minute | first page, folder and Redis | report, folder and Redis | a minute costs |',
  );
  console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |');
  const wanted = CASES.filter(({ name }) => values.case === undefined || name === values.case);
  if (wanted.length === 0) throw new Error(`--case: one of "${CASES.map(({ name }) => name).join('", "')}"`);
  for (const which of wanted) await measure(which, redis);
} finally {
  await redis.close();
}
process.exit();
