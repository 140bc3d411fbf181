// One process of a fleet, driven by the test over its channel: serves requests, and reports what it did and when.
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { successRateBelow } from 'unleash-rollout-guard';
import { RedisOutcomeStore } from 'unleash-rollout-guard/redis';
import type { FleetLink } from '../../src/fleet/fleet-link.js';
import { reachableUnleash } from './child-settings.js';
import type { FromInstance, InstanceReport, InstanceSettings, ToInstance } from './fleet-process.js';
import { startGuardedService } from './guarded-service.js';

const settings = JSON.parse(process.env.SETTINGS!) as InstanceSettings;
const send = (message: FromInstance) => process.send!(message);
const preciseNow = () => performance.timeOrigin + performance.now();

/** Writes each delta to a file before it is sent, so that the test can read what a killed process had sent. */
class RecordingStore extends RedisOutcomeStore {
  override link(flag: { readonly flagKey: string; readonly environment: string }): FleetLink {
    const link = super.link(flag);
    const sync = link.sync.bind(link);
    link.sync = (request) => {
      const { delta } = request;
      if (delta !== undefined) {
        const line = { instance: link.instance, sequence: delta.sequence, totals: delta.totals };
        appendFileSync(join(settings.folder, 'sent.jsonl'), `${JSON.stringify(line)}\n`);
        // Twice on purpose, as a retry does whose first attempt did arrive.
        if (settings.flushTwice) void sync(request).catch(() => {});
      }
      return sync(request);
    };
    return link;
  }
}

const report: InstanceReport = {
  treatment: 0,
  control: 0,
  failures: 0,
  lastTreatmentAt: 0,
  served: 0,
  unserved: 0,
  isIdle: true,
};
let broken = false;
let serving = false;
let served: Promise<void> | undefined;

const service = await startGuardedService(reachableUnleash, settings.flagKey, settings.folder, {
  rollback: [successRateBelow(0.95, { minOutcomes: 50 })],
  store: new RecordingStore({ url: settings.redisUrl, leaseMs: 2_000, flushMs: 500 }),
  tickMs: 200,
  onEvent: (event) => {
    if (event.type === 'decided') send({ type: 'decided', at: preciseNow(), by: event.by });
    if (event.type === 'stopped-here') send({ type: 'stopped-here', at: preciseNow() });
    if (event.type === 're-armed') send({ type: 're-armed', at: preciseNow() });
    if (event.type === 'fault') send({ type: 'fault', message: `${event.what}: ${event.message}` });
  },
});

const request = service.guard.operation({
  treatment: async () => {
    report.lastTreatmentAt = preciseNow();
    report.treatment++;
    if (!broken) return 'new';
    report.failures++;
    throw new Error('down');
  },
  control: async () => {
    report.control++;
    return 'old';
  },
  retries: 0,
  fallback: false,
});

async function serve(): Promise<void> {
  serving = true;
  report.isIdle = false;
  for (let user = 0; serving; user++) {
    const users = Array.from(
      { length: settings.requestsAtOnce },
      (_, index) => `${process.pid}-${user}-${index}`,
    );
    for (const ended of await Promise.allSettled(
      users.map((targetingKey) => request({ targetingKey }, undefined)),
    )) {
      if (ended.status === 'fulfilled') report.served++;
      else report.unserved++;
    }
    await sleep(10);
  }
  report.isIdle = true;
}

process.on('message', async (message: ToInstance) => {
  if (message.type === 'serve') served = serve();
  if (message.type === 'break') broken = true;
  if (message.type === 'fail-and-freeze') {
    broken = true;
    const users = Array.from({ length: 400 }, (_, index) => `${process.pid}-frozen-${index}`);
    await Promise.allSettled(users.map((targetingKey) => request({ targetingKey }, undefined)));
    // When it wakes, it serves requests before it reads that it is fixed.
    broken = false;
    send({ type: 'frozen' });
    process.kill(process.pid, 'SIGSTOP');
  }
  if (message.type === 'fix') broken = false;
  if (message.type === 'pause') serving = false;
  if (message.type === 'report') send({ type: 'report', report, role: service.guard.status().fleet!.role });
  if (message.type === 'close') {
    serving = false;
    await served;
    await service.close();
    process.disconnect();
  }
});

send({ type: 'ready', instance: service.guard.status().fleet!.instance });
