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
  /** Whether the context passes everything but chance; undefined when every context does. */
  readonly admits: Predicate | undefined;
  readonly groupId: string;
  /** The value by which the context is drawn; undefined when it is drawn anew each time. */
  unit(context: Context): string | undefined;
}

const STANDARD: StrategyDefinition = { name: 'default' };

/**
 * The strategies that can turn a flag on; undefined when the share of one of them is unknown. A flag without strategies
 * is on for all users, as in unleash-client.
 */
export function rulesOf({ strategies }: FlagDefinition): readonly Rule[] | undefined {
  if (!Array.isArray(strategies)) return [];
  const rules: Rule[] = [];
  for (const strategy of strategies.length === 0 ? [STANDARD] : strategies) {
    const rule = ruleOf(strategy);
    if (rule === undefined) return undefined;
    if (rule.percentage > 0) rules.push(rule);
  }
  return rules;
}

/** Whether one of the strategies turns the flag on for every context, whatever the others do. */
export function isOnForAllUsers({ strategies }: FlagDefinition): boolean {
  if (!Array.isArray(strategies)) return false;
  return strategies.length === 0 || strategies.map(ruleOf).some((rule) => rule && isForAllUsers(rule));
}

export function isForAllUsers({ percentage, admits }: Rule): boolean {
  return percentage === 100 && admits === undefined;
}

/** The rules whose draw counts for this context. */
export function admittedBy(rules: readonly Rule[], context: Context): readonly Rule[] {
  return rules.filter(({ admits }) => admits === undefined || admits(context));
}

/** Undefined for a strategy whose share in the result is unknown. */
function ruleOf(strategy: StrategyDefinition): Rule | undefined {
  const ids = userIdsOf(strategy);
  const percentage = ids === undefined ? percentageOf(strategy) : 100;
  if (percentage === undefined) return undefined;
  const conditions = conditionsOf(strategy).map(compileConstraint);
  if (ids !== undefined) conditions.push(({ userId }) => userId !== undefined && ids.has(userId));
  const targeted = conditions.length > 0;
  const stickiness = stickinessOf(strategy);
  const unit = unitBy(stickiness);
  // Users without the stickiness field are off, and not by chance.
  if (stickiness !== 'default' && stickiness !== 'random')
    conditions.push((context) => Boolean(unit(context)));
  const admits =
    conditions.length === 0
      ? undefined
      : (context: Context) => conditions.every((condition) => condition(context));
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

function unitBy(stickiness: string): Rule['unit'] {
  if (stickiness === 'random') return () => undefined;
  if (stickiness === 'default') return ({ userId, sessionId }) => userId || sessionId || undefined;
  return (context) => contextValue(context, stickiness);
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
