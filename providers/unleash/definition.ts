import type { Strategy, Unleash } from 'unleash-client';

/** A flag's definition as unleash-client has it, each segment in place of its id. */
export type FlagDefinition = ReturnType<Unleash['getFeatureToggleDefinitions']>[number] & {
  readonly strategies?: readonly StrategyDefinition[];
};

/** One activation strategy of a flag. Any one that matches turns the flag on. */
export interface StrategyDefinition {
  readonly name: string;
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly constraints?: readonly Constraint[];
  /** Undefined for a segment that Unleash did not send: the strategy then never matches. */
  readonly segments?: readonly ({ readonly constraints?: readonly Constraint[] } | undefined)[];
  readonly variants?: readonly VariantDefinition[];
}

/** What unleash-client checks a context against. */
export type Constraint = Parameters<Strategy['checkConstraint']>[0];

/** One variant of a flag or strategy. */
export interface VariantDefinition {
  readonly name: string;
  readonly weight: number;
  readonly stickiness?: string;
  readonly payload?: { readonly type: string; readonly value: string };
  readonly overrides?: readonly { readonly contextName: string; readonly values: readonly string[] }[];
}

/** A flag that must be on (or off, or have a variant) before another one can be. */
export type Dependency = NonNullable<FlagDefinition['dependencies']>[number];

/** The definition of another flag, by its key. */
export type Lookup = (key: string) => FlagDefinition | undefined;

/** All that must be true for a strategy to match, segments included; undefined stands for a segment that is missing. */
export function conditionsOf(strategy: StrategyDefinition): readonly (Constraint | undefined)[] {
  const conditions: (Constraint | undefined)[] = [...(strategy.constraints ?? [])];
  for (const segment of strategy.segments ?? []) {
    if (segment === undefined) conditions.push(undefined);
    else conditions.push(...(segment.constraints ?? []));
  }
  return conditions;
}

/**
 * The percentage of the matching users that a strategy turns on, 0–100; undefined for a strategy that has none (an id
 * list, a custom strategy). A percentage that is not a number turns no user on, as in unleash-client.
 */
export function percentageOf({ name, parameters }: StrategyDefinition): number | undefined {
  switch (name) {
    case 'default':
      return 100;
    case 'flexibleRollout':
      return clampPercentage(parameters?.rollout);
    case 'gradualRolloutUserId':
    case 'gradualRolloutSessionId':
    case 'gradualRolloutRandom':
      return clampPercentage(parameters?.percentage);
    default:
      return undefined;
  }
}

function clampPercentage(parameter: unknown): number {
  const percentage = Number(parameter);
  return percentage > 0 ? Math.min(percentage, 100) : 0;
}
