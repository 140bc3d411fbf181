import type { Verdict } from '../flow.js';

/** A review that a person has been asked for. */
export interface OpenReview {
  readonly trigger: string;
  readonly openedAt: number;
  /** What the trigger said last while it breached. */
  readonly verdict: Verdict;
  /** Since when the trigger has been content again; undefined while it breaches. */
  readonly contentSince: number | undefined;
}

/** What one look at the review triggers changed. */
export interface ReviewStep {
  readonly open: readonly OpenReview[];
  readonly opened: readonly Verdict[];
  readonly closed: readonly Verdict[];
}

/**
 * Opens a review when its trigger breaches, and closes it only after the trigger has been content for `closeAfterMs`
 * without a break: a value that swings around its threshold is one piece of news, not one for each swing. Pure.
 */
export function stepReviews(
  open: readonly OpenReview[],
  verdicts: readonly Verdict[],
  now: number,
  closeAfterMs: number,
): ReviewStep {
  const still: OpenReview[] = [];
  const opened: Verdict[] = [];
  const closed: Verdict[] = [];
  for (const verdict of verdicts) {
    const review = open.find(({ trigger }) => trigger === verdict.trigger);
    if (verdict.status === 'breach') {
      if (review === undefined) opened.push(verdict);
      const openedAt = review?.openedAt ?? now;
      still.push({ trigger: verdict.trigger, openedAt, verdict, contentSince: undefined });
    } else if (review !== undefined) {
      // No data is no reason to be content.
      const contentSince = verdict.status === 'ok' ? (review.contentSince ?? now) : undefined;
      if (contentSince !== undefined && now - contentSince >= closeAfterMs) closed.push(verdict);
      else still.push({ ...review, contentSince });
    }
  }
  return { open: still, opened, closed };
}
