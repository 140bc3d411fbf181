import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FleetLink } from '../../fleet/fleet-link.js';
import { RedisOutcomeStore } from '../../fleet/redis/redis-outcome-store.js';
import { answerTo } from '../../guard/control/answer-to.js';
import { ControlError } from '../../guard/control/control-error.js';
import { ControlFolder } from '../../journal/control-folder.js';
import { runningSubject } from '../../journal/folder-lock.js';
import { foldersIn } from '../../journal/guard-folder.js';
import type { Control, ControlReply, ControlRequest } from '../../model/control.js';
import { messageOf } from '../../support/async/callbacks.js';
import { ConfigError } from '../../support/config-error.js';

const ASK_AGAIN_MS = 100;

/** Whether a target is a fleet's Redis, and not a folder. */
export function isRedisUrl(target: string): boolean {
  return /^rediss?:\/\//i.test(target);
}

function requestOf(control: Control, waitMs: number): ControlRequest {
  const at = Date.now();
  return { id: randomUUID(), control, at, expiresAt: at + waitMs };
}

/** What one guard of a folder has answered. */
export interface FolderReply {
  readonly folder: string;
  readonly flagKey: string;
  readonly reply: ControlReply;
}

/**
 * Asks all guards of a folder, and of those within it, that run.
 *
 * @param flagKey - Of these guards only. @default all, which must be of one flag
 * @returns nothing when no guard runs there.
 * @throws ConfigError when guards of several flags run there, and none is named.
 */
export async function askFolder(
  folder: string,
  control: Control,
  flagKey: string | undefined,
  waitMs: number,
): Promise<FolderReply[]> {
  const running = await Promise.all(
    (await foldersIn(folder)).map(async (path) => ({ path, owner: await runningSubject(path) })),
  );
  const guards = running.flatMap(({ path, owner }) =>
    owner === undefined || (flagKey !== undefined && owner.flagKey !== flagKey)
      ? []
      : [{ path, flagKey: owner.flagKey }],
  );
  const flags = [...new Set(guards.map((guard) => guard.flagKey))];
  if (flags.length > 1) {
    const expected = `one of the flags that are guarded there: ${flags.join(', ')}`;
    throw new ConfigError('options', [{ path: 'flag', expected, got: 'nothing' }]);
  }
  return Promise.all(
    guards.map(async ({ path, flagKey }) => ({
      folder: path,
      flagKey,
      reply: await askGuard(path, requestOf(control, waitMs), waitMs),
    })),
  );
}

async function askGuard(folder: string, request: ControlRequest, waitMs: number): Promise<ControlReply> {
  const inbox = new ControlFolder(folder);
  try {
    await inbox.send(request);
    return await answerTo(request.id, inbox, `The guard of ${folder}`, { waitMs });
  } catch (error) {
    const code = error instanceof ControlError ? error.code : 'NO_REPLY';
    return { accepted: false, code, message: messageOf(error) };
  }
}

/** Which fleet. */
export interface FleetTarget {
  readonly url: string;
  readonly flagKey: string;
  readonly environment: string;
  readonly prefix: string | undefined;
  readonly service: string | undefined;
}

/** Runs something with the fleet of a flag, and closes the connection. @throws FleetError when Redis does not reply. */
export async function withFleet<T>(
  { url, flagKey, environment, prefix, service }: FleetTarget,
  run: (link: FleetLink) => Promise<T>,
): Promise<T> {
  const link = new RedisOutcomeStore({ url, prefix, service }).link({ flagKey, environment });
  try {
    return await run(link);
  } finally {
    await link.close();
  }
}

/** Asks the leader of a fleet. @throws FleetError when Redis does not reply. */
export async function askLeader(link: FleetLink, control: Control, waitMs: number): Promise<ControlReply> {
  const request = requestOf(control, waitMs);
  await link.controls.send(request);
  try {
    return await answerTo(request.id, link.controls, "The fleet's leader", { waitMs });
  } catch (error) {
    if (error instanceof ControlError) return { accepted: false, code: error.code, message: error.message };
    throw error;
  }
}

/** Waits until the fleet has turned the flag off in Unleash. @returns whether it has, in time. */
export async function isFleetOff(link: FleetLink, decisionId: string, waitMs: number): Promise<boolean> {
  const startedAt = performance.now();
  for (;;) {
    const { stop } = await link.controls.state();
    if (stop?.decision.id === decisionId && stop.done === 'off') return true;
    if (performance.now() - startedAt >= waitMs) return false;
    await sleep(ASK_AGAIN_MS);
  }
}
