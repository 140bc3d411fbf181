import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisServer } from '../../examples/fleet/redis-server.js';
import { Child } from './child.js';
import { FleetLeader } from './fleet-leader.js';
import type { Load } from './load.js';
import { RedisMeter } from './redis-usage.js';

/** One number of instances, and how it went. */
export interface LimitStep {
  readonly instances: number;
  readonly flushesPerSecond: number;
  readonly flushP50Ms: number;
  readonly flushP99Ms: number;
  /** Refused, failed or not even sent. */
  readonly notAccepted: number;
  /** How old the oldest of the deltas was when its verdict was given. */
  readonly leaderLagP50Ms: number;
  readonly leaderLagMaxMs: number;
  /** Milliseconds of processor time in a second. */
  readonly redisCpuMs: number;
  readonly leaderCpuMs: number;
  readonly senderCpuMs: number;
  /** Of all else that this machine did meanwhile: with much of it, the limit is the machine's. */
  readonly othersCpuMs: number;
  /** Why this is too many; undefined while it is not. */
  readonly tooMany: string | undefined;
}

const FLAG_KEY = 'limit';
/** What is promised: a flush within its second, and a verdict within a second of the flush. */
const PROMISED_MS = 1_000;

/** Adds instances until a flush takes longer than a second or the leader falls behind, or there are no more steps. */
export async function findLimit(
  redis: RedisServer,
  options: { readonly steps: readonly number[]; readonly seconds: number; readonly perSecond: number },
): Promise<readonly LimitStep[]> {
  const { steps, seconds, perSecond } = options;
  const client = await redis.client();
  const meter = new RedisMeter(client);
  const leader = new FleetLeader(redis.url, FLAG_KEY);
  const load = new Child<Load>('./load.ts');
  const found: LimitStep[] = [];
  try {
    await leader.member.start();
    await load.call('begin', { flagKey: FLAG_KEY, perSecond });
    for (const instances of steps) {
      await load.call('grow', { url: redis.url, flagKey: FLAG_KEY, count: instances });
      await sleep(2_000);
      leader.usage();
      await load.call('usage', undefined as never);
      const busyMs = machineBusyMs();
      await meter.start();
      await sleep(seconds * 1_000);
      const [used, sent, evaluated] = [
        await meter.stop(),
        await load.call('usage', undefined as never),
        leader.usage(),
      ];
      const perSecondMs = (cpuMs: number) => cpuMs / used.seconds;
      const ownMs = used.cpuMs + perSecondMs(evaluated.cpuMs + sent.cpuMs);
      const step = {
        instances,
        flushesPerSecond: sent.accepted / used.seconds,
        flushP50Ms: sent.p50Ms,
        flushP99Ms: sent.p99Ms,
        notAccepted: sent.skipped + sent.refused + sent.failed,
        leaderLagP50Ms: evaluated.lagP50Ms,
        leaderLagMaxMs: evaluated.lagMaxMs,
        redisCpuMs: used.cpuMs,
        leaderCpuMs: perSecondMs(evaluated.cpuMs),
        senderCpuMs: perSecondMs(sent.cpuMs),
        othersCpuMs: Math.max(0, perSecondMs(machineBusyMs() - busyMs) - ownMs),
      };
      const tooMany = whyTooMany(step, seconds, evaluated.deltas === 0);
      found.push({ ...step, tooMany });
      if (tooMany !== undefined) break;
    }
  } finally {
    await load.end();
    await leader.member.close();
    await client.close();
  }
  return found;
}

function whyTooMany(
  step: Omit<LimitStep, 'tooMany'>,
  seconds: number,
  nothingRead: boolean,
): string | undefined {
  if (nothingRead || step.leaderLagP50Ms > PROMISED_MS) return 'the leader is more than a second behind';
  if (step.flushP99Ms > PROMISED_MS) return 'a flush takes longer than a second';
  // What a busy machine delays for a moment is sent a second later.
  if (step.notAccepted > 0.05 * step.instances * seconds) return 'flushes are not answered in their second';
  // A sender that is itself overloaded shows nothing about the others.
  if (step.flushesPerSecond < 0.95 * step.instances) return 'the sender does not keep up';
  return undefined;
}

/** Processor time that all programs of this machine have had. */
function machineBusyMs(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
}
