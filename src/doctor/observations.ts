import type { AdminError } from '../unleash/admin-error.js';
import type { AdminFlag } from '../unleash/admin-replies.js';
import type { TokenExpiry } from '../unleash/admin-rights.js';

/** What the guard and the service will use, as the user gave it. */
export interface Target {
  /** Unleash's address, with or without `/api` at its end. */
  readonly url: string;
  readonly flagKey: string;
  readonly project: string;
  readonly environment: string;
  /** The fields that every evaluation context of the service carries, as Unleash names them: a targeting key is `userId`. */
  readonly contextFields: readonly string[];
}

/** What came back for one GET request. */
export type Answer =
  | {
      readonly status: number;
      /** The body, when it is JSON. */
      readonly json: unknown;
      /** Milliseconds since 1970, of whole seconds: the `Date` header. */
      readonly serverDate: number | undefined;
      /** This machine's clock halfway between request and answer. */
      readonly localDate: number;
    }
  /** A code such as `ECONNREFUSED`, a time-out, or how far the answer is above the limit of what is read. */
  | { readonly noAnswer: string /** What helps. */; readonly help?: string | undefined };

/** What was seen with the admin token. */
export type AdminObservation =
  | { readonly tokenProblem: string }
  | {
      readonly tokenProblem: undefined;
      /** `GET /api/admin/user` */
      readonly user: Answer;
      readonly expiry: TokenExpiry | AdminError;
      readonly flag: AdminFlag | AdminError;
      /** Whether the flag's history can be read. */
      readonly history: 'readable' | AdminError;
      /** `GET /api/admin/projects/:project/change-requests/config` */
      readonly changeRequests: Answer;
    };

/** The input of the checks: plain data, gathered without changing anything in Unleash. */
export interface Observations {
  readonly target: Target;
  /** `GET /health` */
  readonly health: Answer;
  /** `GET /api/client/features`; undefined without a client token. */
  readonly features: Answer | undefined;
  /** What the form of the client token shows to be wrong; nothing was read with it then. */
  readonly clientTokenProblem?: string | undefined;
  /** Undefined without an admin token. */
  readonly admin: AdminObservation | undefined;
  readonly folder: FolderObservation;
  /** This machine's clock, milliseconds since 1970. */
  readonly at: number;
}

/** The guard's folder. */
export interface FolderObservation {
  readonly path: string;
  readonly exists: boolean;
  /** Why nothing can be written there, a code such as `EACCES`; undefined when it can. */
  readonly problem: string | undefined;
  /** Whether it exists, and is of another user than this one. */
  readonly isForeign?: boolean | undefined;
  /** Whether it exists, and any user may write there. */
  readonly isOpen?: boolean | undefined;
  /** The flag and environment whose guard runs there, on this machine; undefined when none does. */
  readonly usedBy?: string | undefined;
  /** Of the disk; undefined when the system does not say. */
  readonly freeBytes?: number | undefined;
}
