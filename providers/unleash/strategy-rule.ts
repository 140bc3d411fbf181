import { type Context, Strategy } from 'unleash-client';
import {
  type Constraint,
  conditionsOf,
  type FlagDefinition,
  percentageOf,
  type StrategyDefinition,
} from './definition.js';

type Predicate = (context: Context) => boolean;

/** A strategy that can turn the flag on. */
export interface Rule {
  /** A whole percentage, 1–100. */
  readonly percentage: number;
  /** A constraint, segment or id list limits it. */
  readonly targeted: boolean;
  /** Whether a context passes everything but chance; undefined when every context does. */
  readonly admits: Predicate | undefined;
  readonly groupId: string;
  /** The value by which the context is drawn; undefined when it is drawn anew each time. */
  unit(context: Context): string | undefined;
}

const STANDARD: StrategyDefinition = { name: 'default' };

/**
 * The strategies that can turn a flag on; undefined when the share of one of them is unknown. A flag without strategies
 * is on for all users, as in unleash-client.
 *
 * @param staticContext - What unleash-client adds to every context.
 */
export function rulesOf({ strategies }: FlagDefinition, staticContext: Context): readonly Rule[] | undefined {
  if (!Array.isArray(strategies)) return [];
  const rules: Rule[] = [];
  for (const strategy of strategies.length === 0 ? [STANDARD] : strategies) {
    const rule = ruleOf(strategy, staticContext);
    if (rule === undefined) return undefined;
    if (rule.percentage > 0) rules.push(rule);
  }
  return rules;
}

/** Whether one of the strategies turns the flag on for every context, whatever the others do. */
export function isOnForAllUsers({ strategies }: FlagDefinition): boolean {
  if (!Array.isArray(strategies)) return false;
  return strategies.length === 0 || strategies.some((strategy) => isForAllUsers(ruleOf(strategy)));
}

export function isForAllUsers(rule: Rule | undefined): boolean {
  return rule?.percentage === 100 && rule.admits === undefined;
}

/** The rules whose draw counts for this context. */
export function admittedBy(rules: readonly Rule[], context: Context): readonly Rule[] {
  return rules.filter(({ admits }) => admits === undefined || admits(context));
}

/** Undefined for a strategy whose share in the result is unknown. */
function ruleOf(strategy: StrategyDefinition, staticContext: Context = {}): Rule | undefined {
  const ids = userIdsOf(strategy);
  const percentage = ids === undefined ? percentageOf(strategy) : 100;
  if (percentage === undefined) return undefined;
  const conditions = conditionsOf(strategy).map((constraint) => compileConstraint(constraint, staticContext));
  if (ids !== undefined) conditions.push(({ userId }) => userId !== undefined && ids.has(userId));
  const targeted = conditions.length > 0;
  const stickiness = stickinessOf(strategy);
  const unit = unitBy(stickiness, staticContext);
  // Users without the stickiness field are off, and not by chance.
  if (stickiness !== 'default' && stickiness !== 'random')
    conditions.push((context) => Boolean(unit(context)));
  const admits = conditions.length > 1 ? allOf(conditions) : conditions[0];
  const groupId = strategy.parameters?.groupId;
  return {
    // unleash-client draws one of 100 numbers, so that a fraction of a percent adds nothing.
    percentage: Math.floor(percentage),
    targeted,
    admits,
    groupId: groupId ? String(groupId) : '',
    unit,
  };
}

function userIdsOf({ name, parameters }: StrategyDefinition): ReadonlySet<string> | undefined {
  if (name !== 'userWithId') return undefined;
  const list = parameters?.userIds;
  return new Set(typeof list === 'string' && list !== '' ? list.split(/\s*,\s*/) : []);
}

/** The field by which users are drawn, or unleash-client's `default` or `random`. */
function stickinessOf({ name, parameters }: StrategyDefinition): string {
  switch (name) {
    case 'gradualRolloutUserId':
      return 'userId';
    case 'gradualRolloutSessionId':
      return 'sessionId';
    case 'flexibleRollout': {
      const stickiness = parameters?.stickiness;
      return typeof stickiness === 'string' && stickiness !== '' ? stickiness : 'default';
    }
    default:
      return 'random';
  }
}

function unitBy(stickiness: string, staticContext: Context): Rule['unit'] {
  if (stickiness === 'random') return () => undefined;
  if (stickiness === 'default') return ({ userId, sessionId }) => userId || sessionId || undefined;
  return fieldReader(stickiness, staticContext);
}

function allOf(conditions: readonly Predicate[]): Predicate {
  return (context) => {
    // `every` would allocate a function for each evaluation.
    for (const condition of conditions) if (!condition(context)) return false;
    return true;
  };
}

const operators = new Strategy('reason');

/**
 * Gives the result of unleash-client's own operators. Only lists are compiled: they can be long, and unleash-client trims
 * whole lists each time.
 */
export function compileConstraint(
  constraint: Constraint | undefined,
  staticContext: Context = {},
): Predicate {
  if (constraint === undefined) return () => false;
  const { contextName, operator, inverted } = constraint;
  if (operator !== 'IN' && operator !== 'NOT_IN') {
    return contextName in staticContext
      ? (context) => operators.checkConstraint(constraint, { ...staticContext, ...context })
      : (context) => operators.checkConstraint(constraint, context);
  }
  const wanted = (operator === 'IN') !== Boolean(inverted);
  const values = new Set((constraint.values ?? []).filter(Boolean).map((value) => value.trim()));
  const read = fieldReader(contextName, staticContext);
  return (context) => {
    const value = read(context);
    return (value !== undefined && values.has(value)) === wanted;
  };
}

/**
 * Reads a field of a context, or else the property of that name, as text: as unleash-client does, which adds the static
 * context to a copy of each.
 */
export function fieldReader(field: string, staticContext: Context): (context: Context) => string | undefined {
  const fixed = staticContext[field];
  return (context) => {
    const value = context[field] ?? fixed ?? context.properties?.[field];
    return value === undefined || value === null ? undefined : String(value);
  };
}
