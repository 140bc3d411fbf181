import { randomUUID } from 'node:crypto';
import { rm, stat, statfs, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { runningSubject } from '../journal/folder-lock.js';
import { systemClock } from '../support/clock.js';
import { fetchOver } from '../support/connection/connection.js';
import { AnswerTooLargeError, exchange, MIB, NoAnswerError, notOfProxy } from '../support/connection/http.js';
import { parseJson } from '../support/json.js';
import { adminTokenProblem, baseUrlOf } from '../unleash/admin-access.js';
import { UnleashAdminClient, type UnleashAdminClientOptions } from '../unleash/admin-client.js';
import { type AdminError, isAdminError } from '../unleash/admin-error.js';
import { UNKNOWN_EXPIRY } from '../unleash/admin-rights.js';
import { clientFeaturesUrl, clientTokenProblem } from '../unleash/client-api.js';
import type { AdminObservation, Answer, FolderObservation, Observations, Target } from './observations.js';

/** All flags of a large Unleash are in one answer. */
const MAX_BYTES = 32 * MIB;

/** Options of {@link observe}. */
export interface ObserveOptions
  extends Target,
    Pick<UnleashAdminClientOptions, 'timeoutMs' | 'fetch' | 'http' | 'clock'> {
  readonly clientToken?: string | undefined;
  readonly adminToken?: string | undefined;
  /** The guard's folder. */
  readonly folder: string;
}

type Connected = ObserveOptions & { readonly fetch: typeof fetch };

/** Observes Unleash, as the service and as the guard, and the guard's folder. It changes nothing in Unleash. */
export async function observe(given: ObserveOptions): Promise<Observations> {
  const options = { ...given, fetch: fetchOver(given) };
  const { url, flagKey, project, environment, contextFields, clientToken, adminToken, folder } = options;
  const get = (path: string, token?: string) => request(options, `${baseUrlOf(url)}${path}`, token);
  const tokenProblem = clientToken === undefined ? undefined : clientTokenProblem(clientToken);
  const [health, features, admin, observedFolder] = await Promise.all([
    get('/health'),
    // As the service's provider does, whatever the address is.
    clientToken === undefined || tokenProblem !== undefined
      ? undefined
      : request(options, clientFeaturesUrl(url), clientToken),
    adminToken === undefined ? undefined : observeAdmin(options, adminToken, get),
    observeFolder(folder),
  ]);
  const target = { url, flagKey, project, environment, contextFields };
  const at = (options.clock ?? systemClock).now();
  return { target, health, features, clientTokenProblem: tokenProblem, admin, folder: observedFolder, at };
}

async function observeAdmin(
  options: Connected,
  token: string,
  get: (path: string, token: string) => Promise<Answer>,
): Promise<AdminObservation> {
  const tokenProblem = adminTokenProblem(token);
  if (tokenProblem !== undefined) return { tokenProblem };
  const { url, flagKey, project, environment, timeoutMs, fetch, clock } = options;
  const client = new UnleashAdminClient({ url, token, project, environment, timeoutMs, fetch, clock });
  const [user, expiry, flag, history, changeRequests] = await Promise.all([
    get('/api/admin/user', token),
    orError(client.readAccess(0).then(({ expiry = UNKNOWN_EXPIRY }) => expiry)),
    orError(client.readFlag(flagKey)),
    orError(client.history(flagKey).then(() => 'readable' as const)),
    get(`/api/admin/projects/${encodeURIComponent(project)}/change-requests/config`, token),
  ]);
  return { tokenProblem, user, expiry, flag, history, changeRequests };
}

async function orError<T>(call: Promise<T>): Promise<T | AdminError> {
  try {
    return await call;
  } catch (error) {
    if (isAdminError(error)) return error;
    throw error;
  }
}

async function request(options: Connected, url: string, token: string | undefined): Promise<Answer> {
  const { fetch, clock = systemClock, timeoutMs = 5_000 } = options;
  const headers = { accept: 'application/json', ...(token === undefined ? {} : { authorization: token }) };
  const startedAt = clock.monotonic();
  try {
    const answer = await exchange(
      fetch,
      { method: 'GET', url, headers, maxBytes: MAX_BYTES },
      timeoutMs,
    ).then(notOfProxy);
    const tookMs = clock.monotonic() - startedAt;
    const serverDate = Date.parse(answer.headers.get('date') ?? '');
    return {
      status: answer.status,
      json: parseJson(answer.body),
      serverDate: Number.isNaN(serverDate) ? undefined : serverDate,
      localDate: clock.now() - tookMs / 2,
    };
  } catch (error) {
    if (error instanceof AnswerTooLargeError) return { noAnswer: error.message };
    if (error instanceof NoAnswerError) return { noAnswer: error.message, help: error.help };
    throw error;
  }
}

/**
 * Whether the guard can write to its folder: writes an empty file there and removes it. Where the folder does not exist
 * yet, its nearest existing parent is tried: the folder can be created where that can be written.
 */
export async function observeFolder(path: string): Promise<FolderObservation> {
  const wanted = resolve(path);
  const existing = await nearestExisting(wanted);
  const probe = join(existing, `.rollout-guard-doctor-${randomUUID()}`);
  const exists = existing === wanted;
  try {
    await refuseLongNames(existing, wanted);
    await writeFile(probe, '', { flag: 'wx' });
    await rm(probe);
    return { path, exists, problem: undefined, ...(await factsOf(existing, exists)) };
  } catch (error) {
    return { path, exists, problem: codeOf(error) };
  }
}

/** Where a parent is missing, the system does not say that a name below it is too long. */
async function refuseLongNames(existing: string, wanted: string): Promise<void> {
  for (const name of relative(existing, wanted).split(sep)) {
    await stat(join(existing, name)).catch((error: unknown) => {
      if (codeOf(error) === 'ENAMETOOLONG') throw error;
    });
  }
}

/** Who may write there, and how much. */
async function factsOf(path: string, exists: boolean): Promise<Partial<FolderObservation>> {
  const { uid, mode } = await stat(path);
  const disk = await statfs(path).catch(() => undefined);
  const user = process.getuid?.();
  return {
    // Windows has neither.
    isForeign: exists && user !== undefined && uid !== user,
    isOpen: exists && user !== undefined && (mode & 0o002) !== 0,
    usedBy: exists ? await usedBy(path) : undefined,
    freeBytes: disk && disk.bavail * disk.bsize,
  };
}

async function usedBy(path: string): Promise<string | undefined> {
  const subject = await runningSubject(path).catch(() => undefined);
  return subject && `${subject.flagKey} in ${subject.environment}`;
}

async function nearestExisting(path: string): Promise<string> {
  for (let folder = path; ; folder = dirname(folder)) {
    try {
      await stat(folder);
      return folder;
    } catch (error) {
      // A file in the way, or a folder that may not be entered: writing there fails with the reason.
      if (codeOf(error) !== 'ENOENT' || folder === dirname(folder)) return folder;
    }
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
