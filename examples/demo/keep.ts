import { setTimeout as sleep } from 'node:timers/promises';
import type { GuardEvent } from 'unleash-rollout-guard';
import { FLAG_KEY } from '../upload-service/rollout.js';
import { serveDashboard } from './dashboard.js';
import { summary } from './progress.js';
import type { Stage } from './stage.js';
import type { Traffic, Upload } from './traffic.js';

/** Per pause: enough that the guard has its 100 streaming uploads within seconds at 50 %. */
const UPLOADS = 8;
const PAUSE_MS = 150;
const REPORT_EVERY_MS = 5_000;

/** Leaves everything running, with a trickle of uploads, until `end`, to be played with by hand. */
export async function keepRunning(stage: Stage, traffic: Traffic, end: Promise<void>): Promise<void> {
  const { unleash, provider } = stage;
  provider.repair();
  const dashboard = await serveDashboard(stage.guard);
  console.log(`
Everything keeps running, with a trickle of uploads, and the provider is fixed. Turn the flag on again, move its
percentage, break the provider: the guard evaluates from 100 streaming uploads on. Ctrl-C ends it.

  Dashboard         ${dashboard.url}
  Flag in Unleash   ${unleash.url}/projects/${unleash.project}/features/${FLAG_KEY}
  Log in            ${unleash.user.username} / ${unleash.user.password}
  Upload a file     curl -F file=@README.md -H 'x-user-id: ada' ${stage.serviceUrl}/upload
  Guard's status    curl ${stage.serviceUrl}/rollout
  Break streaming   curl -X POST ${provider.controlUrl}/break
  Fix it            curl -X POST ${provider.controlUrl}/repair
  Guard's audit log ${stage.guardFolder}/audit.jsonl
`);
  let going = true;
  const ended = end.then(() => {
    going = false;
  });
  let uploads: Upload[] = [];
  let reportAt = Date.now() + REPORT_EVERY_MS;
  while (going) {
    uploads.push(...(await Promise.all(Array.from({ length: UPLOADS }, () => traffic.uploadOne()))));
    if (Date.now() >= reportAt) {
      console.log(`  ${clock()}  ${rolloutWords(stage)}: ${summary(uploads)}`);
      uploads = [];
      reportAt = Date.now() + REPORT_EVERY_MS;
    }
    await Promise.race([ended, sleep(PAUSE_MS)]);
  }
  dashboard.close();
}

/** Events worth a line of their own. */
export function announce(event: GuardEvent): void {
  const words = wordsOf(event);
  if (words !== undefined) console.log(`  ${clock()}  ${words}`);
}

function wordsOf(event: GuardEvent): string | undefined {
  switch (event.type) {
    case 'decided':
      return `✘ ${event.decision.reason}`;
    case 'stopped-here':
      return 'stopped in this process';
    case 'stopped':
      return 'off in Unleash';
    case 're-armed':
      return 'an operator turned the flag on: the guard is armed again';
    case 'stop-failed':
      return `not off in Unleash yet: ${event.failure.message}`;
    case 'action-required':
    case 'fault':
      return event.message;
    default:
      return undefined;
  }
}

function rolloutWords({ guard }: Stage): string {
  const { flag, state } = guard.status();
  const rollout = flag?.enabled ? `${flag.rolloutPercentage ?? '?'} %` : 'off';
  return `flag ${rollout}, guard ${state.status}`;
}

const clock = (): string => new Date().toTimeString().slice(0, 8);
