import { describe, expect, it } from 'vitest';
import { type SignalOptions, signal } from '../../../src/triggers/signals/signal.js';
import { NOW, snapshotOf } from '../snapshots.js';

const depth = async () => 5;
const context = { signal: new AbortController().signal };

describe('signal', () => {
  it('is a trigger with a source that is read every 15 s, within 5 s, and counts for a minute', async () => {
    const trigger = signal('queue-depth', depth, { above: 1_000 });
    expect(trigger).toMatchObject({
      name: 'queue-depth',
      windowMs: 0,
      threshold: 1_000,
      unit: 'none',
      signal: { everyMs: 15_000, timeoutMs: 5_000, maxAgeMs: 60_000 },
    });
    expect(await trigger.signal.read(context)).toBe(5);
    expect(Object.isFrozen(trigger) && Object.isFrozen(trigger.signal)).toBe(true);
  });

  it.each([
    [{ above: 1_000 }, 1_001, 'breach'],
    [{ above: 1_000 }, 999, 'ok'],
    [{ below: 0 }, -1, 'breach'],
    [{ below: 0 }, 1, 'ok'],
  ] as [SignalOptions, number, string][])('with %o evaluates %d', (options, value, status) => {
    const signals = [{ trigger: 'balance', reading: { value, at: NOW }, problem: undefined }];
    const { evaluate } = signal('balance', depth, options);
    expect(evaluate({ ...snapshotOf(), signals }, NOW).status).toBe(status);
  });

  it('accepts a function that is not async, and passes it the signal', async () => {
    const trigger = signal('aborted', ({ signal }) => Number(signal.aborted), { above: 0 });
    expect(await trigger.signal.read(context)).toBe(0);
    const broken = signal(
      'broken',
      () => {
        throw new Error('down');
      },
      { above: 0 },
    );
    await expect(broken.signal.read(context)).rejects.toThrow('down');
  });

  it('has the unit of its options, in its verdicts too', () => {
    const trigger = signal('queue-depth', depth, { above: 1_000, unit: 'count' });
    expect([trigger.unit, trigger.evaluate(snapshotOf(), NOW).unit]).toEqual(['count', 'count']);
    expect(() => signal('x', depth, { above: 1, unit: 'things' as 'count' })).toThrow(/options\.unit/);
  });

  it('lets a reading count for longer when it is read more rarely', () => {
    expect(signal('slow', depth, { above: 1, everyMs: 60_000 }).signal.maxAgeMs).toBe(240_000);
    expect(signal('slow', depth, { above: 1, everyMs: 60_000, maxAgeMs: 60_001 }).signal.maxAgeMs).toBe(
      60_001,
    );
  });

  it.each<[string, unknown[], RegExp]>([
    ['no limit', ['x', depth, {}], /options\.above: expected a number, or one in below, got nothing/],
    ['no options', ['x', depth], /options: expected an object, got nothing/],
    ['two limits', ['x', depth, { above: 1, below: 0 }], /options\.below: expected either above or below/],
    ['a limit that is text', ['x', depth, { above: '1' }], /options\.above: expected a number, got "1"/],
    [
      'a limit that is NaN',
      ['x', depth, { above: Number.NaN }],
      /options\.above: expected a number, got NaN/,
    ],
    ['no function', ['x', 5, { above: 1 }], /read: expected a function that returns a number.*, got 5/],
    ['a name with spaces', ['Queue depth', depth, { above: 1 }], /name: expected a kebab-case name/],
    ['no time at all', ['x', depth, { above: 1, timeoutMs: 0 }], /options\.timeoutMs: expected a positive/],
    ['an unknown option', ['x', depth, { above: 1, every: 5 }], /options\.every: .*got an unknown option/],
    [
      'readings that are always too old',
      ['x', depth, { above: 1, everyMs: 60_000, maxAgeMs: 60_000 }],
      /options\.maxAgeMs: expected more than everyMs, .*got 60000/,
    ],
  ])('refuses %s', (_, given, message) => {
    expect(() => signal(...(given as Parameters<typeof signal>))).toThrow(message);
  });
});
