import { EventEmitter } from 'node:events';
import type { UnleashConfig } from 'unleash-client';
import { flagOf, type Segment, type TestFlag } from './bootstrapped.js';

type Repository = NonNullable<UnleashConfig['repository']>;
type Feature = ReturnType<Repository['getToggles']>[number];

/** Stands in for unleash-client's repository: a test decides when data, failures and successes arrive. */
export class FakeRepository extends EventEmitter implements Repository {
  started = 0;
  stopped = 0;
  #features: readonly Feature[] = [];
  #segments: readonly Segment[] = [];
  #ready = false;

  /** A poll brought new data. */
  load(flags: readonly TestFlag[], segments: readonly Segment[] = []): void {
    this.set(flags, segments);
    this.emit('changed', this.#features);
  }

  /** A poll brought this, whether it has the right form or not. */
  loadAsSent(features: readonly object[], segments: readonly Segment[]): void {
    this.#features = features as readonly Feature[];
    this.#segments = segments;
    this.emit('changed', this.#features);
  }

  /** A backup was read: unleash-client does not emit `changed` then. */
  set(flags: readonly TestFlag[], segments: readonly Segment[] = []): void {
    this.#features = flags.map(flagOf);
    this.#segments = segments;
    if (!this.#ready) process.nextTick(() => this.emit('ready'));
    this.#ready = true;
  }

  unchanged(): void {
    this.emit('unchanged');
  }

  fail(message = 'connect ECONNREFUSED 127.0.0.1:80'): void {
    this.emit('error', new Error(message));
  }

  warn(message: string): void {
    this.emit('warn', message);
  }

  async start(): Promise<void> {
    this.started++;
  }

  stop(): void {
    this.stopped++;
    this.removeAllListeners();
  }

  getToggle(name: string): Feature | undefined {
    return this.#features.find((feature) => feature.name === name);
  }

  getToggles(): Feature[] {
    return [...this.#features];
  }

  getTogglesWithSegmentData(): ReturnType<Repository['getTogglesWithSegmentData']> {
    return this.#features.map(({ strategies, ...feature }) => ({
      ...feature,
      strategies: (strategies ?? []).map(({ segments, ...strategy }) => ({
        ...strategy,
        segments: (segments ?? []).map((id) => this.getSegment(id)),
      })),
    }));
  }

  getSegment(id: number): Segment | undefined {
    return this.#segments.find((segment) => segment.id === id);
  }
}
