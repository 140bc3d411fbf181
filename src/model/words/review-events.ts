import { NEXT_STEP, plainReason } from '../../support/wording.js';
import { describeFailing } from '../concentration.js';
import type { GuardEventOf } from '../event.js';
import type { EventEntry } from '../event-entry.js';
import { factOf, info, warn } from '../event-words.js';

type ReviewEvents = 'review-opened' | 'review-closed';

/** The entries of reviews. Those of a rule in dry run are recorded, and nothing waits for them. */
export const REVIEW_EVENTS: { readonly [Type in ReviewEvents]: EventEntry<GuardEventOf<Type>> } = {
  'review-opened': {
    log: ({ verdict: { trigger, dryRun, message } }) =>
      dryRun
        ? info(`Dry run of ${trigger}, a review would be opened: ${message}`)
        : warn(`Review needed (${trigger}): ${message}`),
    notification: ({ at, verdict }, flagKey) => {
      const { trigger, dryRun } = verdict;
      const { message: reason } = verdict;
      const found = `${plainReason({ reason, verdicts: [verdict] })}${describeFailing([verdict])}`;
      return {
        key: `${trigger}-${at}`,
        severity: dryRun ? 'info' : 'warning',
        title: dryRun
          ? `${flagKey}: a review would be opened (${trigger}, dry run)`
          : `${flagKey}: review needed (${trigger})`,
        message: dryRun
          ? `${found} Dry run: nothing waits for it.`
          : `${found} Nothing has been stopped. ${NEXT_STEP.review}`,
        facts: [factOf(verdict)],
      };
    },
    report: ({ epoch, verdict }) => (verdict.dryRun ? undefined : { in: 'reviews', epoch, verdict }),
  },

  'review-closed': {
    log: ({ verdict: { trigger, dryRun, message } }) =>
      info(
        dryRun
          ? `Dry run of ${trigger}, a review would be closed: ${message}`
          : `Review closed (${trigger}): ${message}`,
      ),
    notification: ({ at, verdict: { trigger, dryRun, message } }, flagKey) =>
      dryRun
        ? undefined
        : {
            key: `${trigger}-${at}`,
            severity: 'info',
            title: `${flagKey}: review closed (${trigger})`,
            message,
          },
    report: ({ verdict }) => ({ in: 'review', trigger: verdict.trigger }),
  },
};
