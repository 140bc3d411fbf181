import { dirname } from 'node:path';
import type { GuardEvent } from '../../model/event.js';
import { ofAnyFlag, withoutNumbers } from '../../notify/same-notification.js';
import type { Logger } from '../../support/logger.js';
import { formatFlags, formatNames } from '../../support/wording.js';

/** What may be so of many flags at once, for one reason. What a guard does to its flag is said of each by itself. */
const OF_SEVERAL: ReadonlySet<unknown> = new Set<GuardEvent['type']>([
  'fault',
  'recovered',
  'health',
  'folder-changed',
  'fleet-connection',
  'admin-unavailable',
  'token-expiring',
  'flag-missing',
  'flag-found',
]);

/** For so long the same is only counted, in milliseconds, and then in one line: longer each time, while it goes on. */
const GATHER_MS = [1_000, 10_000, 60_000];
/** So many different lines are gathered at once; more are written as they come. */
const MOST_KINDS = 100;
/** A line names so many flags, or parts that fail; the others are counted. */
const MOST_NAMED = 10;

/** A line that was written, and what has been said since that is the same. */
interface Said {
  readonly level: keyof Logger;
  /** The fields that all have. */
  readonly fields: object;
  /** Of no flag in particular. */
  readonly text: string;
  /** Whose line was written. */
  readonly first: string;
  readonly flagKeys: Set<string>;
  /** The parts that fail, where it is a fault. */
  readonly parts: Set<string>;
  rounds: number;
  timer: NodeJS.Timeout;
}

/**
 * The log of several flags, whose lines carry the field `flagKey`. A disk that is full for a thousand of them is one line at once, and one
 * a second later with how many there are; no other line waits.
 */
export class SharedLog {
  readonly #logger: Logger;
  readonly #said = new Map<string, Said>();
  #isClosed = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** @param folder - Of this flag. */
  of(flagKey: string, folder: string | false): Logger {
    const level = (name: keyof Logger) => (fields: object, message: string) => {
      if (!this.#isSaid(name, flagKey, folder, fields, message)) {
        this.#logger[name]({ flagKey, ...fields }, message);
      }
    };
    return { debug: level('debug'), info: level('info'), warn: level('warn'), error: level('error') };
  }

  /** Writes what has been counted, and from now on each line as it comes: nothing may be left when the process ends. */
  close(): void {
    this.#isClosed = true;
    for (const said of this.#said.values()) {
      clearTimeout(said.timer);
      this.#summarize(said);
    }
    this.#said.clear();
  }

  /** @returns whether the line counts to one that was written a moment ago. */
  #isSaid(
    level: keyof Logger,
    flagKey: string,
    folder: string | false,
    fields: object,
    message: string,
  ): boolean {
    const { type, what, message: cause } = fields as Record<string, unknown>;
    if (type !== undefined && !OF_SEVERAL.has(type)) return false;
    const isFault = type === 'fault' && typeof what === 'string' && typeof cause === 'string';
    const text = ofAnyFolder(isFault ? cause : message, folder);
    // What works again differs in what it was, and how often it failed.
    const kind = type === 'health' ? withoutNumbers(ofAnyFlag(text, flagKey)) : ofAnyFlag(text, flagKey);
    const key = type === 'recovered' ? type : `${level} ${String(type)} ${kind}`;
    const known = this.#said.get(key);
    if (known !== undefined) {
      known.flagKeys.add(flagKey);
      if (isFault) known.parts.add(what);
      return true;
    }
    if (this.#isClosed || this.#said.size >= MOST_KINDS) return false;
    const said: Said = {
      level,
      fields: type === undefined ? {} : { type },
      text,
      first: flagKey,
      flagKeys: new Set(),
      parts: new Set(),
      rounds: 0,
      timer: setTimeout(() => this.#endRound(key, said), GATHER_MS[0]).unref(),
    };
    this.#said.set(key, said);
    return false;
  }

  #endRound(key: string, said: Said): void {
    // What begins slowly is the same, too.
    if (!this.#summarize(said) && said.rounds > 0) {
      this.#said.delete(key);
      return;
    }
    said.rounds += 1;
    const nextMs = GATHER_MS[Math.min(said.rounds, GATHER_MS.length - 1)];
    said.timer = setTimeout(() => this.#endRound(key, said), nextMs).unref();
  }

  /** @returns whether there was anything to say. */
  #summarize({ level, fields, text, first, flagKeys, parts }: Said): boolean {
    if (flagKeys.size === 0) return false;
    const keys = [...flagKeys];
    const others = keys.filter((flagKey) => flagKey !== first).length;
    const fault = parts.size === 0 ? '' : `Fault (${formatNames([...parts], MOST_NAMED)}): `;
    this.#logger[level](
      { ...fields, flagKeys: keys.slice(0, MOST_NAMED), flags: keys.length },
      `${formatFlags(first, others)}: ${fault}${text}`,
    );
    flagKeys.clear();
    parts.clear();
    return true;
  }
}

/** A text about a flag's folder, or what is in it, as one about those of all flags: `logs/async_upload_rollout/view.json` is `logs/*`. */
function ofAnyFolder(text: string, folder: string | false): string {
  if (folder === false) return text;
  let general = text;
  for (let at = general.indexOf(folder); at >= 0; at = general.indexOf(folder, at + 1)) {
    const within = /^[^\s:,]*/.exec(general.slice(at + folder.length))![0];
    general = `${general.slice(0, at)}${dirname(folder)}/*${general.slice(at + folder.length + within.length)}`;
  }
  return general;
}
