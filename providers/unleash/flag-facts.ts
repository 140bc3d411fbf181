import { createHash } from 'node:crypto';
import { type FlagMetadata, StandardResolutionReasons } from '@openfeature/server-sdk';
import type { Context } from 'unleash-client';
import type { FlagFacts, VariantFacts } from '../../src/model/flags.js';
import {
  type Constraint,
  conditionsOf,
  type FlagDefinition,
  type Lookup,
  percentageOf,
  type StrategyDefinition,
  type VariantDefinition,
} from './definition.js';
import { EvaluationMetadata } from './evaluation-metadata.js';
import { type Explanation, type ReasonResolver, reasonResolverOf, without } from './reason-resolver.js';
import { fieldReader } from './strategy-rule.js';

const { DEFAULT, SPLIT, STATIC, TARGETING_MATCH } = StandardResolutionReasons;

const BY_DEFAULT = without(DEFAULT);
const BY_OVERRIDE = without(TARGETING_MATCH);
const BY_WEIGHTS = without(SPLIT);

/** Everything that evaluations need of a definition, computed once. */
export class Flag {
  readonly facts: FlagFacts;
  /** What every evaluation of the flag carries in which neither chance nor a payload had a part: frozen and shared. */
  readonly metadata: FlagMetadata;
  /**
   * A boolean evaluation is named after the strategy's variant. With impression data it is not: unleash-client would
   * report it as the evaluation of a variant.
   */
  readonly namesVariant: boolean;
  /** Off in this environment, without impression data: the answer is known, and unleash-client need only count it. */
  readonly isOffForAll: boolean;
  /** At least two variants can be assigned: their weights decide which. */
  readonly #hasWeightedVariants: boolean;
  /** Whether a user is given a variant whatever the weights are. */
  readonly #isForced: (context: Context) => boolean;
  readonly #evaluationMetadata: EvaluationMetadata;
  /** By the type of the variant's payload. */
  readonly #variantMetadata = new Map<string, EvaluationMetadata>();
  readonly #compile: () => ReasonResolver;
  #reasonResolver: ReasonResolver | undefined;

  /**
   * @param parent - Finds the flags that this one depends on.
   * @param staticContext - What unleash-client adds to every context: `appName` and `environment`.
   * @param environment - Of the definition, where it is known.
   */
  constructor(definition: FlagDefinition, parent: Lookup, staticContext: Context = {}, environment?: string) {
    const strategies = strategiesOf(definition);
    const variantLists = [definition.variants ?? [], ...strategies.map(({ variants }) => variants ?? [])];
    this.facts = factsOf(definition, parent);
    this.#evaluationMetadata = metadataOf(this.facts, environment);
    this.metadata = this.#evaluationMetadata.shared;
    this.isOffForAll = !this.facts.enabled && !definition.impressionData;
    this.namesVariant =
      !definition.impressionData && strategies.some(({ variants }) => (variants?.length ?? 0) > 0);
    this.#hasWeightedVariants = variantLists.some(
      (variants) => variants.filter(({ weight }) => weight > 0).length > 1,
    );
    const forced = variantLists
      .flat()
      .flatMap(({ overrides }) => overrides ?? [])
      .map(({ contextName, values }) => ({ read: fieldReader(contextName, staticContext), values }));
    this.#isForced = (context) =>
      forced.some(({ read, values }) => {
        const value = read(context);
        return value !== undefined && values.includes(value);
      });
    this.#compile = () => reasonResolverOf(definition, parent, staticContext);
  }

  /** Compiled at the first evaluation: a service evaluates few of the flags of a server. */
  get reasonResolver(): ReasonResolver {
    this.#reasonResolver ??= this.#compile();
    return this.#reasonResolver;
  }

  /** The metadata of an evaluation: with `chance` and `contextId` when chance decided. */
  metadataOf(explanation: Explanation, context: Context): FlagMetadata {
    return this.#evaluationMetadata.of(explanation, context);
  }

  /** The metadata of an evaluation that was assigned a variant. */
  variantMetadata(explanation: Explanation, context: Context, payloadType: string | undefined): FlagMetadata {
    if (payloadType === undefined) return this.metadataOf(explanation, context);
    let metadata = this.#variantMetadata.get(payloadType);
    if (metadata === undefined) {
      metadata = new EvaluationMetadata({ ...this.metadata, payloadType });
      this.#variantMetadata.set(payloadType, metadata);
    }
    return metadata.of(explanation, context);
  }

  /**
   * Why a user has the variant that was assigned. Chance or targeting that let the user in comes before the weights,
   * so that no user whom targeting put into the rollout is reported as `SPLIT`. Weights choose among variants, and have
   * no part in the chance to be in the rollout.
   *
   * @param payload - Without it the caller gets the default value.
   */
  explainVariant(payload: unknown, context: Context): Explanation {
    const explanation = this.reasonResolver.explain(true, context);
    if (explanation.reason === SPLIT) return explanation;
    if (payload === undefined) return BY_DEFAULT;
    if (explanation.reason !== STATIC) return explanation;
    if (this.#isForced(context)) return BY_OVERRIDE;
    return this.#hasWeightedVariants ? BY_WEIGHTS : explanation;
  }

  /**
   * Why a user has no variant: chance kept the user out of the rollout, or nothing was there to assign.
   *
   * @param enabled - Whether the flag is on for the user.
   */
  explainNoVariant(enabled: boolean | undefined, context: Context): Explanation {
    const explanation = this.reasonResolver.explain(false, context);
    if (this.reasonResolver.disabled) return explanation;
    return enabled !== true && explanation.reason === SPLIT ? explanation : BY_DEFAULT;
  }
}

/**
 * Computes a flag's facts.
 *
 * `rolloutPercentage` is the share of the users whom its strategy is for, as Unleash shows it. Of several strategies
 * those that turn no user on are ignored; then a strategy at 100 % for all users makes it 100, strategies for all users
 * that hash users alike (same group and stickiness) make it the greatest, and for any other mixture, such as 100 % of
 * the beta testers and 10 % of all, there is no single number: undefined. A flag that is off keeps its strategy's
 * number, and one without strategies has 100, as unleash-client turns it on for all users.
 *
 * @param parent - Finds the flags that this one depends on.
 */
export function factsOf(definition: FlagDefinition, parent: Lookup): FlagFacts {
  const strategies = strategiesOf(definition);
  const effective = strategies.filter((strategy) => percentageOf(strategy) !== 0);
  return Object.freeze({
    key: definition.name,
    enabled: definition.enabled === true,
    rolloutPercentage: strategies.length === 0 ? 100 : rolloutPercentageOf(effective),
    strategy: (effective.length === 1 ? effective : strategies)[0]?.name,
    project: definition.project,
    type: definition.type,
    revision: revisionOf(definition, parent),
    variants: variantsOf(definition, effective),
  });
}

/**
 * The variants of all users whom a flag is on for, as unleash-client assigns them: those of the strategy, else those of the flag. Of users
 * who are drawn, the same field must decide about both: else nobody knows how likely an arm was.
 *
 * @param effective - The strategies that turn users on.
 */
function variantsOf(
  definition: FlagDefinition,
  effective: readonly StrategyDefinition[],
): VariantFacts | undefined {
  const lists = effective.map((strategy) => {
    const { variants, parameters } = strategy;
    const own = variants?.length ? variants : (definition.variants ?? []);
    const drawnBy = String(parameters?.stickiness ?? 'default');
    const stickiness = own[0]?.stickiness || (variants?.length ? drawnBy : 'default');
    const isKnown =
      own.length > 0 &&
      own.every(({ overrides = [] }) => overrides.length === 0) &&
      (percentageOf(strategy) === 100 || stickiness === drawnBy);
    return isKnown
      ? { weights: own.map(({ name, weight }) => Object.freeze({ name, weight })), stickiness }
      : undefined;
  });
  const [first] = lists;
  if (first === undefined || new Set(lists.map((list) => JSON.stringify(list))).size > 1) return undefined;
  return Object.freeze(first);
}

/** A definition without an array of strategies is malformed: unleash-client turns it on for no user. */
function strategiesOf({ strategies }: FlagDefinition): readonly StrategyDefinition[] {
  return Array.isArray(strategies) ? strategies : [];
}

/**
 * Flag metadata of every evaluation. `flagSetId` and `version` are those of OpenFeature's appendix D. Unleash numbers no definitions, so
 * the version is the revision.
 */
function metadataOf(facts: FlagFacts, environment: string | undefined): EvaluationMetadata {
  const { enabled, rolloutPercentage, strategy, project, type, revision: version } = facts;
  const flagSetId =
    project !== undefined && environment !== undefined ? `${project}/${environment}` : undefined;
  return new EvaluationMetadata({
    enabled,
    rolloutPercentage,
    strategy,
    project,
    type,
    flagSetId,
    version,
  });
}

/** @param effective - The strategies that turn users on. */
function rolloutPercentageOf(effective: readonly StrategyDefinition[]): number | undefined {
  if (effective.length === 0) return 0;
  if (effective.length === 1) return percentageOf(effective[0]!);
  const forAll = effective.filter((strategy) => conditionsOf(strategy).length === 0);
  const percentages = forAll.map(percentageOf);
  if (percentages.includes(100)) return 100;
  const hashedAlike = new Set(forAll.map(hashing)).size === 1;
  const known = percentages.filter((percentage) => percentage !== undefined);
  return known.length === effective.length && hashedAlike ? Math.max(...known) : undefined;
}

/** Strategies that agree in this put the same users first. A random draw never agrees, not even with itself. */
function hashing({ name, parameters }: StrategyDefinition, index: number): string {
  const { groupId, stickiness } = parameters ?? {};
  const isRandom = name === 'gradualRolloutRandom' || stickiness === 'random';
  return JSON.stringify([name, groupId ?? '', stickiness ?? 'default', isRandom ? index : 0]);
}

/**
 * A digest of everything that decides about users: on or off, strategies with parameters, constraints and the contents of
 * segments, variants, and the parent flags. Names and descriptions of things, and the order of a constraint's values,
 * change nothing.
 */
function revisionOf(definition: FlagDefinition, parent: Lookup): string {
  const parents = (definition.dependencies ?? []).map(({ feature, enabled, variants }) => {
    const other = parent(feature);
    const hasParents = (other?.dependencies?.length ?? 0) > 0;
    return [feature, enabled !== false, sorted(variants), other && rolloutOf(other), hasParents];
  });
  const text = JSON.stringify([rolloutOf(definition), parents]);
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

function rolloutOf(definition: FlagDefinition): unknown {
  const { enabled, strategies, variants } = definition;
  const isWellFormed = Array.isArray(strategies);
  const each = strategiesOf(definition).map(strategyOf);
  return [enabled === true, isWellFormed, each, (variants ?? []).map(variantOf)];
}

function strategyOf(strategy: StrategyDefinition): unknown {
  const parameters = Object.entries(strategy.parameters ?? {})
    .map(([name, value]) => [name, String(value)])
    .sort(([a], [b]) => (a! < b! ? -1 : 1));
  const variants = (strategy.variants ?? []).map(variantOf);
  return [strategy.name, parameters, conditionsOf(strategy).map(constraintOf), variants];
}

function constraintOf(constraint: Constraint | undefined): unknown {
  if (constraint === undefined) return null;
  const { contextName, operator, inverted, caseInsensitive, values, value } = constraint;
  return [
    contextName,
    operator,
    inverted === true,
    caseInsensitive === true,
    sorted(values),
    String(value ?? ''),
  ];
}

function variantOf({ name, weight, stickiness, payload, overrides }: VariantDefinition): unknown {
  const forced = (overrides ?? []).map(({ contextName, values }) => [contextName, sorted(values)]);
  return [name, weight, stickiness ?? 'default', payload && [payload.type, payload.value], forced];
}

function sorted(values: readonly string[] | undefined): readonly string[] {
  return [...(values ?? [])].sort();
}
