import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SharedLog } from '../../../src/guard/several/shared-log.js';

let lines: (readonly [level: string, fields: object, message: string])[];
let log: SharedLog;

beforeEach(() => {
  vi.useFakeTimers();
  lines = [];
  const level = (name: string) => (fields: object, message: string) =>
    void lines.push([name, fields, message]);
  log = new SharedLog({
    debug: level('debug'),
    info: level('info'),
    warn: level('warn'),
    error: level('error'),
  });
});

afterEach(() => {
  vi.useRealTimers();
});

const messages = () => lines.map(([, , message]) => message);

function fault(
  flagKey: string,
  what: string,
  cause: string,
  folder: string | false = `logs/${flagKey}`,
): void {
  log.of(flagKey, folder).error({ type: 'fault', what, message: cause }, `Fault (${what}): ${cause}`);
}

describe('the log of several flags', () => {
  it('writes the first line at once, and the same of others as one line a second later', () => {
    for (const key of ['a', 'b', 'c'])
      fault(key, 'writing the journal', `logs/${key}/journal.json is read-only.`);
    fault('b', 'writing the rollups', 'logs/b/rollups is read-only.');
    expect(lines).toEqual([
      [
        'error',
        expect.objectContaining({ flagKey: 'a', type: 'fault' }),
        'Fault (writing the journal): logs/a/journal.json is read-only.',
      ],
    ]);
    vi.advanceTimersByTime(1_000);
    expect(lines.slice(1)).toEqual([
      [
        'error',
        { type: 'fault', flagKeys: ['b', 'c'], flags: 2 },
        'a and 2 other flags: Fault (writing the journal, writing the rollups): logs/* is read-only.',
      ],
    ]);
  });

  it('writes each line of one flag when no other has the same', () => {
    fault('a', 'writing the journal', 'The disk is full.');
    vi.advanceTimersByTime(60_000);
    fault('a', 'writing the journal', 'The disk is full.');
    expect(messages()).toEqual(Array(2).fill('Fault (writing the journal): The disk is full.'));
  });

  it('writes what fails of one flag alone for one reason as one more line', () => {
    fault('a', 'writing the journal', 'The disk is full.');
    fault('a', 'writing the rollups', 'The disk is full.');
    vi.advanceTimersByTime(1_000);
    expect(messages().slice(1)).toEqual(['a: Fault (writing the rollups): The disk is full.']);
  });

  it('writes less often while it goes on, and at once when it begins again', () => {
    for (let second = 0; second < 200; second++) {
      fault(`flag-${second}`, 'writing the journal', 'The disk is full.');
      vi.advanceTimersByTime(1_000);
    }
    expect(lines.length).toBeLessThan(8);
    vi.advanceTimersByTime(120_000);
    const before = lines.length;
    fault('a', 'writing the journal', 'The disk is full.');
    expect(lines.slice(before).map(([, , message]) => message)).toEqual([
      'Fault (writing the journal): The disk is full.',
    ]);
  });

  it('never joins what guards do to their flags, nor what has different reasons', () => {
    for (const key of ['a', 'b']) {
      log.of(key, false).error({ type: 'decided' }, 'The flag is being turned off: errors.');
      log.of(key, false).info({ type: 'started' }, 'The guard runs.');
      fault(key, 'writing the journal', `The disk of ${key === 'a' ? 'one' : 'another'} is full.`);
    }
    log.close();
    expect(lines).toHaveLength(6);
    expect(lines.map(([, fields]) => (fields as { flagKey: string }).flagKey)).toEqual([
      'a',
      'a',
      'a',
      'b',
      'b',
      'b',
    ]);
  });

  it('joins what works again, whatever it was, and lines that name the flag', () => {
    for (const key of ['one', 'two', 'three']) {
      log.of(key, false).info({ type: 'recovered' }, `Works again (writing), after ${key.length} faults.`);
      log.of(key, false).warn({ flagKey: key }, `Nothing stops ${key}.`);
    }
    log.close();
    expect(messages().slice(2)).toEqual([
      'one and 2 other flags: Works again (writing), after 3 faults.',
      'one and 2 other flags: Nothing stops one.',
    ]);
  });

  it('writes every line when it is closed', () => {
    log.close();
    for (const key of ['a', 'b']) fault(key, 'writing the journal', 'The disk is full.');
    expect(messages()).toHaveLength(2);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('writes what it has counted when it is closed, and leaves no timer', () => {
    for (const key of ['a', 'b']) fault(key, 'writing the journal', 'The disk is full.');
    log.close();
    expect(messages().at(-1)).toBe('a and 1 other flag: Fault (writing the journal): The disk is full.');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('gathers a bounded number of different lines', () => {
    for (let reason = 0; reason < 500; reason++) fault('a', 'writing', `Reason ${reason}.`);
    expect(lines).toHaveLength(500);
    expect(vi.getTimerCount()).toBeLessThanOrEqual(100);
  });
});
