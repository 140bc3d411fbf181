import { median } from '../harness.js';
import { Child } from './child.js';
import type { Listeners } from './listeners.js';
import type { Simulator } from './simulator.js';
import { channelOf } from './traffic.js';

/** Instances of one process: with more, the process and not the fleet is what is slow. */
const PER_PROCESS = 1_000;

/** In so many parts the instances are spread among connections that only listen. */
const MIXES = 20;

/** A fleet that is too large for one process: its instances are in several, called as one. */
export class Simulators {
  readonly #children: Child<Simulator>[] = [];
  readonly #listeners: Child<Listeners>[] = [];

  /** One process after another, so that they do not all connect at once. */
  async start(fleet: {
    readonly url: string;
    readonly flagKey: string;
    readonly count: number;
  }): Promise<void> {
    const processes = Math.ceil(fleet.count / PER_PROCESS);
    for (let index = 0; index < processes; index++) {
      const child = new Child<Simulator>('./simulator.ts');
      this.#children.push(child);
      const count = share(fleet.count, index, processes);
      await child.call('start', { ...fleet, count, perConnection: 10 }, 300_000);
    }
  }

  /** So many connections that only listen, as instances elsewhere, and one process of instances among them. */
  async startAmong(
    listening: number,
    fleet: { readonly url: string; readonly flagKey: string; readonly count: number },
  ): Promise<void> {
    const { url, flagKey, count } = fleet;
    const child = new Child<Simulator>('./simulator.ts');
    const listeners = new Child<Listeners>('./listeners.ts');
    this.#children.push(child);
    this.#listeners.push(listeners);
    // Redis sends in the order in which they came.
    for (let index = 0; index < MIXES; index++) {
      await listeners.call(
        'start',
        { url, channel: channelOf(flagKey), count: share(listening, index, MIXES) },
        300_000,
      );
      await child.call(
        'start',
        { url, flagKey, count: share(count, index, MIXES), perConnection: 10 },
        300_000,
      );
    }
  }

  async setRate(perSecond: number): Promise<void> {
    await Promise.all(this.#children.map((child) => child.call('setRate', perSecond)));
  }

  /** So many of all the instances have requests. */
  async setActive(count: number): Promise<void> {
    const processes = this.#children.length;
    await Promise.all(
      this.#children.map((child, index) => child.call('setActive', share(count, index, processes))),
    );
  }

  /** What happened since the last call; of what is not a sum, the median and the worst process. */
  async usage() {
    const all = await Promise.all(this.#children.map((child) => child.call('usage', undefined as never)));
    const sum = (what: (each: (typeof all)[number]) => number) =>
      all.reduce((total, each) => total + what(each), 0);
    return {
      flushes: sum(({ flushes }) => flushes),
      flushP50Ms: median(all.map(({ flushP50Ms }) => flushP50Ms)),
      flushP99Ms: Math.max(...all.map(({ flushP99Ms }) => flushP99Ms)),
      cpuMs: sum(({ cpuMs }) => cpuMs),
      problems: sum(({ problems }) => problems),
      problem: all.find(({ problem }) => problem !== '')?.problem ?? '',
    };
  }

  /** Waits until all are in an epoch and not stopped. @returns how many are not. */
  async settle(epoch: number): Promise<number> {
    const behind = await Promise.all(this.#children.map((child) => child.call('settle', epoch)));
    return behind.reduce((total, each) => total + each, 0);
  }

  /** One instance has a critical error and sends it at once. @returns when the stop came to each of all. */
  async critical(): Promise<{ readonly flushedAt: number; readonly stoppedAt: readonly number[] }> {
    const [first, ...others] = this.#children;
    const [{ flushedAt, stoppedAt }, ...rest] = await Promise.all([
      first!.call('critical', undefined as never),
      ...others.map((child) => child.call('stopped', undefined as never)),
    ]);
    return { flushedAt, stoppedAt: [...stoppedAt, ...rest.flat()] };
  }

  async end(): Promise<void> {
    await Promise.all([...this.#children, ...this.#listeners].map((child) => child.end()));
  }
}

/** The part of a count that one of several processes has. */
function share(count: number, index: number, processes: number): number {
  return Math.floor((count * (index + 1)) / processes) - Math.floor((count * index) / processes);
}
