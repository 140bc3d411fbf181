import { isAdminError } from '../unleash/admin-error.js';
import { type Finding, finding } from './finding.js';
import type { Observations, Target } from './observations.js';
import { readFeatures } from './observed-replies.js';

interface SeenFlag {
  readonly enabled: boolean;
  readonly strategies: readonly SeenStrategy[];
}

interface SeenStrategy {
  readonly name: string;
  readonly disabled: boolean;
  readonly parameters?: Readonly<Record<string, string>> | null | undefined;
}

/** Whether the flag is there, rolls out by percentage, and keeps each user in one arm. */
export function checkFlag(observations: Observations): Finding[] {
  const { target } = observations;
  const { found, flag } = lookUp(observations);
  if (flag === undefined) return [found];
  const strategies = flag.strategies.filter(({ disabled }) => !disabled);
  return [found, checkPercentage(target, strategies), findStickiness(target, strategies)];
}

function lookUp({ target, features: answer, admin }: Observations): {
  found: Finding;
  flag: SeenFlag | undefined;
} {
  const check = 'flag';
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
    return { found: finding(check, 'fail', message, todo), flag };
  }
  if (isAdminError(read) && read.code === 'ADMIN_NOT_FOUND') {
    const todo = 'The guard could not turn it off. Correct the project, environment or key.';
    return { found: finding(check, 'fail', read.message, todo), flag };
  }
  if (flag === undefined) {
    const message = `It could not be checked: no token could read the flag in "${environment}".`;
    return { found: finding(check, 'unknown', message), flag };
  }
  const state = flag.enabled ? 'on' : 'off';
  return {
    found: finding(check, 'ok', `The flag "${flagKey}" exists, and is ${state} in "${environment}".`),
    flag,
  };
}

const ROLLOUTS = [
  'flexibleRollout',
  'gradualRolloutUserId',
  'gradualRolloutSessionId',
  'gradualRolloutRandom',
];

function checkPercentage({ flagKey, environment }: Target, strategies: readonly SeenStrategy[]): Finding {
  const check = 'percentage';
  const add = `Add a gradual rollout strategy to "${flagKey}" in "${environment}", and start with a small percentage.`;
  const rollouts = strategies.filter(({ name }) => ROLLOUTS.includes(name));
  if (strategies.length === 0) {
    return finding(
      check,
      'warn',
      'The flag has no strategy: turned on, it is on for all users at once.',
      add,
    );
  }
  if (rollouts.length === 0) {
    const names = strategies.map(({ name }) => name).join(', ');
    return finding(
      check,
      'warn',
      `The flag has no gradual rollout, so no percentage to change (strategies: ${names}).`,
      add,
    );
  }
  if (strategies.some(({ name }) => name === 'default')) {
    const todo = 'Remove it: a user gets the flag when any strategy matches.';
    return finding(
      check,
      'warn',
      'Beside the gradual rollout, the strategy "default" turns the flag on for all users whom its constraints admit.',
      todo,
    );
  }
  const percentages = rollouts.map(
    ({ parameters }) => `${parameters?.rollout ?? parameters?.percentage ?? '100'} %`,
  );
  return finding(check, 'ok', `The flag rolls out to ${percentages.join(', ')}.`);
}

function findStickiness(target: Target, strategies: readonly SeenStrategy[]): Finding {
  const check = 'stickiness';
  const rollouts = strategies.filter(({ name }) => ROLLOUTS.includes(name));
  if (rollouts.length === 0)
    return finding(check, 'unknown', 'There is no gradual rollout, so no stickiness.');
  const worst = rollouts.map((strategy) => checkStickiness(stickinessOf(strategy), target));
  return worst.find(({ status }) => status !== 'ok') ?? worst[0]!;
}

function stickinessOf({ name, parameters }: SeenStrategy): string {
  switch (name) {
    case 'gradualRolloutUserId':
      return 'userId';
    case 'gradualRolloutSessionId':
      return 'sessionId';
    case 'gradualRolloutRandom':
      return 'random';
    default:
      return parameters?.stickiness || 'default';
  }
}

function checkStickiness(stickiness: string, { contextFields }: Target): Finding {
  const check = 'stickiness';
  const carries = (field: string) => contextFields.includes(field);
  const change = "Set the stickiness to userId, which is what OpenFeature's targeting key becomes.";
  if (stickiness === 'random') {
    return finding(
      check,
      'warn',
      'The rollout is random: the same user gets the flag in one request and not in the next.',
      `${change} Otherwise each user is in both arms, and outcomes that are tracked later may count for the wrong arm.`,
    );
  }
  if (stickiness === 'default') {
    if (carries('userId') || carries('sessionId')) {
      const field = carries('userId') ? 'userId' : 'sessionId';
      return finding(check, 'ok', `The rollout sticks to the ${field} (stickiness "default").`);
    }
    return finding(
      check,
      'warn',
      'The stickiness "default" uses the userId, else the sessionId, else chance; the context has neither.',
      'Evaluate with a targeting key, or choose a stickiness that the context carries.',
    );
  }
  if (carries(stickiness)) return finding(check, 'ok', `The rollout sticks to ${stickiness}.`);
  return finding(
    check,
    'warn',
    `The rollout sticks to "${stickiness}", which the evaluation context may lack: without it the flag is off.`,
    `If every evaluation carries it, say so with --context-field ${stickiness}. ${change}`,
  );
}
