import { ErrorCode, type ResolutionDetails, StandardResolutionReasons } from '@openfeature/server-sdk';
import type { Context, Unleash } from 'unleash-client';
import { variantUncounted } from './client/client-access.js';
import type { Flag } from './flag-facts.js';
import { without } from './reason-resolver.js';
import { type AssignedVariant, resolveVariant, type VariantType } from './variant.js';

const { ERROR, STALE } = StandardResolutionReasons;

const WHILE_STALE = without(STALE);

/** Whether a flag is on for a context, and why. */
export function evaluateBoolean(
  client: Unleash,
  flag: Flag,
  context: Context,
  isStale: boolean,
): ResolutionDetails<boolean> {
  const { key } = flag.facts;
  if (flag.isOffForAll) {
    client.count(key, false);
    return resolved(flag, context, isStale, false, undefined);
  }
  if (flag.namesVariant) {
    const { feature_enabled, enabled, name } = variantUncounted(client, key, context);
    const value = feature_enabled === true;
    return resolved(flag, context, isStale, value, value && enabled ? name : undefined);
  }
  return resolved(flag, context, isStale, client.isEnabled(key, context), undefined);
}

function resolved(
  flag: Flag,
  context: Context,
  isStale: boolean,
  value: boolean,
  variant: string | undefined,
): ResolutionDetails<boolean> {
  const explanation = isStale ? WHILE_STALE : flag.reasonResolver.explain(value, context);
  return {
    value,
    variant: variant ?? (value ? 'on' : 'off'),
    reason: explanation.reason,
    flagMetadata: flag.metadataOf(explanation, context),
  };
}

/** The payload of the variant that a context is assigned, and why. */
export function evaluateVariant<T>(
  client: Unleash,
  flag: Flag,
  context: Context,
  isStale: boolean,
  type: VariantType,
  defaultValue: T,
): ResolutionDetails<T> {
  const variant: AssignedVariant = client.getVariant(flag.facts.key, context);
  if (!variant.enabled) {
    const explanation = isStale ? WHILE_STALE : flag.explainNoVariant(variant.feature_enabled, context);
    return {
      value: defaultValue,
      reason: explanation.reason,
      flagMetadata: flag.metadataOf(explanation, context),
    };
  }
  const explanation = isStale ? WHILE_STALE : flag.explainVariant(variant.payload, context);
  const metadata = flag.variantMetadata(explanation, context, variant.payload?.type);
  return resolveVariant(variant, type, defaultValue, explanation.reason, metadata);
}

/**
 * Counts an evaluation in which unleash-client had no part as that would: as off. Unleash's UI then shows stopped flags as they are, and which
 * missing ones are evaluated.
 */
export function countOff(client: Unleash | undefined, flagKey: string, isVariant: boolean): void {
  client?.count(flagKey, false);
  if (isVariant) client?.countVariant(flagKey, 'disabled');
}

/** The answer before the first data. */
export function notReady<T>(value: T, errorMessage: string | undefined): ResolutionDetails<T> {
  return {
    value,
    reason: ERROR,
    errorCode: ErrorCode.PROVIDER_NOT_READY,
    errorMessage: errorMessage ?? '',
  };
}

/** The answer for a flag that Unleash does not have. */
export function notFound<T>(flagKey: string, value: T): ResolutionDetails<T> {
  const errorMessage = `Unleash has no flag "${flagKey}" in the projects and the environment of the token.`;
  return { value, reason: ERROR, errorCode: ErrorCode.FLAG_NOT_FOUND, errorMessage };
}
