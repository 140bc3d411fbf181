import { setTimeout as sleep } from 'node:timers/promises';
import type { GuardEvent } from 'unleash-rollout-guard';
import type { EmbeddedEvent } from 'unleash-rollout-guard/testing';
import type { LoopbackProvider } from '../upload-service/loopback-provider.js';
import { FLAG_KEY } from '../upload-service/rollout.js';
import { filesHeld } from './files-held.js';
import type { Progress } from './progress.js';
import type { Stage } from './stage.js';
import type { Traffic, Upload } from './traffic.js';

/** Every user uploads once at one percentage. */
export interface HealthyPhase {
  readonly percentage: number;
  readonly uploads: readonly Upload[];
}

/** Everything that was seen; the claims at the end are checked against it. Times are milliseconds since 1970. */
export interface Evidence {
  readonly healthy: readonly HealthyPhase[];
  /** The guard's events before the provider broke. */
  readonly eventsBeforeFault: readonly GuardEvent[];
  readonly brokenAt: number;
  readonly faults: LoopbackProvider['faults'];
  /** Uploads from the fault until Unleash had the flag off. */
  readonly duringFault: readonly Upload[];
  /** Every user uploads another file, with the provider's streaming path still broken. */
  readonly afterStop: readonly Upload[];
  readonly events: readonly GuardEvent[];
  readonly flagOnInUnleash: boolean;
  /** Unleash's own history of the flag, newest first. */
  readonly history: readonly EmbeddedEvent[];
  readonly spooledFilesLeft: number;
}

const PERCENTAGES = [1, 10, 50];
const TIMEOUT_MS = 20_000;

/** Plays the demo: a rollout that goes well up to 50 %, and then does not. */
export async function playScenario(stage: Stage, traffic: Traffic, progress: Progress): Promise<Evidence> {
  const { unleash, provider, events } = stage;
  const healthy: HealthyPhase[] = [];
  for (const percentage of PERCENTAGES) {
    await unleash.setPercentage(FLAG_KEY, percentage);
    await until(
      () => stage.guard.status().flag?.rolloutPercentage === percentage,
      `the flag at ${percentage} %`,
    );
    const uploads = await everyUser(traffic, progress, `${percentage} %`);
    healthy.push({ percentage, uploads });
  }

  const eventsBeforeFault = [...events];
  const brokenAt = Date.now();
  provider.breakStreaming();
  const duringFault = await untilStopped(stage, traffic, progress, brokenAt);
  const afterStop = await everyUser(traffic, progress, 'after the stop');
  await until(
    () => events.some((event) => event.type === 'toggled' && event.decisionId !== undefined),
    "Unleash's history",
  ).catch(() => {});

  return {
    healthy,
    eventsBeforeFault,
    brokenAt,
    faults: provider.faults,
    duringFault,
    afterStop,
    events: [...events],
    flagOnInUnleash: (await unleash.flag(FLAG_KEY)).enabled,
    history: await unleash.history(FLAG_KEY),
    spooledFilesLeft: (await filesHeld(stage.spoolDirectory)).length,
  };
}

async function everyUser(traffic: Traffic, progress: Progress, label: string): Promise<Upload[]> {
  const uploads: Upload[] = [];
  const bar = progress.start(label, traffic.userCount);
  await traffic.everyUserOnce((upload) => {
    uploads.push(upload);
    bar.step(uploads);
  });
  bar.end(uploads);
  return uploads;
}

async function untilStopped(
  stage: Stage,
  traffic: Traffic,
  progress: Progress,
  since: number,
): Promise<Upload[]> {
  const uploads: Upload[] = [];
  const bar = progress.start('streaming broken', traffic.userCount);
  const stopped = () => stage.events.some(({ type, at }) => type === 'stopped' && at >= since);
  await traffic.keepComing(
    () => !stopped() && Date.now() - since < TIMEOUT_MS,
    (upload) => {
      uploads.push(upload);
      bar.step(uploads);
    },
  );
  bar.end(uploads);
  return uploads;
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + TIMEOUT_MS;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`Timed out after ${TIMEOUT_MS / 1000} s: waited for ${what}.`);
    await sleep(20);
  }
}
