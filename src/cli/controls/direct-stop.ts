import { randomUUID } from 'node:crypto';
import type { FleetLink } from '../../fleet/fleet-link.js';
import { lastToggleIdOf } from '../../guard/act/toggle-history.js';
import { AuditLog } from '../../journal/audit-log.js';
import { endedOwners, FolderLock, isSameSubject, subjectOfLock } from '../../journal/folder-lock.js';
import { foldersIn } from '../../journal/guard-folder.js';
import { Journal } from '../../journal/journal.js';
import { countsOf, type Decision, NO_COUNTS } from '../../model/shapes.js';
import { messageOf } from '../../support/async/callbacks.js';
import { OWN_FILES } from '../../support/files.js';
import { retry } from '../../support/retry.js';
import { UnleashAdminClient } from '../../unleash/admin-client.js';
import { ADMIN_RETRY } from '../../unleash/admin-error.js';
import { gradualRolloutOf } from '../../unleash/admin-replies.js';

/** Where a flag is turned off without its service. */
export interface StopTarget {
  readonly url: string;
  readonly token: string;
  readonly project: string;
  readonly environment: string;
  readonly flagKey: string;
  readonly timeoutMs: number;
}

interface Asked {
  readonly by: string;
  readonly reason: string;
}

/** A stop that an operator decides where no guard has counted anything. */
function directDecision(
  flagKey: string,
  { by, reason }: Asked,
  facts: Pick<Decision, 'epoch'> & Partial<Pick<Decision, 'rolloutPercentage' | 'lastToggleId'>>,
): Decision {
  return {
    id: randomUUID(),
    flagKey,
    action: 'stop',
    dryRun: false,
    at: Date.now(),
    requestedBy: by,
    verdicts: [],
    counts: { treatment: countsOf(NO_COUNTS), control: countsOf(NO_COUNTS) },
    reason: `${by} stopped it: ${reason}`,
    ...facts,
  };
}

/** Turns flags off straight through the admin API, when the service is down. */
export class DirectStop {
  readonly #target: StopTarget;
  readonly #client: UnleashAdminClient;

  /** @throws AdminError when the token's form shows that it is not for the admin API. */
  constructor(target: StopTarget) {
    this.#target = target;
    this.#client = new UnleashAdminClient(target);
  }

  /**
   * Turns the flag off and reads it back.
   *
   * @returns the decision, for the traces.
   * @throws AdminError when Unleash does not accept it.
   */
  async stop(asked: Asked): Promise<Decision> {
    const { flagKey, environment } = this.#target;
    // What a guard must know of it later; a token that may not read it may still turn the flag off.
    const before = await this.#client.readFlag(flagKey).catch(() => undefined);
    const history = await this.#client.history(flagKey).catch(() => undefined);
    const turnOff = async () => {
      await this.#client.disable(flagKey);
      const { enabled } = await this.#client.readFlag(flagKey);
      if (enabled) throw new Error('Unleash accepted "off", and still shows the flag on.');
    };
    await retry(turnOff, ADMIN_RETRY);
    const lastToggleId = history && lastToggleIdOf(history, environment);
    const rolloutPercentage = before && gradualRolloutOf(before)?.percentage;
    return directDecision(flagKey, asked, {
      epoch: 0,
      ...(rolloutPercentage === undefined ? {} : { rolloutPercentage }),
      ...(lastToggleId === undefined ? {} : { lastToggleId }),
    });
  }

  /**
   * Leaves the stop in the journals and audit logs of a guard's folder, so that a guard that starts there knows it.
   *
   * @returns the folders in which it is.
   */
  async traceInFolder(folder: string, decision: Decision): Promise<string[]> {
    const { flagKey, project, environment } = this.#target;
    const subject = { flagKey, project, environment };
    const folders = await foldersIn(folder);
    const ended = await endedOwners(folders);
    const traced: string[] = [];
    for (const path of folders) {
      const owner = await subjectOfLock(path);
      // Where no guard has ever been, none needs it.
      if (owner === undefined || !isSameSubject(owner, subject)) continue;
      const lock = await FolderLock.take(path, subject, ended, OWN_FILES);
      if (!(lock instanceof FolderLock)) continue;
      try {
        await this.#write(path, decision);
        traced.push(path);
      } finally {
        await lock.release();
      }
    }
    return traced;
  }

  async #write(folder: string, decision: Decision): Promise<void> {
    const { flagKey, project, environment } = this.#target;
    const journal = new Journal(folder);
    const entry = await journal.load();
    if (entry?.state.status === 'stopped') return;
    const epoch = entry?.epoch ?? 1;
    const at = Date.now();
    const state = { status: 'stopped', since: at, confirmedBy: 'read-back', seenOff: false } as const;
    const own = { ...decision, epoch };
    await journal.save({
      ...entry,
      ...{ flagKey, project, environment, epoch },
      state: { ...state, decision: own },
    });
    let problem: unknown;
    const audit = new AuditLog(folder, flagKey, {
      onFault: (error) => {
        problem = error;
      },
    });
    audit.append({ type: 'decided', at: decision.at, decision: own });
    audit.append({ type: 'stopped', at, decisionId: decision.id, confirmedBy: 'read-back' });
    await audit.close();
    if (problem !== undefined) throw new Error(`the audit log of ${folder}: ${messageOf(problem)}`);
  }
}

/** Stops every process of a fleet at once, leader or not. @returns undefined when the store has no such fleet. */
export async function stopFleet(
  link: FleetLink,
  flagKey: string,
  asked: Asked,
): Promise<Decision | undefined> {
  const { datasetId, epoch, stop } = await link.controls.state();
  if (datasetId === '') return undefined;
  if (stop?.decision.action === 'stop') return stop.decision;
  const decision = directDecision(flagKey, asked, { epoch });
  const state = await link.stop(decision, undefined);
  return state.stop?.decision ?? decision;
}
