import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { diagnose } from '../../doctor/diagnose.js';
import type { Finding } from '../../doctor/finding.js';
import type { Observations } from '../../doctor/observations.js';
import { type ObserveOptions, observe } from '../../doctor/observe.js';
import { readUser } from '../../doctor/observed-replies.js';
import { messageOf } from '../../support/async/callbacks.js';
import { parseJson } from '../../support/json.js';
import { UnleashAdminClient } from '../../unleash/admin-client.js';
import { isAdminError } from '../../unleash/admin-error.js';
import { mayDo } from '../../unleash/admin-rights.js';
import { type AdminTarget, AdminWriter } from '../../unleash/admin-writer.js';

/** The flag that a rollout needs, and whose tokens. */
export type InitTarget = ObserveOptions & AdminTarget & { readonly stickiness: string };

/** What there is afterwards. */
export interface InitResult {
  /** `refused`: nothing was created, because of what the findings say. */
  readonly outcome: 'created' | 'exists' | 'refused';
  readonly findings: readonly Finding[];
  readonly flagUrl: string;
  /** Unleash's type of a flag that exists. */
  readonly type?: string;
}

/** The flag cannot be made. The message says what is in Unleash afterwards. */
export class InitError extends Error {
  override readonly name = 'InitError';
  readonly code = 'INIT_FAILED';
}

/** Without these, nothing that is made would work. */
const NEEDED = ['url', 'client-token', 'admin-token', 'admin-permission'];
/** Unleash sends a new flag to SDKs a moment later. */
const SEEN_WITHIN_MS = 8_000;
const ASK_AGAIN_MS = 500;
const NOTHING = 'Nothing was created in Unleash.';

const overviewReply = z.object({ environments: z.array(z.object({ environment: z.string() })) });

/**
 * Makes the flag with a gradual rollout at 0 %, off, or finds that it exists. What exists is never changed.
 *
 * @throws InitError that says what was created, if anything.
 */
export async function makeFlag(target: InitTarget): Promise<InitResult> {
  const { flagKey } = target;
  const writer = new AdminWriter(target, flagKey);
  const { pageUrl: flagUrl } = writer;
  const seen = await observe(target);
  const findings = diagnose(seen);
  if (findings.some(isObstacle)) {
    return { outcome: 'refused', findings: findings.filter(({ check }) => NEEDED.includes(check)), flagUrl };
  }
  const flag = seen.admin?.tokenProblem === undefined ? seen.admin?.flag : undefined;
  if (!isAdminError(flag)) return { outcome: 'exists', findings, flagUrl, type: flag!.type };
  if (flag.code !== 'ADMIN_NOT_FOUND') throw new InitError(`${flag.message} ${NOTHING}`);
  await withoutTrace(() => examineProject(target, writer));
  checkRights(target, seen);
  await withoutTrace(() => writer.send('POST', '/api/admin/features/validate', { name: flagKey }));
  await create(target, writer);
  return { outcome: 'created', findings: await findingsOnceSeen(target), flagUrl };
}

function isObstacle({ check, status }: Finding): boolean {
  return NEEDED.includes(check) && (status === 'fail' || (check === 'admin-token' && status !== 'ok'));
}

/** A flag that does not exist does not show whether its project and environment do. */
async function examineProject({ project, environment }: InitTarget, writer: AdminWriter): Promise<void> {
  const path = `/api/admin/projects/${encodeURIComponent(project)}/overview`;
  const body = await writer.send('GET', path).catch((error: unknown) => {
    if (isAdminError(error) && error.status === 404) {
      throw new InitError(`Unleash has no project "${project}", or this token may not see it.`);
    }
    throw error;
  });
  const names = overviewReply
    .safeParse(parseJson(body))
    .data?.environments.map(({ environment }) => environment);
  if (names === undefined || names.includes(environment)) return;
  throw new InitError(
    `Project "${project}" has no environment "${environment}". It has: ${names.join(', ') || 'none'}.`,
  );
}

function checkRights({ project, environment }: InitTarget, { admin }: Observations): void {
  const user = admin?.tokenProblem === undefined ? admin?.user : undefined;
  const permissions = user && readUser(user)?.permissions;
  // Unleash decides where it does not show them.
  if (permissions === undefined) return;
  const missing = ['CREATE_FEATURE', 'CREATE_FEATURE_STRATEGY'].filter(
    (permission) => !mayDo(permissions, permission, { project, environment }),
  );
  if (missing.length === 0) return;
  throw new InitError(
    `The admin token may not create flags in project "${project}": it lacks ${missing.join(' and ')}. ` +
      `In open-source Unleash, use a token of a user with the root role Editor. ${NOTHING}`,
  );
}

async function create(target: InitTarget, writer: AdminWriter): Promise<void> {
  const { flagKey, environment, stickiness } = target;
  try {
    await writer.create('A guarded rollout, made by rollout-guard init.');
  } catch (error) {
    throw new InitError(`${messageOf(error)} ${await whatIsThere(target, error)}`);
  }
  try {
    await writer.addRollout(0, stickiness);
  } catch (error) {
    const gone = `The flag "${flagKey}" was created without a rollout, and deleted again: nothing is left in Unleash.`;
    const left = `The flag "${flagKey}" was created, and is off; its gradual rollout in "${environment}" is missing. Add it, or delete the flag: ${writer.pageUrl}`;
    const isGone = await writer.delete().then(
      () => true,
      () => false,
    );
    throw new InitError(`${messageOf(error)} ${isGone ? gone : left}`);
  }
}

/** After a request whose reply was lost, Unleash may have done it. */
async function whatIsThere(target: InitTarget, error: unknown): Promise<string> {
  if (!isAdminError(error) || !error.retryable) return NOTHING;
  const client = new UnleashAdminClient({ ...target, token: target.adminToken });
  const read = await client.readFlag(target.flagKey).catch((error: unknown) => error);
  if (!isAdminError(read))
    return 'Unleash shows the flag nevertheless: run the command again to have it examined.';
  return read.code === 'ADMIN_NOT_FOUND' ? NOTHING : 'Whether the flag was created is not known.';
}

async function findingsOnceSeen(target: InitTarget): Promise<Finding[]> {
  const startedAt = performance.now();
  for (;;) {
    const findings = diagnose(await observe(target));
    const isSeen = findings.some(({ check, status }) => check === 'flag' && status !== 'fail');
    if (isSeen || performance.now() - startedAt > SEEN_WITHIN_MS) return findings;
    await sleep(ASK_AGAIN_MS);
  }
}

/** Of what changes nothing. */
async function withoutTrace<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (isAdminError(error) || error instanceof InitError) throw new InitError(`${error.message} ${NOTHING}`);
    throw error;
  }
}
