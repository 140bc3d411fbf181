/**
 * Flushes without the instances that would record them, to find where Redis and the leader reach their limits: each is what a real
 * store and outbox made in that second, sent over a connection of its own through the real link.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FleetLink, FlushedDelta } from '../../src/fleet/fleet-link.js';
import type { FleetState, SyncReply } from '../../src/fleet/fleet-shapes.js';
import { Outbox } from '../../src/fleet/outbox.js';
import { RedisOutcomeStore } from '../../src/fleet/redis/redis-outcome-store.js';
import { serve } from './child.js';
import { ENVIRONMENT, emptyStore, outcomeOf, quantile, REVISION, steadyMs } from './traffic.js';

/** Different deltas in each second; many processes have much the same second. */
const TEMPLATES = 16;
const FLUSH_MS = 1_000;

class Sender {
  readonly #link: FleetLink;
  #state: FleetState | undefined;
  #sequence = 0;
  #isWaiting = false;

  constructor(url: string, flagKey: string) {
    this.#link = new RedisOutcomeStore({ url }).link({ flagKey, environment: ENVIRONMENT });
  }

  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /** @returns how long the reply took, and whether the delta was accepted. */
  async send(made: FlushedDelta): Promise<{ ms: number; answer: SyncReply['delta'] | 'failed' }> {
    this.#isWaiting = true;
    const from = steadyMs();
    try {
      const { delta, state } = await this.#link.sync({
        datasetId: this.#state?.datasetId ?? '',
        version: this.#state?.version ?? 0,
        assignment: { epoch: 1, seenRevision: REVISION, revision: REVISION, keepWindows: true, minEpoch: 1 },
        // The first one reads the state.
        delta: this.#state && { ...made, sequence: this.#sequence + 1 },
        ...{ oldestEpoch: 0, accepted: this.#sequence, feeds: '', settledUpTo: Date.now() },
        ...{ rebuild: false, mayLead: false, isIdle: false, isLeaving: false },
      });
      this.#state = state ?? this.#state;
      if (delta === 'accepted' || delta === 'duplicate') this.#sequence++;
      return { ms: steadyMs() - from, answer: delta };
    } catch {
      return { ms: steadyMs() - from, answer: 'failed' };
    } finally {
      this.#isWaiting = false;
    }
  }
}

const senders: Sender[] = [];
let templates: FlushedDelta[] = [];
let times: number[] = [];
let [accepted, skipped, refused, failed] = [0, 0, 0, 0];
let cpu = process.cpuUsage();
let busy = performance.eventLoopUtilization();

const handlers = {
  begin({ flagKey, perSecond }: { flagKey: string; perSecond: number }) {
    const stores = Array.from({ length: TEMPLATES }, () => emptyStore(flagKey));
    for (const store of stores) store.beginEpoch(1, Date.now(), { keepWindows: true });
    const make = () => {
      templates = stores.flatMap((store) => {
        for (let i = 0; i < perSecond; i++) {
          const outcome = outcomeOf(flagKey, 1, { arm: i % 2 === 0 ? 'treatment' : 'control' });
          store.expose(outcome.exposure);
          store.record(outcome);
        }
        const outbox = new Outbox();
        const delta = store.takeDelta(Date.now());
        if (delta !== undefined) outbox.add({ assigned: 1, revision: REVISION, keepWindows: true }, delta);
        return outbox.next() ?? [];
      });
    };
    make();
    setInterval(make, FLUSH_MS);
    void sendForEver();
  },

  async grow({ url, flagKey, count }: { url: string; flagKey: string; count: number }) {
    while (senders.length < count) {
      const sender = new Sender(url, flagKey);
      await sender.send(templates[0]!);
      senders.push(sender);
    }
  },

  /** What happened since the last call. */
  usage() {
    const { user, system } = process.cpuUsage(cpu);
    const now = performance.eventLoopUtilization();
    const usage = {
      accepted,
      /** Not sent, as the flush before had no answer after a second. */
      skipped,
      /** Refused by Redis, as too many wait for the leader. */
      refused,
      failed,
      p50Ms: quantile(times, 0.5),
      p99Ms: quantile(times, 0.99),
      cpuMs: (user + system) / 1e3,
      busy: performance.eventLoopUtilization(now, busy).utilization,
    };
    [accepted, skipped, refused, failed] = [0, 0, 0, 0];
    times = [];
    cpu = process.cpuUsage();
    busy = now;
    return usage;
  },
};

/** Each sender once per second, spread over the second as processes are. */
async function sendForEver(): Promise<never> {
  let last = steadyMs();
  let next = 0;
  let due = 0;
  for (;;) {
    await sleep(2);
    const now = steadyMs();
    due = Math.min(senders.length, due + ((now - last) / FLUSH_MS) * senders.length);
    last = now;
    for (; due >= 1; due--) {
      next = (next + 1) % senders.length;
      flush(senders[next]!, templates[next % templates.length]!);
    }
  }
}

function flush(sender: Sender, delta: FlushedDelta): void {
  if (sender.isWaiting) {
    skipped++;
    return;
  }
  void sender.send(delta).then(({ ms, answer }) => {
    times.push(ms);
    if (answer === 'accepted') accepted++;
    else if (answer === 'failed') failed++;
    else refused++;
  });
}

export type Load = typeof handlers;
serve(handlers);
