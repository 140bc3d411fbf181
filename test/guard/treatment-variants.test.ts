import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Exposure } from '../../src/model/shapes.js';
import { isConfigError } from '../../src/support/config-error.js';
import { GuardHarness } from '../helpers/guard-harness.js';
import { percent, providerWith, type TestFlag } from '../providers/unleash/bootstrapped.js';

const USERS = 3_000;
const [plain, recent, popular] = Object.entries({ plain: 500, recent: 300, popular: 200 }).map(
  ([name, weight]) => ({ name, weight, payload: { type: 'string' as never, value: name } }),
);
const variants = [plain!, recent!, popular!];
const by = (stickiness: string) => variants.map((variant) => ({ ...variant, stickiness }));
const logger = { debug() {}, info() {}, warn() {}, error() {} };

describe('a guard of a flag some of whose variants are the control', () => {
  let harness: GuardHarness;

  beforeEach(async () => {
    harness = await GuardHarness.create();
  });

  afterEach(() => harness.close());

  /** The exposures of so many users of a flag. */
  async function exposures(
    flag: TestFlag,
    treatmentVariants: readonly string[],
    kind: 'boolean' | 'string' = 'boolean',
  ): Promise<Exposure[]> {
    const provider = await providerWith([{ ...flag, name: 'async-upload' }]);
    const guard = await harness.started({ flags: provider, treatmentVariants, log: false, folder: false });
    return await Promise.all(
      Array.from({ length: USERS }, async (_, user) => {
        const context = { targetingKey: `user-${user}` };
        const details =
          kind === 'boolean'
            ? await provider.resolveBooleanEvaluation('async-upload', false, context, logger)
            : await provider.resolveStringEvaluation('async-upload', 'none', context, logger);
        return guard.exposed(details, context.targetingKey);
      }),
    );
  }

  const treatedShare = (found: readonly Exposure[]) =>
    found.filter(({ arm }) => arm === 'treatment').length / found.length;
  const distinct = (found: readonly Exposure[], field: 'chance' | 'reason' | 'variant') => [
    ...new Set(found.map((exposure) => exposure[field])),
  ];

  it.each<[string, TestFlag, number, 'boolean' | 'string']>([
    ['on for all', { strategies: [percent(100, { variants })] }, 0.5, 'boolean'],
    ['on for all, as text', { strategies: [percent(100, { variants })] }, 0.5, 'string'],
    ['at 40 %', { strategies: [percent(40, { variants })] }, 0.2, 'boolean'],
    ['at 40 %, as text', { strategies: [percent(40, { variants })] }, 0.2, 'string'],
    [
      'with variants of its own',
      { strategies: [percent(40)], variants: by('default') as never },
      0.2,
      'string',
    ],
  ])('knows how likely a user was to get one of them: a flag %s', async (_, flag, chance, kind) => {
    const found = await exposures(flag, ['recent', 'popular'], kind);
    expect(distinct(found, 'chance')).toEqual([expect.closeTo(chance, 9)]);
    expect(distinct(found, 'reason')).toEqual(['SPLIT']);
    // Five standard deviations.
    expect(Math.abs(treatedShare(found) - chance)).toBeLessThan(
      5 * Math.sqrt((chance * (1 - chance)) / USERS),
    );
    expect(found.every(({ unit, targetingKey }) => unit === targetingKey)).toBe(true);
    const treated = found.filter(({ arm }) => arm === 'treatment');
    expect(distinct(treated, 'variant').sort()).toEqual(['popular', 'recent']);
  });

  it('takes each evaluation for a unit where variants are drawn anew', async () => {
    const strategy = percent(100, {
      parameters: { stickiness: 'random' },
      variants: by('random'),
    });
    const found = await exposures({ strategies: [strategy] }, ['recent']);
    expect(distinct(found, 'chance')).toEqual([expect.closeTo(0.3, 9)]);
    expect(found.every(({ unit }) => unit === undefined)).toBe(true);
  });

  it.each<[string, TestFlag]>([
    ['by another field', { strategies: [percent(40, { variants: by('sessionId') })] }],
    [
      'by name, of a flag that is on for all',
      {
        strategies: [percent(100)],
        variants: [{ ...plain!, overrides: [{ contextName: 'userId', values: ['user-1'] }] }, recent!],
      },
    ],
    ['by a field that is no user', { strategies: [percent(100, { variants: by('tenantId') })] }],
    [
      'by several lists',
      {
        strategies: [
          percent(40, { variants }),
          percent(40, { parameters: { groupId: 'b' }, variants: [plain!, recent!] }),
        ],
      },
    ],
    [
      'by name',
      {
        strategies: [percent(40)],
        variants: [{ ...plain!, overrides: [{ contextName: 'userId', values: ['user-1'] }] }, recent!],
      },
    ],
  ])('leaves users out of comparisons whose chance nobody knows: variants %s', async (_, flag) => {
    const found = await exposures(flag, ['recent', 'popular']);
    expect([distinct(found, 'chance'), distinct(found, 'reason')]).toEqual([[undefined], ['SPLIT']]);
  });

  it('treats a flag whose variants are all named like one without variants', async () => {
    const names = variants.map(({ name }) => name);
    const found = await exposures({ strategies: [percent(100, { variants })] }, names, 'string');
    expect(treatedShare(found)).toBe(1);
    expect([distinct(found, 'reason'), distinct(found, 'chance')]).toEqual([['STATIC'], [undefined]]);
  });

  it('serves the control, and says so, where a name is not in Unleash or evaluations name no variant', async () => {
    const typo = await exposures({ strategies: [percent(100, { variants })] }, ['recnt']);
    expect(treatedShare(typo)).toBe(0);
    expect(harness.reported('fault').map(({ message }) => message)).toEqual([
      expect.stringContaining('has no variant "recnt" in Unleash, it has "plain", "recent", "popular"'),
    ]);
    harness.events = [];
    const unnamed = await exposures({ strategies: [percent(100)] }, ['recent']);
    expect(treatedShare(unnamed)).toBe(0);
    expect(harness.reported('fault').map(({ message }) => message)).toEqual([
      expect.stringContaining('names no variant'),
    ]);
  });

  it('gives operations the variant, and runs the control for users of any other', async () => {
    const provider = await providerWith([
      { name: 'async-upload', strategies: [percent(100, { variants: [plain!, recent!] })] },
    ]);
    const client = {
      getBooleanDetails: (key: string, value: boolean, context?: object) =>
        provider.resolveBooleanEvaluation(key, value, { ...context }, logger),
    };
    const options = { flags: provider, client, treatmentVariants: ['recent'], folder: false } as const;
    const guard = await harness.started(options);
    const run = guard.operation({
      treatment: (_: string, { variant }) => `treatment: ${variant}`,
      control: (_: string, { variant }) => `control: ${variant}`,
    });
    const ran = new Set<string>();
    for (let user = 0; user < 50; user++) ran.add(await run({ targetingKey: `user-${user}` }, ''));
    expect([...ran].sort()).toEqual(['control: plain', 'treatment: recent']);
  });

  it.each([
    [[], "a list of the treatment's variants, for example ["],
    ['recent', "a list of the treatment's variants, for example ["],
    [['recent', ''], "a variant's name"],
    [['recent', 7], "a variant's name"],
    [['recent', 'recent'], 'each variant once'],
  ])('refuses %j', (treatmentVariants, expected) => {
    let message = '';
    try {
      harness.guard({ treatmentVariants: treatmentVariants as never });
    } catch (error) {
      if (!isConfigError(error)) throw error;
      message = error.message;
    }
    expect(message).toContain('treatmentVariants');
    expect(message).toContain(expected);
  });
});
