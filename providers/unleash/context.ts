import type { EvaluationContext, EvaluationContextValue } from '@openfeature/server-sdk';
import type { Context } from 'unleash-client';

type Properties = NonNullable<Context['properties']>;
type OnDropped = (attribute: string) => void;

/**
 * Translates an OpenFeature evaluation context for Unleash. Pure, and called for every evaluation.
 *
 * | OpenFeature | Unleash |
 * |---|---|
 * | `targetingKey` | `userId` |
 * | `userId` | `userId`, when there is no targeting key |
 * | `sessionId`, `remoteAddress`, `environment`, `appName` | themselves, as text |
 * | `currentTime` | a `Date`, from a `Date`, ISO 8601 text or milliseconds since 1970 |
 * | `properties` | its entries become properties; an attribute of the same name beside it wins |
 * | any other attribute | a property: text and numbers as they are, booleans and dates (ISO 8601) as text |
 *
 * Unleash's constraints compare flat values only, so an array, an object, or an invalid date is left out.
 * `null` and `undefined` mean absent.
 *
 * @param onDropped - Called with the name of each attribute that was left out.
 */
export function toUnleashContext(context: EvaluationContext, onDropped?: OnDropped): Context {
  const userId = toText(context.targetingKey) || toText(context.userId);
  // Unleash copies the context key by key, so absent keys must cost nothing.
  const translated: Context = userId === undefined ? {} : { userId };
  let properties: Properties | undefined;
  let nested: EvaluationContextValue | undefined;
  for (const key in context) {
    const value = context[key];
    if (value === undefined || value === null) continue;
    switch (key) {
      case 'targetingKey':
      case 'userId':
        if (userId === undefined) onDropped?.(key);
        break;
      case 'sessionId':
      case 'remoteAddress':
      case 'environment':
      case 'appName': {
        const text = toText(value);
        if (text === undefined) onDropped?.(key);
        else translated[key] = text;
        break;
      }
      case 'currentTime': {
        const time = toDate(value);
        if (time === undefined) onDropped?.(key);
        else translated.currentTime = time;
        break;
      }
      case 'properties':
        nested = value;
        break;
      default: {
        const property = toProperty(value);
        if (property === undefined) onDropped?.(key);
        else {
          properties ??= {};
          properties[key] = property;
        }
      }
    }
  }
  if (nested !== undefined) properties = withNested(properties, nested, onDropped);
  if (properties !== undefined) translated.properties = properties;
  return translated;
}

function withNested(
  properties: Properties | undefined,
  nested: EvaluationContextValue,
  onDropped: OnDropped | undefined,
): Properties | undefined {
  if (typeof nested !== 'object' || nested === null || Array.isArray(nested) || nested instanceof Date) {
    onDropped?.('properties');
    return properties;
  }
  const merged: Properties = {};
  for (const [key, value] of Object.entries(nested)) {
    if (value === undefined || value === null) continue;
    const property = toProperty(value);
    if (property === undefined) onDropped?.(key);
    else merged[key] = property;
  }
  return Object.assign(merged, properties);
}

function toProperty(value: EvaluationContextValue): string | number | undefined {
  return typeof value === 'string' || typeof value === 'number' ? value : toText(value);
}

function toText(value: EvaluationContextValue | undefined): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return value instanceof Date ? toDate(value)?.toISOString() : undefined;
}

function toDate(value: EvaluationContextValue | undefined): Date | undefined {
  if (!(value instanceof Date || typeof value === 'string' || typeof value === 'number')) return undefined;
  const date = value instanceof Date ? value : new Date(value);
  return Number.isNaN(date.getTime()) ? undefined : date;
}
