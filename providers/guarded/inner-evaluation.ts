import type {
  EvaluationContext,
  FlagMetadata,
  Logger as OpenFeatureLogger,
  Provider,
  ResolutionDetails,
} from '@openfeature/server-sdk';

/** What an evaluation may be asked for. */
export type Type = 'boolean' | 'string' | 'number' | 'object';
/** The methods of a provider. */
export type Method = `resolve${'Boolean' | 'String' | 'Number' | 'Object'}Evaluation`;
/** What a provider's method is given. @inline */
export type Evaluation<T> = [
  flagKey: string,
  defaultValue: T,
  context: EvaluationContext,
  logger: OpenFeatureLogger,
];

/** What a provider answers. */
export function evaluateWith<T>(
  provider: Provider,
  method: Method,
  given: Evaluation<T>,
): Promise<ResolutionDetails<T>> {
  return (provider[method] as (...given: Evaluation<T>) => Promise<ResolutionDetails<T>>).apply(
    provider,
    given,
  );
}

/** An answer with the metadata of Unleash's definition beside its own, and the chance of nothing else. */
export function described<T>(
  details: ResolutionDetails<T>,
  facts: FlagMetadata,
  { chance, contextId }: FlagMetadata,
): ResolutionDetails<T> {
  const flagMetadata: Record<string, FlagMetadata[string]> = { ...facts, ...details.flagMetadata };
  delete flagMetadata.chance;
  delete flagMetadata.contextId;
  if (chance !== undefined) flagMetadata.chance = chance;
  if (contextId !== undefined) flagMetadata.contextId = contextId;
  return { ...details, flagMetadata };
}
