import { open } from 'node:fs/promises';
import { z } from 'zod';
import { type LogProblem, OUT_OF_ORDER } from '../../log/read-log.js';
import { UserHash } from '../../log/user-hash.js';
import { unitHasher } from '../../measure/evidence/evidence-feed.js';
import { linesOf } from '../../support/files.js';
import { parseJson } from '../../support/json.js';

const EXPECTED =
  'a tracked event has { "timestamp": an ISO time or milliseconds since 1970, "event": its name, "user": the targeting key, "value": a number or nothing }';

const eventSchema = z.lazy(() =>
  z.object({
    timestamp: z.union([z.number(), z.iso.datetime({ offset: true }).transform(Date.parse)]),
    event: z.string(),
    user: z.string(),
    value: z.number().nullish(),
  }),
);

/** What a user did, as a metric counts it. */
export interface ReplayedEvent {
  readonly at: number;
  readonly name: string;
  /** As the log has the user. */
  readonly targetingKey: string;
  readonly value: number | undefined;
}

/** A file of tracked events, a line of JSON each, ascending: read as the replay comes to them. */
export class TrackedEvents {
  readonly #path: string | undefined;
  readonly #onProblem: (problem: LogProblem) => void;
  #events: AsyncGenerator<ReplayedEvent, void, void> | undefined;
  #next: ReplayedEvent | undefined;

  /** @param path - Undefined: there are none. */
  constructor(path: string | undefined, onProblem: (problem: LogProblem) => void) {
    this.#path = path;
    this.#onProblem = onProblem;
  }

  /**
   * @param folder - That of the log, whose users are hidden by the folder's salt; where it has none, they are as they were.
   * @throws when the file or the salt cannot be read.
   */
  async begin(folder: string, flagKey: string): Promise<void> {
    if (this.#path === undefined) return;
    const users = await UserHash.read(folder);
    const hashOfUnit = unitHasher(flagKey);
    const hidden = (user: string) => users?.of(user, hashOfUnit(user)) ?? user;
    this.#events = eventsOf(this.#path, hidden, this.#onProblem);
    await this.#read();
  }

  hasBefore(at: number): boolean {
    return this.#next !== undefined && this.#next.at < at;
  }

  /** Gives what happened before a time, in the order of the file. */
  async giveBefore(at: number, track: (event: ReplayedEvent) => void): Promise<void> {
    while (this.#next !== undefined && this.#next.at < at) {
      track(this.#next);
      await this.#read();
    }
  }

  /** Also when it was not read to its end. */
  async close(): Promise<void> {
    await this.#events?.return();
  }

  async #read(): Promise<void> {
    const read = await this.#events?.next();
    this.#next = read === undefined || read.done === true ? undefined : read.value;
  }
}

async function* eventsOf(
  path: string,
  hidden: (user: string) => string,
  onProblem: (problem: LogProblem) => void,
): AsyncGenerator<ReplayedEvent, void, void> {
  const file = await open(path);
  try {
    let number = 0;
    let latest = Number.NEGATIVE_INFINITY;
    for await (const lines of linesOf(file)) {
      for (const line of lines) {
        number += 1;
        if (line === '') continue;
        const { data } = eventSchema.safeParse(line === undefined ? undefined : parseJson(line));
        if (data === undefined) onProblem({ file: path, line: number, reason: EXPECTED, used: false });
        else {
          const { timestamp: at, event: name, user, value } = data;
          if (at < latest) onProblem({ file: path, line: number, reason: OUT_OF_ORDER, used: true });
          latest = Math.max(latest, at);
          yield { at, name, targetingKey: hidden(user), value: value ?? undefined };
        }
      }
    }
  } finally {
    await file.close();
  }
}
