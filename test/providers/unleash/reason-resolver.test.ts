import type { EvaluationContext } from '@openfeature/server-sdk';
import fc from 'fast-check';
import { type Context, Strategy } from 'unleash-client';
import { describe, expect, it } from 'vitest';
import { compileConstraint } from '../../../providers/unleash/strategy-rule.js';
import { is, percent, providerWith, type Segment, type TestFlag, type TestStrategy } from './bootstrapped.js';

const beta = is('plan', 'beta');
const betaUser = { targetingKey: 'u', plan: 'beta' };
const plainUser = { targetingKey: 'u', plan: 'free' };
const segments: Segment[] = [{ id: 1, constraints: [beta] }];

/** The answer and the reason of an evaluation of the flag `upload`. */
async function explain(flag: TestFlag, context: EvaluationContext, others: readonly TestFlag[] = []) {
  const provider = await providerWith([flag, ...others], { segments });
  const { value, reason } = await provider.resolveBooleanEvaluation('upload', false, context);
  return `${value} ${reason}`;
}

describe('the reason of a boolean evaluation', () => {
  it.each<[string, TestFlag, EvaluationContext, string]>([
    ['a flag that is off', { enabled: false, strategies: [percent(50)] }, betaUser, 'false DISABLED'],
    ['a flag without strategies', {}, betaUser, 'true STATIC'],
    ['everyone, by the standard strategy', { strategies: [{ name: 'default' }] }, betaUser, 'true STATIC'],
    ['everyone, by a rollout at 100 %', { strategies: [percent(100)] }, betaUser, 'true STATIC'],
    ['no user, by a rollout at 0 %', { strategies: [percent(0)] }, betaUser, 'false STATIC'],
    [
      'no user, by a rollout without a percentage',
      { strategies: [{ name: 'flexibleRollout' }] },
      betaUser,
      'false STATIC',
    ],
    ['chance, let in', { strategies: [percent(99)] }, betaUser, 'true SPLIT'],
    ['chance, kept out', { strategies: [percent(1)] }, betaUser, 'false SPLIT'],
    ['chance by user id', { strategies: [gradual('UserId', 99)] }, betaUser, 'true SPLIT'],
    ['no user id to roll out by', { strategies: [gradual('UserId', 99)] }, {}, 'false TARGETING_MATCH'],
    ['chance by session', { strategies: [gradual('SessionId', 99)] }, { sessionId: 's' }, 'true SPLIT'],
    ['no session to roll out by', { strategies: [gradual('SessionId', 99)] }, {}, 'false TARGETING_MATCH'],
    ['chance by a drawn number', { strategies: [gradual('Random', 0)] }, {}, 'false STATIC'],
    [
      'chance by a field',
      { strategies: [percent(99, { parameters: { stickiness: 'team' } })] },
      { team: 't' },
      'true SPLIT',
    ],
    [
      'no field to stick to',
      { strategies: [percent(99, { parameters: { stickiness: 'team' } })] },
      {},
      'false TARGETING_MATCH',
    ],
    [
      'no field to stick to at 100 %',
      { strategies: [percent(100, { parameters: { stickiness: 'team' } })] },
      {},
      'false TARGETING_MATCH',
    ],
    [
      'a constraint that matches',
      { strategies: [{ constraints: [beta] }] },
      betaUser,
      'true TARGETING_MATCH',
    ],
    [
      'a constraint that does not match',
      { strategies: [{ constraints: [beta] }] },
      plainUser,
      'false TARGETING_MATCH',
    ],
    ['a segment that matches', { strategies: [{ segments: [1] }] }, betaUser, 'true TARGETING_MATCH'],
    [
      'a segment that does not match',
      { strategies: [{ segments: [1] }] },
      plainUser,
      'false TARGETING_MATCH',
    ],
    [
      'a segment that Unleash did not send',
      { strategies: [percent(50, { segments: [9] })] },
      betaUser,
      'false TARGETING_MATCH',
    ],
    ['a list that has the user', { strategies: [userList('t, u')] }, betaUser, 'true TARGETING_MATCH'],
    ['a list that has not', { strategies: [userList('t')] }, betaUser, 'false TARGETING_MATCH'],
    [
      'a constraint and chance, let in',
      { strategies: [percent(99, { constraints: [beta] })] },
      betaUser,
      'true SPLIT',
    ],
    [
      'a constraint and chance, kept out by chance',
      { strategies: [percent(1, { constraints: [beta] })] },
      betaUser,
      'false SPLIT',
    ],
    [
      'a constraint and chance, kept out by the constraint',
      { strategies: [percent(99, { constraints: [beta] })] },
      plainUser,
      'false TARGETING_MATCH',
    ],
    [
      'testers before a rollout, a tester',
      { strategies: [percent(100, { constraints: [beta] }), percent(1)] },
      betaUser,
      'true TARGETING_MATCH',
    ],
    [
      'testers before a rollout, another',
      { strategies: [percent(100, { constraints: [beta] }), percent(1)] },
      plainUser,
      'false SPLIT',
    ],
    [
      'a list before a rollout, listed',
      { strategies: [userList('u'), percent(1)] },
      betaUser,
      'true TARGETING_MATCH',
    ],
    [
      'a list before a rollout, not listed',
      { strategies: [userList('t'), percent(99)] },
      betaUser,
      'true SPLIT',
    ],
    [
      'everyone after testers',
      { strategies: [percent(50, { constraints: [beta] }), percent(100)] },
      betaUser,
      'true STATIC',
    ],
    [
      'an address list',
      { strategies: [addresses('10.0.0.1')] },
      { remoteAddress: '10.0.0.1' },
      'true TARGETING_MATCH',
    ],
    [
      'an address list beside a rollout',
      { strategies: [addresses('10.0.0.1'), percent(99)] },
      betaUser,
      'true TARGETING_MATCH',
    ],
    [
      'a strategy that the SDK does not have',
      { strategies: [{ name: 'moonPhase' }] },
      betaUser,
      'false TARGETING_MATCH',
    ],
    [
      "the SDK's own environment",
      { strategies: [percent(1, { constraints: [is('environment', 'production')] })] },
      betaUser,
      'false SPLIT',
    ],
    [
      "another environment than the SDK's own",
      { strategies: [percent(99, { constraints: [is('environment', 'test')] })] },
      betaUser,
      'false TARGETING_MATCH',
    ],
    [
      'a strategy marked as disabled, which the SDK evaluates all the same',
      { strategies: [{ ...percent(100), disabled: true } as TestStrategy] },
      betaUser,
      'true STATIC',
    ],
  ])('reports $3 for %s', async (_, flag, context, expected) => {
    expect(await explain(flag, context)).toBe(expected);
  });

  it.each<[string, TestFlag, TestFlag['dependencies'], string]>([
    ['a parent on for everyone', { strategies: [percent(100)] }, [{ feature: 'parent' }], 'true SPLIT'],
    ['a parent that is off', { enabled: false }, [{ feature: 'parent' }], 'false DISABLED'],
    [
      'a parent that must be off and is',
      { enabled: false },
      [{ feature: 'parent', enabled: false }],
      'true SPLIT',
    ],
    [
      'a parent that must be off and is on for everyone',
      {},
      [{ feature: 'parent', enabled: false }],
      'false DISABLED',
    ],
    ['a parent that does not exist', {}, [{ feature: 'nowhere' }], 'false DISABLED'],
    [
      'a parent with parents',
      { dependencies: [{ feature: 'nowhere' }] },
      [{ feature: 'parent' }],
      'false DISABLED',
    ],
    ['a parent that rolls out', { strategies: [percent(99)] }, [{ feature: 'parent' }], 'true SPLIT'],
    [
      'a parent that lets the user in',
      { strategies: [{ constraints: [beta] }] },
      [{ feature: 'parent' }],
      'true SPLIT',
    ],
    [
      'a parent that keeps the user out',
      { strategies: [{ constraints: [is('plan', 'pro')] }] },
      [{ feature: 'parent' }],
      'false TARGETING_MATCH',
    ],
    [
      'a parent that must have a variant',
      {},
      [{ feature: 'parent', variants: ['blue'] }],
      'false TARGETING_MATCH',
    ],
  ])('reports $3 for a flag at 99 percent with %s', async (_, parent, dependencies, expected) => {
    const flag = { strategies: [percent(99)], ...(dependencies && { dependencies }) };

    expect(await explain(flag, betaUser, [{ ...parent, name: 'parent' }])).toBe(expected);
  });

  it('is SPLIT exactly when other users with the same attributes get the other answer', async () => {
    const strategy = fc.record({
      rollout: fc.constantFrom(0, 20, 60, 100),
      plans: fc.option(fc.subarray(['beta', 'pro'], { minLength: 1 })),
      groupId: fc.constantFrom('a', 'b'),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(strategy, { minLength: 1, maxLength: 3 }),
        fc.constantFrom('beta', 'pro', 'free'),
        async (list, plan) => {
          const strategies = list.map(({ rollout, plans, groupId }) =>
            percent(rollout, {
              parameters: { groupId },
              constraints: plans === null ? [] : [is('plan', ...plans)],
            }),
          );
          const provider = await providerWith([{ strategies }]);
          const answers = await Promise.all(
            Array.from({ length: 100 }, (_, user) =>
              provider.resolveBooleanEvaluation('upload', false, { targetingKey: `user-${user}`, plan }),
            ),
          );
          const bothAnswers = new Set(answers.map(({ value }) => value)).size === 2;
          const reasons = [...new Set(answers.map(({ reason }) => reason))];
          expect(reasons).toEqual([
            bothAnswers ? 'SPLIT' : expect.stringMatching(/^(STATIC|TARGETING_MATCH)$/),
          ]);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('the reason of a variant evaluation', () => {
  const one = [{ name: 'blue', weight: 1000, payload: { type: 'string' as never, value: 'b' } }];
  const two = [...one, { name: 'red', weight: 1000, payload: { type: 'string' as never, value: 'r' } }];
  const forcedBy = (contextName: string, value: string) =>
    two.map((variant, index) =>
      index === 1 ? { ...variant, overrides: [{ contextName, values: [value] }] } : variant,
    );

  it.each<[string, TestFlag, string | undefined, string]>([
    ['a flag that is off', { enabled: false, variants: two }, undefined, 'DISABLED'],
    ['a flag without variants', {}, undefined, 'DEFAULT'],
    ['a user who is not in the rollout', { strategies: [percent(0)], variants: two }, undefined, 'DEFAULT'],
    ['a variant without payload', { variants: [{ name: 'bare', weight: 1000 }] }, 'bare', 'DEFAULT'],
    ['the one variant of everyone', { variants: one }, 'blue', 'STATIC'],
    ['weights', { variants: two }, expect.stringMatching(/blue|red/), 'SPLIT'],
    [
      "a strategy's weights",
      { strategies: [percent(100, { variants: two })] },
      expect.stringMatching(/blue|red/),
      'SPLIT',
    ],
    ['a variant without weight', { variants: [one[0]!, { ...two[1]!, weight: 0 }] }, 'blue', 'STATIC'],
    ['chance that let the user in', { strategies: [percent(99)], variants: one }, 'blue', 'SPLIT'],
    [
      'targeting that let the user in',
      { strategies: [{ constraints: [beta] }], variants: two },
      expect.any(String),
      'TARGETING_MATCH',
    ],
    ['a variant that was forced', { variants: forcedBy('userId', 'u') }, 'red', 'TARGETING_MATCH'],
    [
      'a variant that was forced in this environment',
      { variants: forcedBy('environment', 'production') },
      'red',
      'TARGETING_MATCH',
    ],
  ])('reports $3 for %s', async (_, flag, variant, reason) => {
    const provider = await providerWith([flag]);

    const details = await provider.resolveStringEvaluation('upload', 'default', betaUser);

    expect([details.variant, details.reason]).toEqual([variant, reason]);
  });
});

describe('compileConstraint', () => {
  it("agrees with unleash-client's own operators", () => {
    const operators = new Strategy('reference');
    const text = fc.constantFrom('', ' a', 'a', 'A', '1', '1.0.0', 'true', 'ab ');
    const constraint = fc.record({
      contextName: fc.constantFrom('userId', 'plan', 'none', 'appName'),
      operator: fc.constantFrom(
        'IN',
        'NOT_IN',
        'STR_CONTAINS',
        'STR_STARTS_WITH',
        'NUM_GT',
        'SEMVER_EQ',
        'NO_SUCH',
      ),
      inverted: fc.boolean(),
      caseInsensitive: fc.boolean(),
      values: fc.array(text),
      value: text,
    });
    const properties = fc.record({ plan: fc.oneof(text, fc.integer()), appName: text });
    const context = fc.record({ userId: text, appName: text, properties }, { requiredKeys: ['userId'] });
    const staticContext = fc.constantFrom<Context>({}, { appName: 'a' });
    fc.assert(
      fc.property(constraint, context, staticContext, (constraint, context: Context, added) => {
        const expected = operators.checkConstraint(constraint as never, { ...added, ...context });
        expect(compileConstraint(constraint as never, added)(context)).toBe(expected);
      }),
      { numRuns: 2_000 },
    );
  });
});

function gradual(by: 'UserId' | 'SessionId' | 'Random', percentage: number): TestStrategy {
  return { name: `gradualRollout${by}`, parameters: { percentage: String(percentage), groupId: 'upload' } };
}

function userList(userIds: string): TestStrategy {
  return { name: 'userWithId', parameters: { userIds } };
}

function addresses(IPs: string): TestStrategy {
  return { name: 'remoteAddress', parameters: { IPs } };
}
