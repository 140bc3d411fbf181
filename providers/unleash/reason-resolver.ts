import { type ResolutionReason, StandardResolutionReasons } from '@openfeature/server-sdk';
import type { Context } from 'unleash-client';
import { chanceOf, type Draw, drawsOf, isSure, unitOf } from './chance.js';
import type { Dependency, FlagDefinition, Lookup } from './definition.js';
import { admittedBy, isForAllUsers, isOnForAllUsers, type Rule, rulesOf } from './strategy-rule.js';

const { DISABLED, SPLIT, STATIC, TARGETING_MATCH } = StandardResolutionReasons;

/** What decided whether a flag is on for a context. */
export interface Explanation {
  readonly reason: ResolutionReason;
  /** The probability of on, a fraction between 0 and 1. Set exactly when the reason is `SPLIT`. */
  readonly chance: number | undefined;
  /** The value that a context was drawn by; undefined when each evaluation is drawn anew, and when chance did not decide. */
  readonly contextId: (context: Context) => string | undefined;
}

/**
 * Finds OpenFeature's `reason` for an evaluation: what decided whether the flag is on for a context.
 *
 * `SPLIT` promises that chance decided: each user could as well have got the other value. A user whom a constraint,
 * segment or id list includes or excludes is never reported as `SPLIT`, also when another strategy of the same flag has
 * a percentage: {@link ReasonResolver.explain} then checks which strategies the user is eligible for.
 */
export interface ReasonResolver {
  /** No user can get the flag: it is off here, or a parent flag is not what it must be. */
  readonly disabled: boolean;
  /**
   * @param enabled - unleash-client's result.
   * @param context - The context of that evaluation.
   */
  explain(enabled: boolean, context: Context): Explanation;
}

/** A parent flag whose state depends on the context. */
interface Parent {
  readonly wantsOn: boolean;
  /** Undefined when its share is unknown. */
  readonly rules: readonly Rule[] | undefined;
}

/** The time for one more doubles. */
const MAX_DRAWN_PARENTS = 5;

/**
 * Compiles a definition, once.
 *
 * - An environment that is off, or a parent flag that can never be what is required: `DISABLED`.
 * - The strategies `remoteAddress` and `applicationHostname`, and custom ones: `TARGETING_MATCH`, also beside a percentage.
 * - Otherwise what applies to this user: on by a strategy at 100 % → `TARGETING_MATCH`, or `STATIC` when that strategy
 *   is for all users; else eligible for a percentage → `SPLIT`; else excluded by targeting → `TARGETING_MATCH`.
 * - A parent flag that is what it must be for this user changes nothing. One that is drawn is part of the chance. One
 *   that keeps this user out, and one whose share is unknown: `TARGETING_MATCH`.
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
  const parents: Parent[] = [];
  for (const dependency of definition.dependencies ?? []) {
    const found = parentOf(dependency, parent, staticContext);
    if (found === 'never') return always(DISABLED);
    if (found !== 'always') parents.push(found);
  }

  const rules = rulesOf(definition, staticContext);
  if (rules === undefined) return always(TARGETING_MATCH);
  if (rules.length === 0) return always(STATIC);
  if (parents.length > 0) {
    return { disabled: false, explain: (_, context) => explainWithParents(rules, parents, context) };
  }
  if (rules.some(isForAllUsers)) return always(STATIC);
  if (rules.every(({ percentage, targeted }) => percentage === 100 && targeted))
    return always(TARGETING_MATCH);
  const [only] = rules;
  const explain: ReasonResolver['explain'] =
    rules.length === 1
      ? explainerOfOnly(only!)
      : (_, context) => explanationOf(admittedBy(rules, context), context);
  return { disabled: false, explain };
}

function always(reason: ResolutionReason): ReasonResolver {
  const explanation = without(reason);
  return { disabled: reason === DISABLED, explain: () => explanation };
}

/** An explanation in which chance has no part. */
export function without(reason: ResolutionReason): Explanation {
  return { reason, chance: undefined, contextId: () => undefined };
}

function split(chance: number, contextId: Explanation['contextId']): Explanation {
  return { reason: SPLIT, chance, contextId };
}

const BY_TARGETING = without(TARGETING_MATCH);
const FOR_ALL_USERS = without(STATIC);

/** Explains a flag with one strategy. All evaluations share the explanation. */
function explainerOfOnly(rule: Rule): ReasonResolver['explain'] {
  const admitted = explanationOfAdmitted(rule);
  const { admits } = rule;
  if (admits === undefined) return () => admitted;
  // The only strategy must be the one that turned the flag on: nothing needs to be checked again.
  return (enabled, context) => (enabled || admits(context) ? admitted : BY_TARGETING);
}

/** Explains a flag for a context that only this strategy admits. */
function explanationOfAdmitted({ percentage, targeted, unit }: Rule): Explanation {
  if (percentage < 100) return split(percentage / 100, unit);
  return targeted ? BY_TARGETING : FOR_ALL_USERS;
}

/** @param admitted - The strategies that admit the context. */
function explanationOf(admitted: readonly Rule[], context: Context): Explanation {
  const [first] = admitted;
  if (first === undefined) return BY_TARGETING;
  const sure = admitted.find(({ percentage }) => percentage === 100);
  if (sure !== undefined || admitted.length === 1) return explanationOfAdmitted(sure ?? first);
  const draws = drawsOf(admitted, context);
  return split(chanceOf([draws]), () => unitOf(draws));
}

function explainWithParents(
  rules: readonly Rule[],
  parents: readonly Parent[],
  context: Context,
): Explanation {
  const own = drawsOf(admittedBy(rules, context), context);
  const on: (readonly Draw[])[] = isSure(own) ? [] : [own];
  const off: Draw[] = [];
  for (const parent of parents) {
    if (parent.rules === undefined) return BY_TARGETING;
    const draws = drawsOf(admittedBy(parent.rules, context), context);
    if (!parent.wantsOn) off.push(...draws);
    else if (!isSure(draws)) on.push(draws);
  }
  if (on.length > MAX_DRAWN_PARENTS + 1) return BY_TARGETING;
  const chance = chanceOf(on, off);
  return chance > 0 && chance < 1 ? split(chance, () => unitOf([...on.flat(), ...off])) : BY_TARGETING;
}

/** A parent flag, or whether it is what a dependency requires for every user or for none. */
function parentOf(
  { feature, enabled, variants }: Dependency,
  lookup: Lookup,
  staticContext: Context,
): 'always' | 'never' | Parent {
  const parent = lookup(feature);
  // unleash-client follows one level of parents only.
  if (parent === undefined || (parent.dependencies?.length ?? 0) > 0) return 'never';
  const wantsOn = enabled !== false;
  if (!parent.enabled) return wantsOn ? 'never' : 'always';
  if (wantsOn && variants !== undefined && variants.length > 0 && !alwaysHasOneOf(variants, parent)) {
    return { wantsOn, rules: undefined };
  }
  if (isOnForAllUsers(parent)) return wantsOn ? 'always' : 'never';
  const rules = rulesOf(parent, staticContext);
  if (rules?.length === 0) return wantsOn ? 'never' : 'always';
  return { wantsOn, rules };
}

/** Whether every user for whom a flag is on has one of these variants. */
function alwaysHasOneOf(names: readonly string[], { strategies, variants }: FlagDefinition): boolean {
  const lists = (strategies ?? []).map((strategy) =>
    strategy.variants?.length ? strategy.variants : variants,
  );
  return (lists.length === 0 ? [variants] : lists).every((list = []) => {
    const possible = list.filter(({ weight, overrides }) => weight > 0 || (overrides?.length ?? 0) > 0);
    return list.some(({ weight }) => weight > 0) && possible.every(({ name }) => names.includes(name));
  });
}
