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

/** Makes the findings of one check, one function for each status. */
export function findingsOf(check: string) {
  const withStatus =
    (status: FindingStatus) =>
    (message: string, todo?: string): Finding => ({ check, status, message, todo });
  return {
    ok: withStatus('ok'),
    warn: withStatus('warn'),
    fail: withStatus('fail'),
    unknown: withStatus('unknown'),
  };
}
