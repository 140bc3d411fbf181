import { formatBytes } from '../support/wording.js';
import { clientUrlProblem } from '../unleash/client-api.js';
import { type Finding, findingsOf } from './finding.js';
import type { Answer, FolderObservation, Observations } from './observations.js';
import { readFeatures, readUser } from './observed-replies.js';

/** Above this difference, times in Unleash's history and in the guard's audit log are hard to compare. */
const MAX_CLOCK_DIFFERENCE_MS = 5_000;

/** A journal and a summary need less. */
const NO_SPACE_BYTES = 2 ** 20;
/** An outcome log may reach this within a rollout. */
const LITTLE_SPACE_BYTES = 2 ** 30;

/** Whether something answers at the URL, and whether it is an Unleash. */
export function checkUrl({ target, health, features, admin }: Observations): Finding {
  const { ok, fail } = findingsOf('url');
  const user = admin?.tokenProblem === undefined ? admin?.user : undefined;
  const given = [health, features, user].filter((answer) => answer !== undefined);
  const problem = clientUrlProblem(target.url);
  if (problem !== undefined) {
    return fail(
      `The service's provider cannot use ${shown(target.url)}: ${problem}.`,
      'Give the service and this check the same URL, which ends in /api.',
    );
  }
  if ('noAnswer' in health && given.every((answer) => 'noAnswer' in answer)) {
    return fail(
      `Nothing answers at ${shown(target.url)} (${health.noAnswer}).`,
      health.help ??
        'Check the address, that Unleash runs, and that this machine may reach it (DNS, firewall, proxy).',
    );
  }
  const redirect = given.find((answer) => 'status' in answer && answer.status >= 300 && answer.status < 400);
  if (redirect !== undefined) {
    return fail(
      `${shown(target.url)} redirects elsewhere.`,
      'Give the address where Unleash itself answers: the guard does not follow redirects.',
    );
  }
  const isUnleash = isHealth(health) || given.some((answer) => readFeatures(answer) ?? readUser(answer));
  if (isUnleash) {
    return ok(`An Unleash answers at ${shown(target.url)}.`);
  }
  if (given.every((answer) => 'status' in answer && answer.status >= 500)) {
    const { status } = given[0] as Extract<Answer, { status: number }>;
    return fail(
      `${shown(target.url)} answers with an error of the server (${status}).`,
      'See the log of Unleash, or of the proxy in front of it, and try again.',
    );
  }
  return fail(
    `What answers at ${shown(target.url)} is not an Unleash.`,
    'Give the URL of its API, for example https://unleash.example.com/api.',
  );
}

/** Whether the clocks of this machine and of Unleash agree, within whole seconds. */
export function checkClock({ health, features }: Observations): Finding {
  const { ok, warn, unknown } = findingsOf('clock');
  const answer = [health, features].find(
    (answer) => answer !== undefined && 'status' in answer && answer.serverDate !== undefined,
  );
  if (answer === undefined || 'noAnswer' in answer || answer.serverDate === undefined) {
    return unknown('No reply of Unleash contains its time.');
  }
  // The header leaves out the fraction of the second: half a second on average.
  const differenceMs = answer.serverDate + 500 - answer.localDate;
  const seconds = Math.abs(Math.round(differenceMs / 1_000));
  if (Math.abs(differenceMs) <= MAX_CLOCK_DIFFERENCE_MS) {
    return ok('The clocks of this machine and of Unleash agree.');
  }
  return warn(
    `This machine's clock is ${seconds} s ${differenceMs > 0 ? 'behind' : 'ahead of'} that of Unleash.`,
    "Synchronise the clocks (NTP): otherwise times in Unleash's history and in the guard's logs cannot be compared.",
  );
}

/** Whether the guard can write its journal and logs. */
export function checkFolder({
  path,
  exists,
  problem,
  isForeign = false,
  isOpen = false,
  usedBy,
  freeBytes = Number.POSITIVE_INFINITY,
}: FolderObservation): Finding {
  const { ok, warn, fail } = findingsOf('folder');
  if (problem !== undefined) {
    return fail(
      `The folder ${path} cannot be ${exists ? 'written' : 'created'} (${problem}).`,
      'Give the service a folder that it may write and that survives a restart; without one, a pending stop is lost in a crash.',
    );
  }
  if (freeBytes < NO_SPACE_BYTES) {
    return fail(
      `The disk of ${path} is full (${formatBytes(freeBytes)} free).`,
      'Free some space: without it, the journal cannot be written, and a pending stop is lost in a crash.',
    );
  }
  if (isOpen) {
    return warn(
      `Any user of this machine may write in the folder ${path}, and so control the guard.`,
      `Take the permission away: chmod o-w ${path}`,
    );
  }
  if (isForeign) {
    return warn(
      `The folder ${path} is of another user than the one who runs this check.`,
      "Run the check as the service's user: only then it shows whether the service may write there.",
    );
  }
  if (freeBytes < LITTLE_SPACE_BYTES) {
    return warn(
      `The disk of ${path} has little space (${formatBytes(freeBytes)} free).`,
      'Free some space, or give the log a smaller limit (docs/options.md).',
    );
  }
  if (usedBy !== undefined) {
    return ok(
      `The folder ${path} can be written. As far as can be seen from here, the guard of ${usedBy} runs in it; another one takes a folder of its own within it.`,
    );
  }
  return ok(`The folder ${path} ${exists ? 'can be written' : 'can be created'}.`);
}

function isHealth(answer: Answer): boolean {
  if (!('status' in answer) || answer.status !== 200) return false;
  return typeof answer.json === 'object' && answer.json !== null && 'health' in answer.json;
}

/** The address without what may be secret in it. */
function shown(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}
