import { describe, expect, it } from 'vitest';
import {
  type AssignedVariant,
  resolveVariant,
  type VariantType,
} from '../../../providers/unleash/variant.js';

const METADATA = Object.freeze({ enabled: true });
const DEFAULTS = { string: 'default', number: -1, object: { default: true } } as const;

const resolve = (payload: AssignedVariant['payload'], type: VariantType) =>
  resolveVariant({ name: 'blue', enabled: true, payload }, type, DEFAULTS[type], 'SPLIT', METADATA);

describe('resolveVariant', () => {
  it.each<[VariantType, string, string, unknown]>([
    ['string', 'string', '#00f', '#00f'],
    ['string', 'string', '', ''],
    ['string', 'csv', 'a,b', 'a,b'],
    ['number', 'number', '1.5', 1.5],
    ['number', 'number', ' -3 ', -3],
    ['number', 'number', '0', 0],
    ['object', 'json', '{"limit":5}', { limit: 5 }],
    ['object', 'json', '[1,2]', [1, 2]],
  ])('reads as %s the %s payload %j', (type, payloadType, value, expected) => {
    expect(resolve({ type: payloadType, value }, type)).toEqual({
      value: expected,
      variant: 'blue',
      reason: 'SPLIT',
      flagMetadata: METADATA,
    });
  });

  it.each<[VariantType, string, string, string, string]>([
    ['number', 'number', '', 'PARSE_ERROR', 'The number payload of variant "blue" is not a valid number.'],
    ['number', 'number', '  ', 'PARSE_ERROR', 'The number payload of variant "blue" is not a valid number.'],
    [
      'number',
      'number',
      '12px',
      'PARSE_ERROR',
      'The number payload of variant "blue" is not a valid number.',
    ],
    [
      'number',
      'number',
      'Infinity',
      'PARSE_ERROR',
      'The number payload of variant "blue" is not a valid number.',
    ],
    ['object', 'json', '{"limit":', 'PARSE_ERROR', 'The json payload of variant "blue" is not a valid json.'],
    ['object', 'json', '', 'PARSE_ERROR', 'The json payload of variant "blue" is not a valid json.'],
    [
      'object',
      'json',
      '5',
      'TYPE_MISMATCH',
      'The json payload of variant "blue" is neither an object nor an array.',
    ],
    [
      'object',
      'json',
      'null',
      'TYPE_MISMATCH',
      'The json payload of variant "blue" is neither an object nor an array.',
    ],
    [
      'string',
      'number',
      '1',
      'TYPE_MISMATCH',
      'The number payload of variant "blue" cannot be read as a string.',
    ],
    [
      'string',
      'json',
      '{}',
      'TYPE_MISMATCH',
      'The json payload of variant "blue" cannot be read as a string.',
    ],
    [
      'number',
      'string',
      '1',
      'TYPE_MISMATCH',
      'The string payload of variant "blue" cannot be read as a number.',
    ],
    ['number', 'csv', '1', 'TYPE_MISMATCH', 'The csv payload of variant "blue" cannot be read as a number.'],
    [
      'object',
      'string',
      '{}',
      'TYPE_MISMATCH',
      'The string payload of variant "blue" cannot be read as an object.',
    ],
    [
      'object',
      'yaml',
      'a: 1',
      'TYPE_MISMATCH',
      'The yaml payload of variant "blue" cannot be read as an object.',
    ],
  ])('refuses to read as %s the %s payload %j: %s', (type, payloadType, value, errorCode, errorMessage) => {
    expect(resolve({ type: payloadType, value }, type)).toEqual({
      value: DEFAULTS[type],
      reason: 'ERROR',
      errorCode,
      errorMessage,
      flagMetadata: METADATA,
    });
  });

  it.each<VariantType>(['string', 'number', 'object'])(
    'serves the default %s for a variant without payload',
    (type) => {
      expect(resolve(undefined, type)).toEqual({
        value: DEFAULTS[type],
        variant: 'blue',
        reason: 'SPLIT',
        flagMetadata: METADATA,
      });
    },
  );
});
