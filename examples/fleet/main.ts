/**
 * One rollout over six real processes that share a Redis: evaluated as one and stopped everywhere at once,
 * even after the leader is killed. Exit code 0 only if all of it was seen.
 *
 *     npm run demo:fleet
 */
import { verdictLines } from '../demo/timeline.js';
import { interrupted } from '../upload-service/interrupted.js';
import { claimsOf } from './claims.js';
import { playScenario } from './scenario.js';
import { Closing, PERCENTAGE, setStage } from './stage.js';
import { timeline } from './timeline.js';
import { Traffic, UPLOADS_PER_SECOND } from './traffic.js';

/** From the moment on when all serve; how long the start takes depends on the machine. */
const LONGEST_MS = 55_000;

const startedAt = performance.now();
const closing = new Closing();
const cutShort = new AbortController();
void interrupted().then(() => cutShort.abort(new Error('Interrupted.')));
const ended = new Promise<never>((_, reject) => {
  cutShort.signal.addEventListener('abort', () => reject(cutShort.signal.reason));
});

let failed = true; // Until everything has been seen.
try {
  await Promise.race([play(), ended]);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
}
const problems = await closing.all();
// Ctrl-C has ended Redis and Unleash already, as it reaches all processes of a terminal.
if (!cutShort.signal.aborted) {
  for (const problem of problems) console.error(problem);
  failed ||= problems.length > 0;
}
// A play that was cut short would continue in the background.
process.exit(failed ? 1 : 0);

async function play(): Promise<void> {
  say('Starting Redis, Unleash, and six processes of a service …');
  const stage = await setStage(closing);
  const servingSince = performance.now();
  setTimeout(() => cutShort.abort(new Error(`Not done after ${LONGEST_MS / 1000} s.`)), LONGEST_MS).unref();
  const { processes, unleash } = stage;
  const candidates = processes.filter(({ mayLead }) => mayLead).map(({ name }) => name);
  say(`${processes.map(({ name, pid }) => `${name} (pid ${pid})`).join(', ')};`);
  say(`${candidates.join(' and ')} have an admin token. Each polls ${unleash.url} every 15 s.`);
  say(`The flag is on for ${PERCENTAGE} %; ${UPLOADS_PER_SECOND} uploads per second go to all in turn.`);
  const traffic = new Traffic(processes);
  closing.add(() => traffic.close());
  const evidence = await playScenario(stage, traffic, say);
  const tookMs = performance.now() - servingSince;
  const claims = claimsOf(evidence);
  console.log(`\n${timeline(evidence)}\n\n${verdictLines(claims)}`);
  say(`The play took ${(tookMs / 1000).toFixed(1)} s.`);
  failed = claims.some(({ seen }) => !seen);
}

function say(text: string): void {
  console.log(`  ${((performance.now() - startedAt) / 1000).toFixed(1).padStart(4)} s  ${text}`);
}
