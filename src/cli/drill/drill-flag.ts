import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { GUARD_TAG_TYPE } from '../../guard/act/unleash-marks.js';
import { messageOf } from '../../support/async/callbacks.js';
import { parseJson } from '../../support/json.js';
import { retry } from '../../support/retry.js';
import { UnleashAdminClient } from '../../unleash/admin-client.js';
import { ADMIN_RETRY, isAdminError } from '../../unleash/admin-error.js';
import { type AdminTarget, AdminWriter } from '../../unleash/admin-writer.js';

/**
 * The flag of a drill: one that is made for it and deleted, or one that is named and left as it was. What changes it is not
 * aborted: a request that Unleash still works on would arrive after the clean-up.
 */
export interface DrillFlag {
  readonly key: string;
  /**
   * Prepares the flag, which stays off.
   * @returns a sentence on what was done.
   */
  prepare(signal: AbortSignal): Promise<string>;
  /** Turns the flag on in the environment. */
  turnOn(): Promise<void>;
  /**
   * Puts everything back as it was. Retries what can succeed later.
   * @returns a sentence on what was done; undefined when nothing was to be done.
   */
  cleanUp(): Promise<string | undefined>;
}

/** A drill cannot take place, or found that the path does not work. The message is for an operator. */
export class DrillError extends Error {
  override readonly name = 'DrillError';
  readonly code = 'DRILL_FAILED';
}

/** A request that was given up may take so much longer in Unleash, in milliseconds. */
const LATE_REPLY_MS = 3_000;

const tagsReply = z.object({ tags: z.array(z.object({ type: z.string(), value: z.string() })) });

/** A flag that exists for one drill only. */
class ScratchFlag implements DrillFlag {
  readonly key = `rollout-guard-drill-${randomBytes(4).toString('hex')}`;
  readonly #admin: AdminWriter;
  readonly #client: UnleashAdminClient;
  /** `unknown`: Unleash did not reply to the request that makes it. */
  #state: 'none' | 'unknown' | 'made' = 'none';

  constructor(target: AdminTarget) {
    const { adminToken: token, ...rest } = target;
    this.#admin = new AdminWriter(target, this.key);
    this.#client = new UnleashAdminClient({ ...rest, token });
  }

  async prepare(signal: AbortSignal): Promise<string> {
    const description = 'Made by rollout-guard drill, which deletes it. It can be deleted at any time.';
    // Before the request, because its reply may be lost.
    this.#state = 'unknown';
    try {
      await this.#admin.create(description);
      this.#state = 'made';
    } catch (error) {
      // Unleash has refused it.
      if (isAdminError(error) && !error.retryable) this.#state = 'none';
      throw error;
    }
    // Explains a wrong environment.
    await this.#client.readFlag(this.key, { signal });
    await this.#admin.addRollout(100, 'default');
    return `${this.key} was made; no service evaluates it.`;
  }

  async turnOn(): Promise<void> {
    await this.#admin.send('POST', `${this.#admin.environmentPath}/on`);
  }

  async cleanUp(): Promise<string | undefined> {
    if (this.#state === 'none') return undefined;
    // Unleash may still be making it.
    if (this.#state === 'unknown') await sleep(LATE_REPLY_MS);
    try {
      await this.#admin.delete();
    } catch (error) {
      throw new DrillError(
        `The scratch flag ${this.key} could not be deleted: archive and delete it by hand, ${this.#admin.pageUrl}. ${messageOf(error)}`,
      );
    }
    this.#state = 'none';
    return `${this.key} is archived and deleted.`;
  }
}

/** A flag that exists before the drill and after it. */
class NamedFlag implements DrillFlag {
  readonly key: string;
  readonly #admin: AdminWriter;
  readonly #client: UnleashAdminClient;
  readonly #environment: string;
  /** What it had before it was turned on; undefined while nothing was changed. */
  #before:
    | { readonly strategyIds: ReadonlySet<string>; readonly marks: readonly string[] | undefined }
    | undefined;
  #isChanged = false;

  constructor(target: AdminTarget, key: string) {
    const { adminToken: token, ...rest } = target;
    this.key = key;
    this.#admin = new AdminWriter(target, key);
    this.#client = new UnleashAdminClient({ ...rest, token });
    this.#environment = target.environment;
  }

  async prepare(signal: AbortSignal): Promise<string> {
    const { enabled, strategies } = await this.#client.readFlag(this.key, { signal });
    if (enabled) {
      throw new DrillError(
        `${this.key} is on in ${this.#environment}: a drill would turn it off for its users. Name a flag that is off and that no service evaluates, or none.`,
      );
    }
    const tags = tagsReply.safeParse(
      parseJson(await this.#admin.send('GET', this.#admin.tagsPath, undefined, signal)),
    );
    const tagged = tags.data?.tags.filter(({ type }) => type === GUARD_TAG_TYPE.name);
    const marks = tagged?.map(({ value }) => value);
    this.#before = { strategyIds: new Set(strategies.map(({ id }) => id)), marks };
    return `${this.key} exists, and is off in ${this.#environment}.`;
  }

  async turnOn(): Promise<void> {
    this.#isChanged = true;
    await this.#admin.send('POST', `${this.#admin.environmentPath}/on`);
  }

  async cleanUp(): Promise<string | undefined> {
    const before = this.#before;
    if (before === undefined || !this.#isChanged) return undefined;
    try {
      await retry(() => this.#client.disable(this.key), ADMIN_RETRY);
      const { strategies } = await retry(() => this.#client.readFlag(this.key), ADMIN_RETRY);
      // Unleash gives a flag without strategies one when it is turned on.
      for (const { id } of strategies.filter(({ id }) => !before.strategyIds.has(id))) {
        await this.#admin.remove(
          'DELETE',
          `${this.#admin.environmentPath}/strategies/${encodeURIComponent(id)}`,
        );
      }
      const { marks } = before;
      if (marks !== undefined)
        await retry(() => this.#client.setTags(this.key, GUARD_TAG_TYPE, marks), ADMIN_RETRY);
    } catch (error) {
      throw new DrillError(
        `${this.key} could not be put back as it was: check that it is off, ${this.#admin.pageUrl}. ${messageOf(error)}`,
      );
    }
    this.#isChanged = false;
    return `${this.key} is off again, as it was.`;
  }
}

/** The flag of a drill. @param key - Of an existing flag. @default a scratch flag is made */
export function drillFlag(target: AdminTarget, key: string | undefined): DrillFlag {
  return key === undefined ? new ScratchFlag(target) : new NamedFlag(target, key);
}
