import type { GuardEvent, GuardNotification } from 'unleash-rollout-guard';

/** What a service process is started with. */
export interface ServiceSettings {
  readonly flagKey: string;
  /** Unleash as the guard reaches it, and as the provider does. */
  readonly adminUrl: string;
  readonly clientUrl: string;
  readonly adminToken: string;
  readonly clientToken: string;
  readonly environment: string;
  readonly project: string;
  readonly folder: string;
  /** Where the two paths of the operation are. */
  readonly backendUrl: string;
  /** The operation's time limit. */
  readonly timeoutMs: number;
  /** One node: a Redis of its own; several: a cluster; none: no fleet. */
  readonly redisUrls: readonly string[];
}

export type ToService =
  | { readonly type: 'status' | 'close' }
  /** Sets the guard's wall clock. */
  | { readonly type: 'clock'; readonly aheadMs: number };

/** Where a process's guard stands. */
export interface ServiceStatus {
  readonly state: string;
  readonly role: string | undefined;
  /** Outcomes that the guard evaluates, in this epoch: of the whole fleet in its leader. */
  readonly counted: number;
  /** The most memory that the process has had so far. */
  readonly peakMemoryMb: number;
}

export type FromService =
  | { readonly type: 'ready'; readonly url: string }
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'event'; readonly event: GuardEvent }
  | { readonly type: 'notification'; readonly notification: GuardNotification }
  /** What ends a service without a handler of its own. */
  | { readonly type: 'crash'; readonly message: string }
  | { readonly type: 'status'; readonly status: ServiceStatus };
