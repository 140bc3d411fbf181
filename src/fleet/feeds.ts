import { createHash } from 'node:crypto';
import type { OutcomeDelta } from '../measure/outcome-delta.js';
import type { FedRule, UnfedRule } from './fleet-options.js';

/** A process that has sent nothing for so long, in milliseconds, is no longer counted. */
const FORGET_MS = 60_000;
/** Processes that are remembered. */
const MAX_PROCESSES = 10_000;

/** A digest of what a process with these rules feeds: its windows and tests. Two processes feed alike when theirs are equal. */
export function feedsOf(rules: readonly FedRule[]): string {
  return [...new Set(rules.flatMap((rule) => needsOf(rule).map(({ feed }) => feed)))].sort().join(' ');
}

/** The same in a few characters, to compare the rules of processes. */
export function rulesDigest(rules: readonly FedRule[]): string {
  return createHash('sha1').update(feedsOf(rules)).digest('hex').slice(0, 8);
}

function needsOf({ windowMs, evidence, scope }: FedRule) {
  if (scope === 'instance') return [];
  const window = { needs: 'window', feed: `window-${windowMs}` } as const;
  const test = { needs: 'test', feed: `test-${digestOf(evidence)}` } as const;
  return [...(windowMs > 0 ? [window] : []), ...(evidence === undefined ? [] : [test])];
}

/** Of all that is fed; how certain the test must be is the leader's matter. */
function digestOf(evidence: object | undefined): string {
  const text = JSON.stringify(evidence, (key, value) => (key === 'alpha' ? undefined : value)) ?? '';
  return createHash('sha1').update(text).digest('hex').slice(0, 8);
}

/** Which rules of the leader the other processes do not feed: during a deploy, processes with different rules run side by side. */
export class Feeds {
  readonly #rules: readonly FedRule[];
  readonly #bySender = new Map<string, { readonly feeds: string; readonly sentAt: number }>();

  constructor(rules: readonly FedRule[]) {
    this.#rules = rules;
  }

  /** A process has sent a delta with this digest. */
  onDelta(from: string, feeds: string, now: number): void {
    this.#bySender.delete(from);
    this.#bySender.set(from, { feeds, sentAt: now });
    if (this.#bySender.size > MAX_PROCESSES) this.#bySender.delete(this.#bySender.keys().next().value!);
  }

  /** @param now - By the monotonic clock. */
  unfed(now: number): readonly UnfedRule[] {
    const processesByFeeds = new Map<string, number>();
    for (const [from, { feeds, sentAt }] of this.#bySender) {
      if (now - sentAt > FORGET_MS) this.#bySender.delete(from);
      else processesByFeeds.set(feeds, (processesByFeeds.get(feeds) ?? 0) + 1);
    }
    const fed = [...processesByFeeds].map(
      ([feeds, processes]) => [new Set(feeds.split(' ')), processes] as const,
    );
    return this.#rules.flatMap((rule) =>
      needsOf(rule).flatMap(({ needs, feed }) => {
        const lacking = fed.map(([feeds, processes]) => (feeds.has(feed) ? 0 : processes));
        const processes = lacking.reduce((sum, each) => sum + each, 0);
        return processes === 0 ? [] : [{ rule: rule.name, needs, processes }];
      }),
    );
  }
}

/**
 * A delta with all of these windows: each that its sender does not have is counted from the sender's shortest window that is
 * longer, or else from its longest. All windows of a process count the same outcomes. Pure.
 */
export function withWindows(delta: OutcomeDelta, windowsMs: readonly number[]): OutcomeDelta {
  const sorted = delta.windows.toSorted((a, b) => a.windowMs - b.windowMs);
  const missing = windowsMs.filter(
    (length) => length > 0 && !sorted.some(({ windowMs }) => windowMs === length),
  );
  if (missing.length === 0 || sorted.length === 0) return delta;
  const counted = missing.map((windowMs) => {
    const source = sorted.find((window) => window.windowMs > windowMs) ?? sorted.at(-1)!;
    const ratio = source.windowMs / windowMs;
    const moved = (buckets: typeof source.buckets) =>
      buckets.map(({ bucket, counts }) => ({ bucket: Math.floor((bucket + 0.5) * ratio), counts }));
    return { windowMs, buckets: moved(source.buckets), settled: moved(source.settled) };
  });
  return { ...delta, windows: [...delta.windows, ...counted] };
}
