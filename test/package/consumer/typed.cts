import { ConfigError, successRateBelow } from 'unleash-rollout-guard';

export const trigger: { readonly name: string } = successRateBelow(0.95);
export const isProblem = (error: unknown): boolean => error instanceof ConfigError;
