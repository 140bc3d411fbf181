/**
 * The whole story on one machine: a healthy rollout, a fault, the stop. Exit code 0 only if all of it was seen.
 *
 *     npm run demo
 *     npm run demo -- --keep    then leave everything running, to be played with by hand
 */
import type { GuardEvent } from 'unleash-rollout-guard';
import { interrupted } from '../upload-service/interrupted.js';
import { claimsOf } from './claims.js';
import { announce, keepRunning } from './keep.js';
import { createProgress } from './progress.js';
import { playScenario } from './scenario.js';
import { REFRESH_INTERVAL_MS, type Stage, setStage } from './stage.js';
import { timeline, verdictLines } from './timeline.js';
import { Traffic } from './traffic.js';

const USERS = 400;
const LONGEST_MS = 60_000;

const startedAt = performance.now();
const keep = process.argv.includes('--keep');
let onEvent = (_event: GuardEvent): void => {};

console.log('Starting Unleash, a file provider and the upload service …');
const stage = await setStage((event) => onEvent(event));
const end = interrupted();
process.exitCode = 1; // Until everything has been seen.
try {
  await play(stage);
  await stage.close();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  await stage.close();
  process.exit(); // A play that was cut short would continue in the background.
}

async function play(stage: Stage): Promise<void> {
  console.log(
    `${USERS} users upload through ${stage.serviceUrl}; the service polls ${stage.unleash.url} for the flag`,
  );
  console.log(`every ${REFRESH_INTERVAL_MS / 1000} s (a short interval, for the demo).\n`);
  const traffic = await Traffic.gather(stage.serviceUrl, stage.provider, USERS);
  try {
    const evidence = await Promise.race([
      playScenario(stage, traffic, createProgress()),
      end.then(() => Promise.reject(new Error('Interrupted.'))),
    ]);
    const tookMs = performance.now() - startedAt;
    const claims = [
      ...claimsOf(evidence),
      { text: `all of it took ${(tookMs / 1000).toFixed(1)} s`, seen: tookMs < LONGEST_MS },
    ];
    console.log(`\n${timeline(evidence)}\n\n${verdictLines(claims)}`);
    if (claims.every(({ seen }) => seen)) process.exitCode = 0;
    if (keep) {
      onEvent = announce;
      await keepRunning(stage, traffic, end);
    }
  } finally {
    await traffic.close();
  }
}
