import { describe, expect, it } from 'vitest';
import { armOf } from '../../src/measure/exposure-ledger.js';
import type { Arm, Evaluation } from '../../src/model/shapes.js';

describe('armOf', () => {
  it.each<[string, Evaluation, Arm]>([
    ['a true flag', { value: true, variant: 'on', reason: 'SPLIT' }, 'treatment'],
    ['a false flag, whose variant is only a name for off', { value: false, variant: 'off' }, 'control'],
    [
      'a failed evaluation with the default true: the new code ran',
      { value: true, errorCode: 'GENERAL' },
      'treatment',
    ],
    ['a failed evaluation with the default false', { value: false, errorCode: 'FLAG_NOT_FOUND' }, 'control'],
    ['a string with a variant', { value: 'fast', variant: 'fast' }, 'treatment'],
    ['an empty string with a variant', { value: '', variant: 'empty' }, 'treatment'],
    ['a string without a variant', { value: 'default', reason: 'DEFAULT' }, 'control'],
    ['a number with a variant', { value: 0, variant: 'none' }, 'treatment'],
    ['an object with a variant', { value: { limit: 5 }, variant: 'small' }, 'treatment'],
    [
      'a variant whose payload could not be read',
      { value: 7, variant: 'odd', errorCode: 'PARSE_ERROR' },
      'control',
    ],
  ])('puts %s in $2', (_, evaluation, arm) => {
    expect(armOf(evaluation)).toBe(arm);
  });
});
