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

  it('gives each count to each reader once', () => {
    const errors = new ErrorCounts();
    const [first, second] = [new Map<string, number>(), new Map<string, number>()];
    errors.add('a', 2);
    expect(errors.takeSince(first)).toEqual([['a', 2]]);
    expect(errors.takeSince(first)).toEqual([]);
    errors.add('b');
    expect(errors.takeSince(first)).toEqual([['b', 1]]);
    expect(errors.takeSince(second)).toEqual([
      ['a', 2],
      ['b', 1],
    ]);
  });

  it('says under which name it counts', () => {
    const errors = new ErrorCounts();
    for (let i = 0; i < MAX_ERROR_TYPES; i++) errors.add(`E_${i}`);
    expect([errors.add('E_7'), errors.add('E_LATE', 3)]).toEqual(['E_7', 'other']);
    expect(errors.sorted()[0]).toEqual({ errorType: 'other', count: 3 });
  });

  it('forgets everything on clear', () => {
    const errors = new ErrorCounts();
    errors.add('a', 2);
    errors.clear();
    expect(errors.sorted()).toEqual([]);
  });
});

describe('boundedErrorType', () => {
  it('cuts long names only', () => {
    expect(boundedErrorType('x'.repeat(64))).toHaveLength(64);
    expect(boundedErrorType('x'.repeat(65))).toBe('x'.repeat(64));
  });
});
