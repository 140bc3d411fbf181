import { describe, expect, it } from 'vitest';
import type { FlagDefinition } from '../../../providers/unleash/definition.js';
import { Flag, factsOf } from '../../../providers/unleash/flag-facts.js';
import { flagOf, is, percent, type TestFlag } from './bootstrapped.js';

const beta = [is('plan', 'beta')];
const blue = { name: 'blue', weight: 500, payload: { type: 'string' as never, value: 'b' } };
const definitionOf = (flag: TestFlag) => flagOf(flag) as unknown as FlagDefinition;

function facts(flag: TestFlag, parents: readonly TestFlag[] = []) {
  const others = parents.map(definitionOf);
  return factsOf(definitionOf(flag), (key) => others.find(({ name }) => name === key));
}

describe('the facts of a flag', () => {
  it.each<[string, TestFlag, number | undefined]>([
    ['a flag without strategies', {}, 100],
    ['the standard strategy', { strategies: [{}] }, 100],
    ['a gradual rollout', { strategies: [percent(10)] }, 10],
    ['a gradual rollout of a flag that is off', { enabled: false, strategies: [percent(10)] }, 10],
    ['a fraction of a percent', { strategies: [percent(0.5)] }, 0.5],
    ['more than all', { strategies: [percent(250)] }, 100],
    ['less than none', { strategies: [percent(-5)] }, 0],
    ['no number', { strategies: [{ name: 'flexibleRollout' }] }, 0],
    [
      'the older strategy by user',
      { strategies: [{ name: 'gradualRolloutUserId', parameters: { percentage: '20' } }] },
      20,
    ],
    [
      'the older strategy by session',
      { strategies: [{ name: 'gradualRolloutSessionId', parameters: { percentage: 30 } }] },
      30,
    ],
    [
      'the older strategy at random',
      { strategies: [{ name: 'gradualRolloutRandom', parameters: { percentage: '40' } }] },
      40,
    ],
    ['a rollout among the users of a constraint', { strategies: [percent(10, { constraints: beta })] }, 10],
    ['a list of users', { strategies: [{ name: 'userWithId', parameters: { userIds: 'u' } }] }, undefined],
    ['a custom strategy', { strategies: [{ name: 'moonPhase' }] }, undefined],
    ['testers and a rollout', { strategies: [percent(100, { constraints: beta }), percent(10)] }, undefined],
    ['testers only', { strategies: [percent(100, { constraints: beta }), percent(0)] }, 100],
    ['testers and everyone', { strategies: [percent(50, { constraints: beta }), percent(100)] }, 100],
    ['a list of users and everyone', { strategies: [{ name: 'userWithId' }, percent(100)] }, 100],
    ['two rollouts that hash alike', { strategies: [percent(10), percent(25)] }, 25],
    [
      'two rollouts of different groups',
      { strategies: [percent(10), percent(25, { parameters: { groupId: 'b' } })] },
      undefined,
    ],
    [
      'two random rollouts',
      {
        strategies: [10, 25].map((rollout) =>
          percent(rollout, { parameters: { stickiness: 'random', rollout } }),
        ),
      },
      undefined,
    ],
    ['no user, twice', { strategies: [percent(0), percent(0)] }, 0],
  ])('give the percentage $2 for %s', (_, flag, expected) => {
    expect(facts(flag).rolloutPercentage).toBe(expected);
  });

  it('name the flag, its first strategy, project and type', () => {
    const flag = { project: 'shop', type: 'release', enabled: false, strategies: [percent(10), {}] };

    expect(facts(flag)).toMatchObject({
      key: 'upload',
      enabled: false,
      strategy: 'flexibleRollout',
      project: 'shop',
      type: 'release',
    });
  });

  it('name the strategy that decides when the first one turns no user on', () => {
    expect(facts({ strategies: [percent(0), { name: 'default' }] }).strategy).toBe('default');
  });

  it('leave out of the metadata what is unknown', () => {
    const { metadata, facts } = new Flag(
      definitionOf({ strategies: [{ name: 'userWithId' }] }),
      () => undefined,
    );

    expect(metadata).toEqual({ enabled: true, strategy: 'userWithId', version: facts.revision });
    expect(metadata).toSatisfy(Object.isFrozen);
  });
});

describe('the revision of a flag', () => {
  const strategies = [percent(10, { constraints: [is('plan', 'beta', 'pro')], variants: [blue] })];
  const base: TestFlag = {
    strategies,
    variants: [blue],
    dependencies: [{ feature: 'parent' }],
    description: 'old',
  };
  const parent: TestFlag = { name: 'parent', strategies: [percent(50)] };
  const withStrategy = (change: object): TestFlag => ({
    ...base,
    strategies: [{ ...strategies[0], ...change }],
  });
  const segment = (...values: string[]) => ({
    segments: [{ id: 1, constraints: [is('plan', ...values)] }] as never,
  });

  it.each<[string, TestFlag, TestFlag?]>([
    ['a description', { ...base, description: 'new' }],
    ['a project or type', { ...base, project: 'other', type: 'experiment' }],
    [
      'the order of parameters',
      withStrategy({ parameters: { groupId: 'upload', stickiness: 'default', rollout: '10' } }),
    ],
    [
      'a number in place of its text',
      withStrategy({ parameters: { ...strategies[0]!.parameters, rollout: 10 } }),
    ],
    ['the order of values', withStrategy({ constraints: [is('plan', 'pro', 'beta')] })],
    ['a title or id of a strategy', withStrategy({ title: 'Beta first', id: 'x' })],
    [
      'an equivalent constraint',
      withStrategy({ constraints: [{ ...is('plan', 'beta', 'pro'), caseInsensitive: false }] }),
    ],
    ['the description of a parent', base, { ...parent, description: 'new' }],
  ])('stays through a change of %s', (_, flag, otherParent = parent) => {
    expect(facts(flag, [otherParent]).revision).toBe(facts(base, [parent]).revision);
  });

  it.each<[string, TestFlag, TestFlag?]>([
    ['on and off', { ...base, enabled: false }],
    ['a percentage', withStrategy({ parameters: { ...strategies[0]!.parameters, rollout: '11' } })],
    ['a strategy', { ...base, strategies: [...strategies, percent(5)] }],
    ['a constraint', withStrategy({ constraints: [is('plan', 'beta')] })],
    [
      'the sense of a constraint',
      withStrategy({ constraints: [{ ...is('plan', 'beta', 'pro'), inverted: true }] }),
    ],
    ['a segment', withStrategy(segment('beta'))],
    ['a variant', { ...base, variants: [{ ...blue, weight: 400 }] }],
    ["a strategy's variant", withStrategy({ variants: [{ ...blue, name: 'red' }] })],
    ['a payload', { ...base, variants: [{ ...blue, payload: { ...blue.payload, value: 'x' } }] }],
    ['a dependency', { ...base, dependencies: [] }],
    ['what a parent must be', { ...base, dependencies: [{ feature: 'parent', enabled: false }] }],
    ['a parent', base, { ...parent, strategies: [percent(51)] }],
    ['the parents of a parent', base, { ...parent, dependencies: [{ feature: 'grandparent' }] }],
  ])('changes with %s', (_, flag, otherParent = parent) => {
    expect(facts(flag, [otherParent]).revision).not.toBe(facts(base, [parent]).revision);
  });

  it('changes with the contents of a segment', () => {
    expect(facts(withStrategy(segment('beta'))).revision).not.toBe(
      facts(withStrategy(segment('pro'))).revision,
    );
  });

  it('changes when a segment goes missing', () => {
    const missing = withStrategy({ segments: [undefined] });

    expect(facts(missing).revision).not.toBe(facts(withStrategy({ segments: [] })).revision);
  });
});
