import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type ControlReply,
  type ControlRequest,
  controlReplySchema,
  controlRequestSchema,
} from '../model/control.js';
import {
  makeFolder,
  OWN_FILES,
  readIfPresent,
  replaceFile,
  unlessMissing,
  type WriteOptions,
} from '../support/files.js';
import { parseJson } from '../support/json.js';

const FOLDER = 'requests';
const WAITING = /^([0-9a-f-]{36})\.json$/;
const BEGUN = /^([0-9a-f-]{36})\.begun\.json$/;
const ANSWER = /^[0-9a-f-]{36}\.reply\.json$/;
/** A request has a reason of a thousand characters at most. */
const MAX_BYTES = 16 * 1024;
/** Requests that are taken at once. */
const MOST = 32;
/** An answer that was not fetched by then is deleted, in milliseconds. */
const ANSWERS_LIVE_MS = 600_000;

/** A request in a guard's folder, or one that cannot be read. */
export type FoundRequest = ControlRequest | { readonly id: string; readonly unreadable: string };

/**
 * Requests of operators in a guard's folder, one file each: the command line puts one there, and the guard replaces it by
 * its answer. Whoever may write in the folder may ask.
 */
export class ControlFolder {
  readonly #folder: string;
  readonly #mode: number;
  readonly #permit: () => Promise<void>;

  /**
   * @param guardFolder - The folder of one guard.
   * @param options - Of the guard, which takes requests only while the folder is its own.
   */
  constructor(guardFolder: string, { mode = OWN_FILES, permit = async () => {} }: WriteOptions = {}) {
    this.#folder = join(guardFolder, FOLDER);
    this.#mode = mode;
    this.#permit = permit;
  }

  // For the guard.

  /** What was begun and not answered, and what waits, oldest first. What waits is begun with this: it is not withdrawn any more. */
  async take(): Promise<readonly FoundRequest[]> {
    const names = (await unlessMissing(readdir(this.#folder))) ?? [];
    const waiting = names.flatMap((name) => WAITING.exec(name)?.[1] ?? []);
    const begun = names.flatMap((name) => BEGUN.exec(name)?.[1] ?? []);
    if (waiting.length + begun.length === 0) return [];
    await this.#permit();
    for (const id of waiting.slice(0, MOST))
      await unlessMissing(rename(this.#fileOf(id), this.#fileOf(id, 'begun.')));
    const found = await Promise.all([...begun, ...waiting].slice(0, MOST).map((id) => this.#read(id)));
    return found.flat().sort((a, b) => timeOf(a) - timeOf(b));
  }

  /** Notes what the guard is about to do. */
  begin(request: ControlRequest): Promise<void> {
    return replaceFile(this.#fileOf(request.id, 'begun.'), JSON.stringify(request), { mode: this.#mode });
  }

  /** Answers a request: it no longer waits. */
  async answer(id: string, reply: ControlReply): Promise<void> {
    await replaceFile(this.#fileOf(id, 'reply.'), JSON.stringify(reply), { mode: this.#mode });
    await rm(this.#fileOf(id, 'begun.'), { force: true });
    await this.#removeOldAnswers();
  }

  // For the command line.

  async send(request: ControlRequest): Promise<void> {
    await makeFolder(this.#folder, this.#mode);
    await replaceFile(this.#fileOf(request.id), JSON.stringify(request), { mode: this.#mode });
  }

  /** The answer to a request, once; undefined before. */
  async reply(id: string): Promise<ControlReply | undefined> {
    const path = this.#fileOf(id, 'reply.');
    const text = await readIfPresent(path, MAX_BYTES);
    const reply = controlReplySchema.safeParse(parseJson(text ?? '')).data;
    if (reply !== undefined) await rm(path, { force: true });
    return reply;
  }

  /** Takes back a request. @returns whether no guard has begun with it. */
  async withdraw(id: string): Promise<boolean> {
    // By one rename, as the guard takes it by one: only one of both finds it.
    const withdrawn = this.#fileOf(id, 'withdrawn.');
    const isThere = await unlessMissing(rename(this.#fileOf(id), withdrawn).then(() => true));
    await rm(withdrawn, { force: true });
    return isThere === true;
  }

  async #read(id: string): Promise<FoundRequest[]> {
    try {
      const text = await readIfPresent(this.#fileOf(id, 'begun.'), MAX_BYTES);
      if (text === undefined) return [];
      const request = controlRequestSchema.safeParse(parseJson(text));
      if (request.success && request.data.id === id) return [request.data];
      const where = request.error?.issues[0]?.path.join('.');
      return [{ id, unreadable: `it is no request of this version${where ? ` (${where})` : ''}` }];
    } catch {
      return [{ id, unreadable: 'it cannot be read' }];
    }
  }

  async #removeOldAnswers(): Promise<void> {
    const names = (await readdir(this.#folder)).filter((name) => ANSWER.test(name));
    for (const name of names) {
      const path = join(this.#folder, name);
      const found = await unlessMissing(stat(path));
      if (found !== undefined && Date.now() - found.mtimeMs > ANSWERS_LIVE_MS)
        await rm(path, { force: true });
    }
  }

  #fileOf(id: string, state = ''): string {
    return join(this.#folder, `${id}.${state}json`);
  }
}

function timeOf(request: FoundRequest): number {
  return 'unreadable' in request ? 0 : request.at;
}
