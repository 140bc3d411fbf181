import { LINK_PREFIX } from '../guard/act/unleash-marks.js';
import { isAdminError } from '../unleash/admin-error.js';
import type { AdminFlag } from '../unleash/admin-replies.js';
import { type Finding, findingsOf } from './finding.js';
import type { Observations, Target } from './observations.js';
import { readFeatures, type SeenStrategy } from './observed-replies.js';

type SeenFlag = Pick<AdminFlag, 'enabled'> & { readonly strategies: readonly SeenStrategy[] };

/** Unleash's gradual rollouts, and what each of them sticks to; `flexibleRollout` has a parameter for it. */
const ROLLOUTS: ReadonlyMap<string, string | undefined> = new Map([
  ['flexibleRollout', undefined],
  ['gradualRolloutUserId', 'userId'],
  ['gradualRolloutSessionId', 'sessionId'],
  ['gradualRolloutRandom', 'random'],
]);

/** Whether the flag is there, rolls out by percentage, and keeps each user in one arm. */
export function checkFlag(observations: Observations): Finding[] {
  const { target } = observations;
  const [found, flag] = lookUp(observations);
  if (flag === undefined) return [found];
  const strategies = flag.strategies.filter(({ disabled }) => !disabled);
  const rollouts = strategies.filter(({ name }) => ROLLOUTS.has(name));
  return [
    found,
    checkPercentage(target, flag.enabled, strategies, rollouts),
    rollouts.length === 0
      ? findingsOf('stickiness').unknown('There is no gradual rollout, so no stickiness.')
      : checkStickiness(target, rollouts),
  ];
}

function lookUp({ target, features: answer, admin }: Observations): [Finding, SeenFlag | undefined] {
  const { ok, fail, unknown } = findingsOf('flag');
  const { flagKey, environment } = target;
  const read = admin?.tokenProblem === undefined ? admin?.flag : undefined;
  const asAdmin = isAdminError(read) ? undefined : read;
  const features = answer && readFeatures(answer);
  const asService = features?.features.find(({ name }) => name === flagKey);
  const seenElsewhere =
    features?.query?.environment !== undefined && features.query.environment !== environment;
  const flag = seenElsewhere ? asAdmin : (asService ?? asAdmin);

  if (features !== undefined && asService === undefined) {
    const message = `The service will not see the flag "${flagKey}": Unleash does not send it to the client token.`;
    const todo =
      asAdmin === undefined
        ? 'Create the flag in Unleash, correct its key, or use a client token for its project.'
        : `The flag exists in project "${asAdmin.project}": use a client token for that project, and for "${environment}".`;
    return [fail(message, todo), flag];
  }
  if (isAdminError(read) && read.code === 'ADMIN_NOT_FOUND') {
    return [
      fail(read.message, 'The guard could not turn it off. Correct the project, environment or key.'),
      flag,
    ];
  }
  if (flag === undefined) {
    return [unknown(`It could not be checked: no token could read the flag in "${environment}".`), flag];
  }
  const state = flag.enabled ? 'on' : 'off';
  const title = asAdmin?.links.find((link) => link.title?.startsWith(LINK_PREFIX))?.title;
  const stop =
    title === undefined || flag.enabled ? '' : ` The guard's latest stop: ${title.slice(LINK_PREFIX.length)}`;
  return [ok(`The flag "${flagKey}" exists, and is ${state} in "${environment}".${stop}`), flag];
}

function checkPercentage(
  { flagKey, environment }: Target,
  isOn: boolean,
  strategies: readonly SeenStrategy[],
  rollouts: readonly SeenStrategy[],
): Finding {
  const { ok, warn } = findingsOf('percentage');
  const add = `Add a gradual rollout strategy to "${flagKey}" in "${environment}", and start with a small percentage.`;
  if (strategies.length === 0) {
    return warn('The flag has no strategy: turned on, it is on for all users at once.', add);
  }
  if (rollouts.length === 0) {
    const names = strategies.map(({ name }) => name).join(', ');
    return warn(`The flag has no gradual rollout, so no percentage to change (strategies: ${names}).`, add);
  }
  if (strategies.some(({ name }) => name === 'default')) {
    return warn(
      'Beside the gradual rollout, the strategy "default" turns the flag on for all users whom its constraints admit.',
      'Remove it: a user gets the flag when any strategy matches.',
    );
  }
  const percentages = rollouts.map(
    ({ parameters }) => `${parameters.rollout ?? parameters.percentage ?? '100'} %`,
  );
  return ok(`${isOn ? 'The flag' : 'Turned on, the flag'} rolls out to ${percentages.join(', ')}.`);
}

/** The first of the rollouts that may give a user the other arm; without one, the first. */
function checkStickiness(target: Target, rollouts: readonly SeenStrategy[]): Finding {
  const findings = rollouts.map(({ name, parameters }) =>
    checkOneStickiness(ROLLOUTS.get(name) ?? (parameters.stickiness || 'default'), target),
  );
  return findings.find(({ status }) => status !== 'ok') ?? findings[0]!;
}

/** Fields of which each user has a value of its own. */
const FINE_FIELDS: ReadonlySet<string> = new Set(['userId', 'sessionId']);

function checkOneStickiness(stickiness: string, { contextFields }: Target): Finding {
  const { ok, warn } = findingsOf('stickiness');
  const carries = (field: string) => contextFields.includes(field);
  const change = "Set the stickiness to userId, which is what OpenFeature's targeting key becomes.";
  if (stickiness === 'random') {
    return warn(
      'The rollout is random: the same user gets the flag in one request and not in the next.',
      `${change} Otherwise each user is in both arms, and outcomes that are tracked later may count for the wrong arm.`,
    );
  }
  if (stickiness === 'default') {
    if (carries('userId') || carries('sessionId')) {
      const field = carries('userId') ? 'userId' : 'sessionId';
      return ok(`The rollout sticks to the ${field} (stickiness "default").`);
    }
    return warn(
      'The stickiness "default" uses the userId, else the sessionId, else chance; the context has neither.',
      'Evaluate with a targeting key, or choose a stickiness that the context carries.',
    );
  }
  if (carries(stickiness)) {
    if (FINE_FIELDS.has(stickiness)) return ok(`The rollout sticks to ${stickiness}.`);
    const units = `it can tell apart as many units as there are values of ${stickiness}, however many users each has`;
    return ok(
      `The rollout sticks to ${stickiness}: ${units}. With fewer than 8 in the treatment, limits count outcomes instead.`,
    );
  }
  return warn(
    `The rollout sticks to "${stickiness}", which the evaluation context may lack: without it the flag is off.`,
    `If every evaluation carries it, run doctor with --context-field ${stickiness}. ${change}`,
  );
}
