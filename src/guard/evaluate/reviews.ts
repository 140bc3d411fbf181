import type { FlagFacts } from '../../model/flags.js';
import type { Verdict } from '../../model/shapes.js';
import type { OpenReview } from '../../model/state.js';

/** What one evaluation of the review triggers changed. */
interface ReviewStep {
  readonly open: readonly OpenReview[];
  readonly opened: readonly Verdict[];
  readonly closed: readonly Verdict[];
}

/**
 * Opens a review when its trigger breaches, and closes it only after the trigger has been ok for `closeAfterMs` without a
 * break: a value that swings around its threshold is reported once, not once for each swing. Pure.
 *
 * No data does not close a review, with one exception. When the rollout moves to another percentage while a review is open,
 * an operator has moved it, since an automatic advance never goes past an open review. If the trigger has no data there (at
 * 100 % there is no control to compare with), nothing could ever close the review: it is closed then, and the message
 * names the move. One that still breaches there stays open without another message, and from then on belongs to the new percentage.
 *
 * One that an operator has acknowledged is closed already, and stays so, without another message, until its trigger has been ok.
 *
 * @param facts - Where the rollout stands; undefined while that is not known.
 */
export function stepReviews(
  open: readonly OpenReview[],
  verdicts: readonly Verdict[],
  facts: Place | undefined,
  now: number,
  closeAfterMs: number,
): ReviewStep {
  const still: OpenReview[] = [];
  const opened: Verdict[] = [];
  const closed: Verdict[] = [];
  for (const verdict of verdicts) {
    const before = open.find(({ trigger }) => trigger === verdict.trigger);
    // Its rule is in dry run now, or no longer: that is another review.
    const isOther = before !== undefined && isDryRun(before.verdict) !== isDryRun(verdict);
    const review = isOther ? undefined : before;
    if (isOther && !isDryRun(before.verdict) && before.acknowledged !== true) {
      const { dryRun: _, ...rest } = verdict;
      closed.push({ ...rest, message: `The rule is in dry run now. ${verdict.message}` });
    }
    const acknowledged = review?.acknowledged === true;
    if (verdict.status === 'breach') {
      if (review === undefined) opened.push(verdict);
      const openedAt = review?.openedAt ?? now;
      const percentage = facts === undefined ? review?.percentage : facts.rolloutPercentage;
      const next = { trigger: verdict.trigger, openedAt, percentage, verdict, okSince: undefined };
      still.push(acknowledged ? { ...next, acknowledged } : next);
    } else if (review !== undefined && verdict.status !== 'ok' && hasMoved(review, facts)) {
      if (!acknowledged) closed.push({ ...verdict, message: `${moveOf(review, facts)} ${verdict.message}` });
    } else if (review !== undefined) {
      // The clock may have been set back since.
      const okSince = verdict.status === 'ok' ? Math.min(review.okSince ?? now, now) : undefined;
      const isOver = okSince !== undefined && now - okSince >= closeAfterMs;
      if (!isOver) still.push({ ...review, okSince });
      else if (!acknowledged) closed.push(verdict);
    }
  }
  return { open: still, opened, closed };
}

function isDryRun({ dryRun }: Verdict): boolean {
  return dryRun === true;
}

type Place = Pick<FlagFacts, 'rolloutPercentage'>;

function hasMoved({ percentage }: OpenReview, facts: Place | undefined): facts is Place {
  return facts !== undefined && facts.rolloutPercentage !== percentage;
}

function moveOf({ percentage }: OpenReview, { rolloutPercentage }: Place): string {
  const places = [
    ...(percentage === undefined ? [] : [`from ${percentage} %`]),
    ...(rolloutPercentage === undefined ? [] : [`to ${rolloutPercentage} %`]),
  ];
  return `An operator moved the rollout ${places.join(' ')}.`;
}
