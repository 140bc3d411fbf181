import { describe, expect, it } from 'vitest';
import { boundedErrorType, ErrorCounts, MAX_ERROR_TYPES } from '../../src/measure/error-counts.js';

describe('ErrorCounts', () => {
  it('sorts by count, then by name', () => {
    const errors = new ErrorCounts();
    for (const type of ['b', 'a', 'c', 'c']) errors.add(type);
    expect(errors.sorted().map(({ errorType, count }) => `${errorType} ${count}`)).toEqual([
      'c 2',
      'a 1',
      'b 1',
    ]);
    errors.add('b', 5);
    expect(errors.sorted()[0]).toEqual({ errorType: 'b', count: 6 });
  });

  it('counts the first 50 types by name and later ones as other', () => {
    const errors = new ErrorCounts();
    for (let i = 0; i < MAX_ERROR_TYPES; i++) errors.add(`E_${i}`);
    errors.add('E_LATE');
    errors.add('E_LATER');
    errors.add('E_7');
    const counts = new Map(errors.sorted().map(({ errorType, count }) => [errorType, count]));
    expect([counts.get('other'), counts.get('E_7'), counts.has('E_LATE')]).toEqual([2, 2, false]);
    expect(counts.size).toBe(MAX_ERROR_TYPES + 1);
  });

  it('returns each count in one delta, and none that came from elsewhere', () => {
    const errors = new ErrorCounts();
    errors.add('a', 2);
    errors.addRemote('a', 10);
    errors.addRemote('b', 10);
    expect(errors.takeChanges()).toEqual([['a', 2]]);
    expect(errors.takeChanges()).toEqual([]);
    errors.add('b');
    expect(errors.takeChanges()).toEqual([['b', 1]]);
    expect(errors.sorted()).toEqual([
      { errorType: 'a', count: 12 },
      { errorType: 'b', count: 11 },
    ]);
  });

  it('counts types from elsewhere as other too, and returns them in no delta', () => {
    const errors = new ErrorCounts();
    for (let i = 0; i < MAX_ERROR_TYPES; i++) errors.add(`E_${i}`);
    errors.takeChanges();
    errors.addRemote('E_LATE', 3);
    expect(errors.takeChanges()).toEqual([]);
    expect(errors.sorted()[0]).toEqual({ errorType: 'other', count: 3 });
  });

  it('forgets everything on clear', () => {
    const errors = new ErrorCounts();
    errors.add('a', 2);
    errors.takeChanges();
    errors.clear();
    expect(errors.sorted()).toEqual([]);
    errors.add('a');
    expect(errors.takeChanges()).toEqual([['a', 1]]);
  });
});

describe('boundedErrorType', () => {
  it('cuts long names only', () => {
    expect(boundedErrorType('x'.repeat(64))).toHaveLength(64);
    expect(boundedErrorType('x'.repeat(65))).toBe('x'.repeat(64));
  });
});
