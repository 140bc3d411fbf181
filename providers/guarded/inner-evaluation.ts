import { isDeepStrictEqual } from 'node:util';
import {
  type EvaluationContext,
  type FlagMetadata,
  type Logger as OpenFeatureLogger,
  type Provider,
  type ResolutionDetails,
  StandardResolutionReasons,
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

/** Whether a provider answers as Unleash's definition does; not every provider names what is assigned, or names it alike. */
export function isAlike<T>(details: ResolutionDetails<T>, wanted: ResolutionDetails<T>): boolean {
  if (typeof wanted.value === 'boolean') return details.value === wanted.value;
  return details.variant === wanted.variant || isDeepStrictEqual(details.value, wanted.value);
}

/**
 * An answer with the metadata of Unleash's definition beside its own.
 *
 * @param wanted - What the definition gives, with its metadata.
 * @param isTrusted - The answer came about as the definition says. Otherwise nothing is known of how it did: what the provider itself
 * says need not be true.
 */
export function described<T>(
  details: ResolutionDetails<T>,
  wanted: ResolutionDetails<T>,
  isTrusted: boolean,
): ResolutionDetails<T> {
  const flagMetadata: Record<string, FlagMetadata[string]> = {
    ...wanted.flagMetadata,
    ...details.flagMetadata,
    unleashReason: StandardResolutionReasons.UNKNOWN,
  };
  delete flagMetadata.chance;
  delete flagMetadata.contextId;
  if (!isTrusted) return { ...details, flagMetadata };
  const { chance, contextId } = wanted.flagMetadata ?? {};
  if (wanted.reason !== undefined) flagMetadata.unleashReason = wanted.reason;
  if (chance !== undefined) flagMetadata.chance = chance;
  if (contextId !== undefined) flagMetadata.contextId = contextId;
  return { ...details, flagMetadata };
}
