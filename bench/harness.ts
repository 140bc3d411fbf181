/**
 * Side-by-side measurement of processor time, that of the threads which collect garbage included. Every round runs each contestant once,
 * in rotating order, so that a busy machine slows all of them alike; what counts is the ratio to the first contestant, whose median
 * over the rounds is shown.
 */
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** One way of doing the work. */
export interface Contestant {
  readonly name: string;
  /** Does the work `iterations` times. The loop belongs to the contestant, so that nothing else is measured. */
  run(iterations: number): void | Promise<void>;
}

/** What was measured of one contestant. */
export interface Measurement {
  readonly name: string;
  /** Median over the rounds, in nanoseconds per iteration. */
  readonly medianNs: number;
  /** Median over the rounds of this contestant's time divided by the first contestant's time in the same round. */
  readonly ratio: number;
}

/** How long to measure. */
export interface CompareOptions {
  /** @default 151 */
  readonly rounds?: number;
  /** How long one contestant runs in one round, in milliseconds. @default 4 */
  readonly roundMs?: number;
}

/** Measures contestants against the first one. */
export async function compare(
  contestants: readonly Contestant[],
  options: CompareOptions = {},
): Promise<readonly Measurement[]> {
  const rounds = options.rounds ?? 151;
  const roundMs = options.roundMs ?? 4;
  const iterations: number[] = [];
  for (const contestant of contestants) iterations.push(await calibrate(contestant, roundMs));

  const nanoseconds = contestants.map(() => new Array<number>(rounds).fill(0));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < contestants.length; turn++) {
      const index = (round + turn) % contestants.length;
      nanoseconds[index]![round] = await time(contestants[index]!, iterations[index]!);
      // As between the requests of a service: timers run, and what waits is written.
      await setImmediate();
    }
  }
  const baseline = nanoseconds[0]!;
  return contestants.map(({ name }, index) => ({
    name,
    medianNs: median(nanoseconds[index]!),
    ratio: median(nanoseconds[index]!.map((ns, round) => ns / baseline[round]!)),
  }));
}

/** Before that the engine compiles, in threads of its own whose time counts too. */
const WARM_MS = 500;

/** Runs one contestant until it is compiled, and finds how many iterations fill a round. */
async function calibrate(contestant: Contestant, roundMs: number): Promise<number> {
  let iterations = 1_000;
  for (;;) {
    const ns = await time(contestant, iterations);
    const elapsedMs = (ns * iterations) / 1e6;
    if (elapsedMs >= WARM_MS) return Math.max(1, Math.round((roundMs * 1e6) / ns));
    iterations *= 2;
  }
}

async function time(contestant: Contestant, iterations: number): Promise<number> {
  const from = process.cpuUsage();
  const pending = contestant.run(iterations);
  if (pending !== undefined) await pending;
  const { user, system } = process.cpuUsage(from);
  // The processor's time is known to the microsecond: a round of a few milliseconds is long enough.
  return Math.max(1, user + system) * (1_000 / iterations);
}

/** The middle value; the mean of the two middle values of an even count. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/**
 * Bytes that are still on the heap after `work`, its garbage collected. Keep what `work` feeds reachable until this
 * returns, or it is collected too.
 */
export async function retainedBytes(work: () => void | Promise<void>): Promise<number> {
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  await work();
  collectGarbage();
  return process.memoryUsage().heapUsed - before;
}

/** Collects all garbage, wherever the process was started from. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const gc: () => void = runInNewContext('gc');
  gc();
  gc();
}

/** Prints measurements as a table; `limits` names the highest ratio or time promised for a contestant. */
export function printComparison(
  title: string,
  measurements: readonly Measurement[],
  limits: Readonly<Record<string, { readonly ratio?: number; readonly ns?: number }>> = {},
): void {
  console.log(`\n${title}`);
  console.table(
    Object.fromEntries(
      measurements.map(({ name, medianNs, ratio }) => {
        const limit = limits[name];
        return [
          name,
          {
            'ns/op': Number(medianNs.toFixed(1)),
            ratio: Number(ratio.toFixed(2)),
            promised: limit === undefined ? '' : describe(limit),
            kept: limit === undefined ? '' : keeps(limit, medianNs, ratio) ? 'yes' : 'NO',
          },
        ];
      }),
    ),
  );
}

function describe(limit: { readonly ratio?: number; readonly ns?: number }): string {
  const parts: string[] = [];
  if (limit.ratio !== undefined) parts.push(`≤ ${limit.ratio}×`);
  if (limit.ns !== undefined) parts.push(`≤ ${limit.ns} ns`);
  return parts.join(', ');
}

function keeps(
  limit: { readonly ratio?: number; readonly ns?: number },
  medianNs: number,
  ratio: number,
): boolean {
  return (
    ratio <= (limit.ratio ?? Number.POSITIVE_INFINITY) && medianNs <= (limit.ns ?? Number.POSITIVE_INFINITY)
  );
}
