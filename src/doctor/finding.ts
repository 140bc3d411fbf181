/** `unknown`: it could not be checked. */
export type FindingStatus = 'ok' | 'warn' | 'fail' | 'unknown';

/** What one check found. */
export interface Finding {
  /** Stable and kebab-case, for scripts. */
  readonly check: string;
  readonly status: FindingStatus;
  /** One sentence: what was found. */
  readonly message: string;
  /** What to do about it; undefined when nothing is to be done. */
  readonly todo: string | undefined;
}

/** Makes a finding. */
export function finding(check: string, status: FindingStatus, message: string, todo?: string): Finding {
  return { check, status, message, todo };
}
