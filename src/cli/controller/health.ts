import type { GuardStatus } from '../../guard/guard-status.js';
import type { ArmCounts } from '../../model/shapes.js';

/** Where a judge stands, for whoever reads its log. */
export interface Health {
  /** Worth a line whenever it changes. */
  readonly standing: string;
  /** What changes all the time. */
  readonly counted: string;
}

/** Puts a judge's status into words. */
export function healthOf({ flagKey, dryRun, state, epoch, flag, fleet, snapshot }: GuardStatus): Health {
  const rollout =
    flag === undefined
      ? 'not known from Unleash yet'
      : flag.enabled
        ? `on${flag.rolloutPercentage === undefined ? '' : ` at ${flag.rolloutPercentage} %`}`
        : 'off';
  const { treatment, control } = snapshot.total;
  const standing = [
    `${flagKey} is ${rollout}`,
    `${dryRun ? 'dry run, ' : ''}${state.status}`,
    fleet?.problem === undefined ? ROLES[fleet?.role ?? 'alone'] : `alone: ${fleet.problem}`,
    `epoch ${fleet?.epoch ?? epoch}`,
  ];
  return {
    standing: standing.join(' | '),
    counted: `outcomes: ${countOf(treatment)} treatment, ${countOf(control)} control`,
  };
}

const ROLES = { judge: 'judges', follower: 'stands by', alone: 'alone' } as const;

function countOf({ successes, failures }: ArmCounts): number {
  return successes + failures;
}
