import type { EvaluationContext } from '@openfeature/server-sdk';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { is, percent, providerWith, type TestFlag, type TestStrategy } from './bootstrapped.js';

const beta = is('plan', 'beta');
const user = { targetingKey: 'u', sessionId: 's', tenantId: 't', plan: 'beta' };

interface DrawnStrategy {
  readonly rollout: number;
  readonly stickiness: string;
  readonly groupId: string;
  readonly targeted: boolean;
}

const by = (stickiness: string, rollout: number, groupId = 'upload', more: TestStrategy = {}): TestStrategy =>
  percent(rollout, { ...more, parameters: { stickiness, groupId } });

const gradual = (field: 'UserId' | 'SessionId' | 'Random', percentage: number): TestStrategy => ({
  name: `gradualRollout${field}`,
  parameters: { percentage: String(percentage), groupId: 'upload' },
});

/** Reason, chance and unit of an evaluation of the flag `upload`. */
async function drawn(flag: TestFlag, context: EvaluationContext, parents: readonly TestFlag[] = []) {
  const provider = await providerWith([flag, ...parents]);
  const { reason, flagMetadata } = await provider.resolveBooleanEvaluation('upload', false, context);
  return [reason, flagMetadata?.chance, flagMetadata?.contextId];
}

describe('the chance and the unit of an evaluation', () => {
  it.each<[string, readonly TestStrategy[], EvaluationContext, unknown[]]>([
    ['one percentage', [percent(10)], user, ['SPLIT', 0.1, 'u']],
    ['a fraction of a percent, which puts no user in', [percent(0.5)], user, ['STATIC']],
    ['a percentage with a fraction', [percent(10.7)], user, ['SPLIT', 0.1, 'u']],
    ['default stickiness without a user', [percent(10)], { sessionId: 's' }, ['SPLIT', 0.1, 's']],
    ['default stickiness without user and session', [percent(10)], {}, ['SPLIT', 0.1]],
    ['random stickiness', [by('random', 10)], user, ['SPLIT', 0.1]],
    ['stickiness by session', [by('sessionId', 10)], user, ['SPLIT', 0.1, 's']],
    ['stickiness by a property', [by('tenantId', 10)], user, ['SPLIT', 0.1, 't']],
    [
      "stickiness by a field of the provider's own",
      [by('environment', 10)],
      user,
      ['SPLIT', 0.1, 'production'],
    ],
    ['the older strategy by user', [gradual('UserId', 20)], user, ['SPLIT', 0.2, 'u']],
    ['the older strategy by session', [gradual('SessionId', 20)], user, ['SPLIT', 0.2, 's']],
    ['the older strategy at random', [gradual('Random', 20)], user, ['SPLIT', 0.2]],
    ['strategies that hash alike', [percent(10), percent(30)], user, ['SPLIT', 0.3, 'u']],
    [
      'strategies of one group whose fields are the same user',
      [percent(10), by('userId', 30), gradual('UserId', 20)],
      user,
      ['SPLIT', 0.3, 'u'],
    ],
    [
      'strategies of different groups',
      [by('userId', 50, 'a'), by('userId', 20, 'b')],
      user,
      ['SPLIT', 0.6, 'u'],
    ],
    ['strategies by different fields', [by('userId', 50), by('tenantId', 20)], user, ['SPLIT', 0.6, 'u|t']],
    ['two random draws', [by('random', 50), by('random', 20)], user, ['SPLIT', 0.6]],
    ['a random draw beside a user', [by('random', 50), by('userId', 20)], user, ['SPLIT', 0.6, 'u']],
    [
      'a strategy for others',
      [by('userId', 50, 'a', { constraints: [is('plan', 'pro')] }), percent(20)],
      user,
      ['SPLIT', 0.2, 'u'],
    ],
    ['a strategy whose field the context lacks', [by('country', 50), percent(20)], user, ['SPLIT', 0.2, 'u']],
    ['targeting', [percent(100, { constraints: [beta] }), percent(20)], user, ['TARGETING_MATCH']],
    ['everyone', [percent(100), percent(20)], user, ['STATIC']],
    ['an unknown strategy', [{ name: 'moonPhase' }, percent(20)], user, ['TARGETING_MATCH']],
  ])('are given for %s', async (_, strategies, context, [reason, chance, contextId]) => {
    expect(await drawn({ strategies }, context)).toEqual([reason, chance, contextId]);
  });

  const variant = (name: string, weight: number) => ({ name, weight });
  const on = [{ feature: 'parent' }];
  const off = [{ feature: 'parent', enabled: false }];
  const parentOf = (...strategies: TestStrategy[]): TestFlag => ({ strategies });

  it.each<[string, TestFlag, TestFlag['dependencies'], unknown[]]>([
    ['is on for everyone', parentOf(percent(100)), on, ['SPLIT', 0.4, 'u']],
    ['is on for all users who have its field', parentOf(by('userId', 100)), on, ['SPLIT', 0.4, 'u']],
    ['is on for this user', parentOf(percent(100, { constraints: [beta] })), on, ['SPLIT', 0.4, 'u']],
    ['is off for this user', parentOf({ constraints: [is('plan', 'pro')] }), on, ['TARGETING_MATCH']],
    ['must be off, and is off for this user', parentOf(by('country', 100)), off, ['SPLIT', 0.4, 'u']],
    ['must be off, and is on for this user', parentOf({ constraints: [beta] }), off, ['TARGETING_MATCH']],
    ['is at 0 %', parentOf(percent(0)), on, ['DISABLED']],
    ['must be off, and is at 0 %', parentOf(percent(0)), off, ['SPLIT', 0.4, 'u']],
    ['is drawn by another hash', parentOf(by('userId', 50, 'parent')), on, ['SPLIT', 0.2, 'u']],
    ['is drawn by another field', parentOf(by('tenantId', 50, 'parent')), on, ['SPLIT', 0.2, 'u|t']],
    ['is drawn by the same hash', parentOf(percent(30)), on, ['SPLIT', 0.3, 'u']],
    [
      'must be off, and is drawn by another hash',
      parentOf(by('userId', 75, 'parent')),
      off,
      ['SPLIT', 0.1, 'u'],
    ],
    ['must be off, and is drawn by the same hash', parentOf(percent(30)), off, ['SPLIT', 0.1, 'u']],
    [
      'must be off, and is on for all who could get the flag',
      parentOf(percent(50)),
      off,
      ['TARGETING_MATCH'],
    ],
    ['has a share that is unknown', parentOf({ name: 'moonPhase' }), on, ['TARGETING_MATCH']],
    [
      'must have one of its variants',
      { variants: [variant('blue', 600), variant('red', 400)] },
      [{ feature: 'parent', variants: ['blue'] }],
      ['TARGETING_MATCH'],
    ],
    [
      'must have the only variant that it has',
      { variants: [variant('blue', 1000), variant('red', 0)] },
      [{ feature: 'parent', variants: ['blue'] }],
      ['SPLIT', 0.4, 'u'],
    ],
    [
      'must have the only variant of its strategy',
      { strategies: [percent(100, { variants: [variant('blue', 1000)] as never })] },
      [{ feature: 'parent', variants: ['blue'] }],
      ['SPLIT', 0.4, 'u'],
    ],
  ])('of a flag at 40 percent are given when its parent %s', async (_, parent, dependencies, expected) => {
    const [reason, chance, contextId] = expected;
    const flag = { strategies: [percent(40)], ...(dependencies && { dependencies }) };

    expect(await drawn(flag, user, [{ ...parent, name: 'parent' }])).toEqual([reason, chance, contextId]);
  });

  it('are those of the parent for a flag that is on whenever its parent is', async () => {
    const parent = { name: 'parent', strategies: [by('tenantId', 25)] };

    expect(await drawn({ dependencies: [{ feature: 'parent' }] }, user, [parent])).toEqual([
      'SPLIT',
      0.25,
      't',
    ]);
  });

  it('are unknown for a flag with more drawn parents than can be worked out within an evaluation', async () => {
    const parents = Array.from({ length: 30 }, (_, index) => ({
      name: `parent-${index}`,
      strategies: [by('userId', 99, `group-${index}`)],
    }));
    const dependencies = parents.map(({ name }) => ({ feature: name }));

    expect(await drawn({ dependencies }, user, parents)).toEqual(['TARGETING_MATCH', undefined, undefined]);
  });

  it('are given for variants too, in and out of the rollout', async () => {
    const variants = [{ name: 'blue', weight: 1000, payload: { type: 'string' as never, value: 'b' } }];
    const provider = await providerWith([
      { name: 'in', strategies: [percent(99)], variants },
      { name: 'out', strategies: [percent(1)], variants },
      { name: 'bare', strategies: [percent(99)], variants: [{ name: 'bare', weight: 1000 }] },
    ]);
    const evaluate = (key: string) => provider.resolveStringEvaluation(key, 'mine', user);
    const split = (chance: number) => ({
      reason: 'SPLIT',
      flagMetadata: expect.objectContaining({ chance, contextId: 'u' }),
    });

    expect(await evaluate('in')).toMatchObject({ value: 'b', ...split(0.99) });
    expect(await evaluate('out')).toMatchObject({ value: 'mine', ...split(0.01) });
    expect(await evaluate('bare')).toMatchObject({ value: 'mine', variant: 'bare', ...split(0.99) });
  });

  it('are the share of users whom unleash-client puts in, and what unleash-client draws by', async () => {
    const strategy = fc.record({
      rollout: fc.constantFrom(0, 1.5, 10, 35, 60, 90, 100),
      stickiness: fc.constantFrom('default', 'userId', 'sessionId', 'tenantId', 'random'),
      groupId: fc.constantFrom('upload', 'b'),
      targeted: fc.boolean(),
    });
    const strategies = (minLength: number) => fc.array(strategy, { minLength, maxLength: 3 });
    const flagOf = (list: readonly DrawnStrategy[]): TestFlag => ({
      strategies: list.map(({ rollout, stickiness, groupId, targeted }) =>
        by(stickiness, rollout, groupId, { constraints: targeted ? [beta] : [] }),
      ),
    });
    await fc.assert(
      fc.asyncProperty(
        strategies(1),
        fc.option(fc.record({ list: strategies(0), enabled: fc.boolean() })),
        fc.constantFrom('beta', 'free'),
        async (own, parent, plan) => {
          const dependencies = parent === null ? [] : [{ feature: 'parent', enabled: parent.enabled }];
          const provider = await providerWith([
            { ...flagOf(own), dependencies },
            ...(parent === null ? [] : [{ ...flagOf(parent.list), name: 'parent' }]),
          ]);
          const evaluate = (id: number) =>
            provider.resolveBooleanEvaluation('upload', false, {
              targetingKey: `user-${id}`,
              sessionId: `session-${id}`,
              tenantId: `tenant-${id}`,
              plan,
            });
          const answers = await Promise.all(Array.from({ length: USERS }, (_, id) => evaluate(id)));
          const chances = new Set(answers.map(({ flagMetadata }) => flagMetadata?.chance));
          const reasons = new Set(answers.map(({ reason }) => reason));
          const on = answers.filter(({ value }) => value).length;
          expect([chances.size, reasons.size]).toEqual([1, 1]);
          const [chance] = chances as Set<number | undefined>;
          expect(chance === undefined).toBe(!reasons.has('SPLIT'));
          if (chance === undefined) {
            expect([0, USERS]).toContain(on);
            return;
          }
          const deviation = Math.sqrt(USERS * chance * (1 - chance));
          expect(Math.abs(on - USERS * chance)).toBeLessThan(6 * deviation + 1);
          const isRandom = [...own, ...(parent?.list ?? [])].some(
            ({ stickiness }) => stickiness === 'random',
          );
          if (isRandom) return;
          // Whoever has the same unit gets the same answer, whatever else the context contains.
          const again = await Promise.all(Array.from({ length: 50 }, (_, id) => evaluate(id)));
          expect(again).toEqual(answers.slice(0, 50));
        },
      ),
      { numRuns: 150 },
    );
  });

  it('give contexts of one unit one answer, and name no more than what is drawn by', async () => {
    const field = fc.constantFrom('userId', 'sessionId', 'tenantId');
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(field, { minLength: 1, maxLength: 2 }), async (fields) => {
        const provider = await providerWith([{ strategies: fields.map((name) => by(name, 40, name)) }]);
        const answersByUnit = new Map<unknown, Set<boolean>>();
        for (let id = 0; id < 216; id++) {
          const { value, flagMetadata } = await provider.resolveBooleanEvaluation('upload', false, {
            targetingKey: `user-${id % 6}`,
            sessionId: `session-${Math.floor(id / 6) % 6}`,
            tenantId: `tenant-${Math.floor(id / 36)}`,
          });
          const unit = flagMetadata?.contextId;
          answersByUnit.set(unit, (answersByUnit.get(unit) ?? new Set()).add(value));
        }
        expect(answersByUnit.size).toBe(6 ** fields.length);
        expect([...answersByUnit.values()].every(({ size }) => size === 1)).toBe(true);
      }),
    );
  });
});

const USERS = 800;
