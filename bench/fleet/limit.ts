import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisServer } from '../../examples/fleet/redis-server.js';
import { Child } from './child.js';
import { FleetJudge } from './fleet-judge.js';
import type { Load } from './load.js';
import { RedisMeter } from './redis-usage.js';

/** One number of instances, and how it went. */
export interface LimitStep {
  readonly instances: number;
  readonly flushesPerSecond: number;
  readonly flushP50Ms: number;
  readonly flushP99Ms: number;
  /** Refused, failed or not even sent. */
  readonly notTaken: number;
  readonly judgeLagMaxMs: number;
  /** Milliseconds of processor time in a second. */
  readonly redisCpuMs: number;
  readonly judgeCpuMs: number;
  readonly senderCpuMs: number;
  /** Why this is too many; undefined while it is not. */
  readonly tooMany: string | undefined;
}

const FLAG_KEY = 'limit';
/** What is promised: a flush within its second, and a verdict within a second of the flush. */
const PROMISED_MS = 1_000;

/** Adds instances until a flush takes longer than a second or the judge falls behind, or there are no more steps. */
export async function findLimit(
  redis: RedisServer,
  options: { readonly steps: readonly number[]; readonly seconds: number; readonly perSecond: number },
): Promise<readonly LimitStep[]> {
  const { steps, seconds, perSecond } = options;
  const client = await redis.client();
  const meter = new RedisMeter(client);
  const judge = new FleetJudge(redis.url, FLAG_KEY);
  const load = new Child<Load>('./load.ts');
  const found: LimitStep[] = [];
  try {
    await judge.member.start();
    await load.ask('begin', { flagKey: FLAG_KEY, perSecond });
    for (const instances of steps) {
      await load.ask('grow', { url: redis.url, flagKey: FLAG_KEY, count: instances });
      await sleep(2_000);
      judge.usage();
      await load.ask('usage', undefined as never);
      await meter.start();
      await sleep(seconds * 1_000);
      const [used, sent, judged] = [
        await meter.stop(),
        await load.ask('usage', undefined as never),
        judge.usage(),
      ];
      const step = {
        instances,
        flushesPerSecond: sent.taken / used.seconds,
        flushP50Ms: sent.p50Ms,
        flushP99Ms: sent.p99Ms,
        notTaken: sent.skipped + sent.refused + sent.failed,
        judgeLagMaxMs: judged.lagMaxMs,
        redisCpuMs: used.cpuMs,
        judgeCpuMs: judged.cpuMs / used.seconds,
        senderCpuMs: sent.cpuMs / used.seconds,
      };
      const tooMany = whyTooMany(step, judged.deltas === 0);
      found.push({ ...step, tooMany });
      if (tooMany !== undefined) break;
    }
  } finally {
    await load.end();
    await judge.member.stop();
    await client.close();
  }
  return found;
}

function whyTooMany(step: Omit<LimitStep, 'tooMany'>, nothingJudged: boolean): string | undefined {
  if (nothingJudged || step.judgeLagMaxMs > PROMISED_MS) return 'the judge is more than a second behind';
  if (step.flushP99Ms > PROMISED_MS) return 'a flush takes longer than a second';
  if (step.notTaken > 0) return 'Redis does not take every flush';
  // A sender that is itself at its end says nothing of the others.
  if (step.flushesPerSecond < 0.95 * step.instances) return 'the sender does not keep up';
  return undefined;
}
