import {
  ErrorCode,
  type FlagMetadata,
  type ResolutionDetails,
  type ResolutionReason,
  StandardResolutionReasons,
} from '@openfeature/server-sdk';
import type { Variant } from 'unleash-client';

/** The types that OpenFeature evaluates beside booleans. */
export type VariantType = 'string' | 'number' | 'object';

/** unleash-client's variants. A payload's type is whatever the server sends. */
export type AssignedVariant = Omit<Variant, 'payload'> & {
  readonly payload?: { readonly type: string; readonly value: string } | undefined;
};

const TYPE_OF_PAYLOAD: ReadonlyMap<string, VariantType> = new Map([
  ['string', 'string'],
  ['csv', 'string'],
  ['number', 'number'],
  ['json', 'object'],
]);

/**
 * Translates the variant that Unleash assigned into the type that OpenFeature's caller evaluates. Pure.
 *
 * | payload | `string` | `number` | `object` |
 * |---|---|---|---|
 * | string, csv | its text | `TYPE_MISMATCH` | `TYPE_MISMATCH` |
 * | number | `TYPE_MISMATCH` | the number; `PARSE_ERROR` when empty or not a finite number | `TYPE_MISMATCH` |
 * | json | `TYPE_MISMATCH` | `TYPE_MISMATCH` | the object or array; `PARSE_ERROR` when invalid, `TYPE_MISMATCH` for any other value |
 * | none | the default | the default | the default |
 *
 * A variant without a payload has a name and no value, so the caller's default is the value, and `variant` still
 * names the one that was assigned.
 *
 * An error is returned, not thrown: OpenFeature treats both alike, and a returned one keeps the flag metadata.
 *
 * @param reason - The reason of the evaluation, unless it is an error.
 * @param metadata - Contains the `payloadType` already.
 */
export function resolveVariant<T>(
  variant: AssignedVariant,
  type: VariantType,
  defaultValue: T,
  reason: ResolutionReason,
  metadata: FlagMetadata,
): ResolutionDetails<T> {
  const { name, payload } = variant;
  if (payload === undefined || payload === null) {
    return { value: defaultValue, variant: name, reason, flagMetadata: metadata };
  }
  const isOfType = TYPE_OF_PAYLOAD.get(payload.type) === type;
  const value = isOfType ? parse(type, String(payload.value ?? '')) : undefined;
  if (typeof value === type && value !== null) {
    return { value: value as T, variant: name, reason, flagMetadata: metadata };
  }
  const [errorCode, problem] = !isOfType
    ? [ErrorCode.TYPE_MISMATCH, `cannot be read as ${type === 'object' ? 'an object' : `a ${type}`}`]
    : value === undefined
      ? [ErrorCode.PARSE_ERROR, `is not a valid ${payload.type}`]
      : [ErrorCode.TYPE_MISMATCH, 'is neither an object nor an array'];
  return {
    value: defaultValue,
    reason: StandardResolutionReasons.ERROR,
    errorCode,
    errorMessage: `The ${payload.type} payload of variant "${name}" ${problem}.`,
    flagMetadata: metadata,
  };
}

/** Undefined when the text is not such a value. */
function parse(type: VariantType, text: string): unknown {
  switch (type) {
    case 'string':
      return text;
    case 'number': {
      const number = text.trim() === '' ? Number.NaN : Number(text);
      return Number.isFinite(number) ? number : undefined;
    }
    case 'object':
      try {
        return JSON.parse(text);
      } catch {
        return undefined;
      }
  }
}
