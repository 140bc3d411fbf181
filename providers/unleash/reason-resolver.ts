import { type ResolutionReason, StandardResolutionReasons } from '@openfeature/server-sdk';
import { type Context, Strategy } from 'unleash-client';
import {
  type Constraint,
  conditionsOf,
  type Dependency,
  type FlagDefinition,
  type Lookup,
  percentageOf,
  type StrategyDefinition,
} from './definition.js';

const { DISABLED, SPLIT, STATIC, TARGETING_MATCH } = StandardResolutionReasons;

/**
 * Finds OpenFeature's `reason` for an evaluation: what decided whether the flag is on for a context.
 *
 * `SPLIT` promises that chance decided: each user could as well have got the other value. A user whom a constraint,
 * segment or id list includes or excludes is never reported as `SPLIT`, also when another strategy of the same flag has
 * a percentage: {@link ReasonResolver.reason} then checks which strategies the user is eligible for.
 */
export interface ReasonResolver {
  /** No user can get the flag: it is off here, or a parent flag is not what it must be. */
  readonly disabled: boolean;
  /**
   * @param enabled - unleash-client's result.
   * @param context - The context of that evaluation.
   */
  reason(enabled: boolean, context: Context): ResolutionReason;
}

/** A strategy that can turn the flag on. */
interface Rule {
  /** Above 0, at most 100. */
  readonly percentage: number;
  /** A constraint, segment or id list limits it. */
  readonly targeted: boolean;
  /** Whether the context passes everything but chance; undefined when every context does. */
  readonly admits: Predicate | undefined;
}

type Predicate = (context: Context) => boolean;

/**
 * Compiles a definition, once.
 *
 * - An environment that is off, or a parent flag that can never be what is required: `DISABLED`.
 * - A parent flag that differs from user to user: `TARGETING_MATCH`, since the parent's share in the result is unknown.
 * - The strategies `remoteAddress` and `applicationHostname`, and custom ones: `TARGETING_MATCH`, also beside a percentage.
 * - Otherwise what applies to this user: on by a strategy at 100 % → `TARGETING_MATCH`, or `STATIC` when that strategy
 *   is for all users; else eligible for a percentage → `SPLIT`; else excluded by targeting → `TARGETING_MATCH`.
 *
 * Strategies count exactly as unleash-client evaluates them. Disabled strategies do not occur: the server never sends them.
 *
 * @param parent - Finds the flags that this one depends on.
 * @param staticContext - What unleash-client adds to every context: `appName` and `environment`.
 */
export function reasonResolverOf(
  definition: FlagDefinition,
  parent: Lookup,
  staticContext: Context = {},
): ReasonResolver {
  if (!definition.enabled || !Array.isArray(definition.strategies)) return always(DISABLED);
  const parents = (definition.dependencies ?? []).map((dependency) => satisfaction(dependency, parent));
  if (parents.includes('never')) return always(DISABLED);
  if (parents.includes('depends')) return always(TARGETING_MATCH);

  const strategies: readonly StrategyDefinition[] = definition.strategies;
  if (strategies.length === 0) return always(STATIC);
  const rules: Rule[] = [];
  for (const strategy of strategies) {
    const rule = ruleOf(strategy);
    if (rule === undefined) return always(TARGETING_MATCH);
    if (rule.percentage > 0) rules.push(rule);
  }
  if (rules.length === 0 || rules.some(isForAllUsers)) return always(STATIC);
  if (rules.every(({ admits }) => admits === undefined)) return always(SPLIT);
  if (rules.every(({ percentage, targeted }) => percentage === 100 && targeted))
    return always(TARGETING_MATCH);
  // The only strategy must be the one that turned the flag on: nothing needs to be checked again.
  const only = rules.length === 1 ? reasonWithin(rules[0]!) : undefined;
  return {
    disabled: false,
    reason: (enabled, context) => (enabled && only) || reasonOf(rules, { ...staticContext, ...context }),
  };
}

function isForAllUsers({ percentage, admits }: Rule): boolean {
  return percentage === 100 && admits === undefined;
}

function always(reason: ResolutionReason): ReasonResolver {
  return { disabled: reason === DISABLED, reason: () => reason };
}

function reasonOf(rules: readonly Rule[], context: Context): ResolutionReason {
  let reason: ResolutionReason = TARGETING_MATCH;
  for (const rule of rules) {
    if (rule.admits !== undefined && !rule.admits(context)) continue;
    reason = reasonWithin(rule);
    if (rule.percentage === 100) break;
  }
  return reason;
}

/** The reason for users whom this strategy admits. */
function reasonWithin({ percentage, targeted }: Rule): ResolutionReason {
  if (percentage < 100) return SPLIT;
  return targeted ? TARGETING_MATCH : STATIC;
}

/** Undefined for a strategy whose share in the result is unknown. */
function ruleOf(strategy: StrategyDefinition): Rule | undefined {
  const ids = userIdsOf(strategy);
  const percentage = ids === undefined ? percentageOf(strategy) : 100;
  if (percentage === undefined) return undefined;
  const conditions = conditionsOf(strategy).map(compileConstraint);
  if (ids !== undefined) conditions.push(({ userId }) => userId !== undefined && ids.has(userId));
  const targeted = conditions.length > 0;
  const field = stickinessField(strategy);
  // Users without the stickiness field are off, and not by chance.
  if (field !== undefined) conditions.push((context) => Boolean(contextValue(context, field)));
  const admits =
    conditions.length === 0
      ? undefined
      : (context: Context) => conditions.every((condition) => condition(context));
  return { percentage, targeted, admits };
}

function userIdsOf({ name, parameters }: StrategyDefinition): ReadonlySet<string> | undefined {
  if (name !== 'userWithId') return undefined;
  const list = parameters?.userIds;
  return new Set(typeof list === 'string' && list !== '' ? list.split(/\s*,\s*/) : []);
}

function stickinessField({ name, parameters }: StrategyDefinition): string | undefined {
  if (name === 'gradualRolloutUserId') return 'userId';
  if (name === 'gradualRolloutSessionId') return 'sessionId';
  const stickiness = name === 'flexibleRollout' ? parameters?.stickiness : undefined;
  if (typeof stickiness !== 'string' || stickiness === '') return undefined;
  return stickiness === 'default' || stickiness === 'random' ? undefined : stickiness;
}

const operators = new Strategy('reason');

/**
 * Gives the result of unleash-client's own operators. Only lists are compiled: they can be long, and unleash-client trims
 * whole lists each time.
 */
export function compileConstraint(constraint: Constraint | undefined): Predicate {
  if (constraint === undefined) return () => false;
  const { contextName, operator, inverted } = constraint;
  if (operator !== 'IN' && operator !== 'NOT_IN')
    return (context) => operators.checkConstraint(constraint, context);
  const wanted = (operator === 'IN') !== Boolean(inverted);
  const values = new Set((constraint.values ?? []).filter(Boolean).map((value) => value.trim()));
  return (context) => {
    const value = contextValue(context, contextName);
    return (value !== undefined && values.has(value)) === wanted;
  };
}

/** A field of the context, or else the property of that name, as text: as in unleash-client. */
export function contextValue(context: Context, field: string): string | undefined {
  const value = context[field] ?? context.properties?.[field];
  return value === undefined || value === null ? undefined : String(value);
}

/** Whether a parent flag is what a dependency requires: for every user, for none, or depending on the user. */
function satisfaction(
  { feature, enabled, variants }: Dependency,
  lookup: Lookup,
): 'always' | 'never' | 'depends' {
  const parent = lookup(feature);
  // unleash-client follows one level of parents only.
  if (parent === undefined || (parent.dependencies?.length ?? 0) > 0) return 'never';
  const wantsOn = enabled !== false;
  if (!parent.enabled) return wantsOn ? 'never' : 'always';
  if (wantsOn && variants !== undefined && variants.length > 0) return 'depends';
  if (!isOnForAllUsers(parent)) return 'depends';
  return wantsOn ? 'always' : 'never';
}

function isOnForAllUsers({ strategies }: FlagDefinition): boolean {
  if (!Array.isArray(strategies)) return false;
  return strategies.length === 0 || strategies.map(ruleOf).some((rule) => rule && isForAllUsers(rule));
}
