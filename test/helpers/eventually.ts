import { vi } from 'vitest';

/** How long a condition may take before its test fails: far more than any needs, because other programs may have the machine. */
const LIMIT_MS = 45_000;

/**
 * Waits until `check` throws nothing. Where time itself is promised, a test measures it against a fake clock, or counts:
 * a limit in here would fail on a machine that is busy.
 */
export function eventually<T>(check: () => T | Promise<T>, intervalMs = 20): Promise<T> {
  return vi.waitFor(check, { timeout: LIMIT_MS, interval: intervalMs });
}
