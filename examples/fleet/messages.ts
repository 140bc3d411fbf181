// The messages between the processes of the fleet and the one that started them, beside HTTP.

/** The flag that chooses between the two paths. */
export const FLAG_KEY = 'async-upload';

/** What a process is given when it starts, before anything else. */
export interface InstanceSettings {
  /** Unleash's API, for the provider and for the guard. */
  readonly apiUrl: string;
  readonly clientToken: string;
  /** Only a few processes have one: those may lead. */
  readonly adminToken: string | undefined;
  readonly project: string;
  readonly environment: string;
  readonly redisUrl: string;
  /** The beginning of the fleet's keys in Redis. */
  readonly keyPrefix: string;
  /** For the guard's journal, audit log and outcome log. */
  readonly folder: string;
}

/** `break` and `fix`: the new path, in this process. */
export type ToInstance = { readonly type: 'break' | 'fix' | 'report' | 'close' };

export type FromInstance =
  | { readonly type: 'ready'; readonly url: string }
  | ({ readonly type: 'moment' } & Moment)
  | { readonly type: 'fault'; readonly message: string }
  /** Redis cannot be reached, and why; it is retried. */
  | { readonly type: 'redis-away'; readonly message: string }
  | { readonly type: 'report'; readonly report: InstanceReport };

/** What a guard reported, and when: milliseconds since 1970, with fractions. */
export interface Moment {
  readonly what: 'decided' | 'stopped-here' | 'stopped' | 're-armed';
  readonly at: number;
  /** Of a decision: why. */
  readonly reason?: string | undefined;
  /** Of a decision: another process made it. */
  readonly isOthers?: boolean | undefined;
}

/** What a process did, by its own count. */
export interface InstanceReport {
  readonly counts: Counts;
  /** Calls of the new path that began while the flag was stopped in this process. */
  readonly startedAfterStop: number;
}

/** Uploads by how they ended. */
export interface Counts {
  /** The new path took it. */
  streamed: number;
  /** The new path failed, and the old one took it. */
  fellBack: number;
  /** The flag was off for this user. */
  buffered: number;
}

export const noCounts = (): Counts => ({ streamed: 0, fellBack: 0, buffered: 0 });

/** Counts an upload by the paths that were tried for it. */
export function count(counts: Counts, tried: readonly string[]): void {
  if (tried[0] !== 'streaming') counts.buffered++;
  else if (tried.length === 1) counts.streamed++;
  else counts.fellBack++;
}

export function sumOf(all: readonly Counts[]): Counts {
  const sum = noCounts();
  for (const { streamed, fellBack, buffered } of all) {
    sum.streamed += streamed;
    sum.fellBack += fellBack;
    sum.buffered += buffered;
  }
  return sum;
}

export const totalOf = ({ streamed, fellBack, buffered }: Counts): number => streamed + fellBack + buffered;

/** All processes run on this machine: its clock orders what happens in them. */
export const preciseNow = (): number => performance.timeOrigin + performance.now();
