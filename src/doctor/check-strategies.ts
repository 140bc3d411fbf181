import { countOf } from '../support/wording.js';
import { isAdminError } from '../unleash/admin-error.js';
import { type Finding, findingsOf } from './finding.js';
import type { Observations } from './observations.js';
import { readFeatures, type SeenStrategy } from './observed-replies.js';

/** Fields whose values are single users or devices. */
const ID_FIELDS: ReadonlySet<string> = new Set(['userId', 'sessionId', 'remoteAddress', 'ip']);

/** Whether the strategies beside the gradual rollout let chance decide who gets the flag. */
export function checkStrategies(observations: Observations): Finding[] {
  const strategies = strategiesOf(observations);
  if (strategies === undefined) return [];
  return [checkCount(strategies, observations.target.flagKey), checkIdLists(strategies)];
}

/** Unleash shows strategies that are disabled to the admin token alone. */
function strategiesOf({ target, admin, features }: Observations): readonly SeenStrategy[] | undefined {
  const flag = admin?.tokenProblem === undefined ? admin?.flag : undefined;
  if (flag !== undefined && !isAdminError(flag)) return flag.strategies;
  return features && readFeatures(features)?.features.find(({ name }) => name === target.flagKey)?.strategies;
}

function checkCount(strategies: readonly SeenStrategy[], flagKey: string): Finding {
  const { ok, warn } = findingsOf('strategies');
  const active = strategies.filter(({ disabled }) => !disabled);
  const disabled = strategies.length - active.length;
  if (disabled > 0 && active.length === 0) {
    return warn(
      'Every strategy of the flag is disabled: when the flag is turned on, Unleash adds one for 100 % of the users.',
      `Enable the gradual rollout of "${flagKey}" before the flag is turned on.`,
    );
  }
  if (active.length > 1) {
    const names = active.map(({ name }) => name).join(', ');
    return warn(
      `The flag has ${active.length} active strategies (${names}): a user gets it when any of them matches.`,
      'Keep one gradual rollout: the percentage is then the share of all users, and automatic advance can move it.',
    );
  }
  if (disabled > 0) {
    return warn(
      disabled === 1
        ? 'One strategy of the flag is disabled, and never evaluated.'
        : `${disabled} strategies of the flag are disabled, and never evaluated.`,
      'Delete what is not needed, so that no operator reads its percentage as that of the rollout.',
    );
  }
  return ok(active.length === 0 ? 'The flag has no strategy.' : 'The flag has one strategy.');
}

/** Users who are named get the flag, or never get it, whatever the percentage: chance does not place them. */
function checkIdLists(strategies: readonly SeenStrategy[]): Finding {
  const { ok, warn } = findingsOf('id-lists');
  const active = strategies.filter(({ disabled }) => !disabled);
  const named = active.filter(
    ({ name, parameters }) => name === 'userWithId' || parameters.userIds !== undefined,
  );
  const lists = active.flatMap(({ constraints }) =>
    (constraints ?? []).filter(
      ({ contextName, values }) => ID_FIELDS.has(contextName) && (values ?? []).length > 0,
    ),
  );
  if (named.length > 0) {
    return warn(
      'A strategy lists users who have the flag whatever the percentage is: chance does not place them in an arm.',
      'Test with the list first, and remove it for the rollout: listed users are not compared with others.',
    );
  }
  if (lists.length === 0) return ok('No strategy lists single users.');
  const shown = lists.map(
    ({ contextName, values }) => `${contextName} with ${countOf(values?.length ?? 0, 'value')}`,
  );
  return warn(
    `A constraint lists single users (${shown.join('; ')}): all others are on one side, and chance decides within the list alone.`,
    'For a rollout to all users remove the list. Long lists are slow too: Unleash compares them in every evaluation.',
  );
}
