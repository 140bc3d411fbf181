import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Clock } from '../../../src/support/clock.js';
import { type SignalFunction, signal } from '../../../src/triggers/signals/signal.js';
import { SignalPoller } from '../../../src/triggers/signals/signal-poller.js';
import { successRateBelow } from '../../../src/triggers/success-rate-below.js';
import type { Trigger } from '../../../src/triggers/trigger.js';

const START = 1_700_000_000_000;

let clock: Clock & { wall: number };
let faults: string[];
let pollers: SignalPoller[];

beforeEach(() => {
  vi.useFakeTimers({ now: START });
  // The wall clock follows time, and can be set.
  clock = { wall: 0, now: () => Date.now() + clock.wall, monotonic: () => Date.now() - START };
  faults = [];
  pollers = [];
});

afterEach(() => {
  for (const poller of pollers) poller.close();
  vi.useRealTimers();
});

function pollerOf(...triggers: Trigger[]): SignalPoller {
  const onFault = (what: string, error: unknown) => faults.push(`${what}: ${(error as Error).message}`);
  const poller = new SignalPoller({ triggers, clock, onFault });
  pollers.push(poller);
  return poller;
}

const depthOf = (read: SignalFunction) => signal('depth', read, { above: 10 });

const valuesOf = (poller: SignalPoller) =>
  poller.values(clock.now()).map(({ readSince: _, ...value }) => value);

/** Ticks once a second, as a guard does. */
async function tick(poller: SignalPoller, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    poller.poll();
    await vi.advanceTimersByTimeAsync(1_000);
  }
}

/** A source whose reads end when the test ends them. */
function manual() {
  const reads: {
    resolve: (value: unknown) => void;
    reject: (error: unknown) => void;
    signal: AbortSignal;
  }[] = [];
  const read: SignalFunction = ({ signal }) =>
    new Promise((resolve, reject) => {
      reads.push({ resolve: resolve as (value: unknown) => void, reject, signal });
    });
  return { reads, read };
}

describe('SignalPoller', () => {
  it('reads each signal at its own pace, the first time at once', async () => {
    const fast = vi.fn(async () => 1);
    const slow = vi.fn(async () => 2);
    const poller = pollerOf(
      signal('fast', fast, { above: 10, everyMs: 2_000 }),
      successRateBelow(0.9),
      signal('slow', slow, { above: 10, everyMs: 30_000 }),
    );
    expect(valuesOf(poller)).toEqual([]);
    await tick(poller, 1);
    expect([fast, slow].map(({ mock }) => mock.calls.length)).toEqual([1, 1]);
    expect(valuesOf(poller)).toEqual([
      { trigger: 'fast', reading: { value: 1, at: START }, problem: undefined },
      { trigger: 'slow', reading: { value: 2, at: START }, problem: undefined },
    ]);
    await tick(poller, 59);
    expect([fast, slow].map(({ mock }) => mock.calls.length)).toEqual([30, 2]);
    expect(valuesOf(poller)[0]?.reading?.at).toBe(START + 58_000);
    expect(faults).toEqual([]);
  });

  it('dates a reading to when the read began, unless the source gives another time', async () => {
    const { reads, read } = manual();
    const poller = pollerOf(depthOf(read));
    await tick(poller, 3);
    reads[0]?.resolve(5);
    await tick(poller, 13);
    expect(valuesOf(poller)[0]?.reading).toEqual({ value: 5, at: START });
    reads[1]?.resolve({ value: 6, at: START - 40_000 });
    await tick(poller, 15);
    expect(valuesOf(poller)[0]?.reading).toEqual({ value: 6, at: START - 40_000 });
    reads[2]?.resolve({ value: 7, at: START + 3_600_000 });
    await vi.advanceTimersByTimeAsync(0);
    // Nothing is known of the future.
    expect(valuesOf(poller)[0]?.reading).toEqual({ value: 7, at: Date.now() });
  });

  it('measures the age of a reading by the monotonic clock, whatever happens to the wall clock', async () => {
    const read = vi.fn(async () => 1);
    const poller = pollerOf(depthOf(read));
    await tick(poller, 10);
    clock.wall = -3_600_000;
    expect(valuesOf(poller)[0]?.reading?.at).toBe(clock.now() - 10_000);
    expect(poller.values(50_000)[0]?.reading?.at).toBe(40_000);
    await tick(poller, 6);
    expect(read).toHaveBeenCalledTimes(2);
    expect(valuesOf(poller)[0]?.reading?.at).toBe(clock.now() - 1_000);
  });

  it('dates no reading to before the millisecond in which it was read', async () => {
    const monotonic = vi.spyOn(clock, 'monotonic').mockReturnValue(10.2);
    const poller = pollerOf(depthOf(async () => 1));
    await tick(poller, 1);
    // 0.9 ms later, while the wall clock still shows the same one.
    monotonic.mockReturnValue(11.1);
    expect(poller.values(START)[0]?.reading?.at).toBe(START);
  });

  it.each<[unknown, string]>([
    [undefined, 'no data'],
    [null, 'no data'],
    [{}, 'no data'],
    [Number.NaN, 'no data (NaN)'],
    [Number.POSITIVE_INFINITY, 'no data (Infinity)'],
    [{ value: Number.NEGATIVE_INFINITY }, 'no data (-Infinity)'],
  ])(
    'treats %o as no data, which is no fault, and lets the reading before it age',
    async (answer, problem) => {
      const answers = [3, answer];
      const poller = pollerOf(depthOf(async () => answers.shift() as number));
      await tick(poller, 16);
      expect(valuesOf(poller)).toEqual([{ trigger: 'depth', reading: { value: 3, at: START }, problem }]);
      expect(faults).toEqual([]);
    },
  );

  it.each<[unknown, string]>([
    ['7', 'it returned a string instead of a number'],
    [true, 'it returned a boolean instead of a number'],
    [{ value: '7' }, 'it returned a string instead of a number'],
    [{ value: 7, at: 'now' }, 'it returned an invalid time'],
    [{ value: 7, at: Number.NaN }, 'it returned an invalid time'],
  ])('treats %o as a fault', async (answer, problem) => {
    const poller = pollerOf(depthOf(async () => answer as number));
    await tick(poller, 1);
    expect(valuesOf(poller)).toEqual([{ trigger: 'depth', reading: undefined, problem }]);
    expect(faults).toEqual([`the signal depth: ${problem}`]);
  });

  it('reports a fault once until the signal has worked', async () => {
    let broken = true;
    const poller = pollerOf(
      depthOf(() => {
        if (broken) throw new Error('no route');
        return 1;
      }),
    );
    await tick(poller, 60);
    expect(faults).toEqual(['the signal depth: no route']);
    expect(valuesOf(poller)).toEqual([{ trigger: 'depth', reading: undefined, problem: 'no route' }]);
    broken = false;
    await tick(poller, 15);
    expect(valuesOf(poller)).toEqual([
      { trigger: 'depth', reading: { value: 1, at: START + 60_000 }, problem: undefined },
    ]);
    broken = true;
    await tick(poller, 30);
    expect(faults).toHaveLength(2);
    expect(valuesOf(poller)[0]?.reading?.at).toBe(START + 60_000);
  });

  it('abandons a read at its timeout, and starts the next only when it has ended', async () => {
    const { reads, read } = manual();
    const poller = pollerOf(depthOf(read));
    await tick(poller, 5);
    expect(reads[0]?.signal.aborted).toBe(true);
    expect(valuesOf(poller)).toEqual([
      { trigger: 'depth', reading: undefined, problem: 'timed out after 5000 ms' },
    ]);
    // A minute of a source that does not listen costs no second read.
    await tick(poller, 60);
    expect(reads).toHaveLength(1);
    reads[0]?.resolve(99);
    await tick(poller, 1);
    // Too late is not read: the value is a minute old.
    expect(valuesOf(poller)[0]?.reading).toBeUndefined();
    expect(reads).toHaveLength(1);
    await tick(poller, 1);
    expect(reads).toHaveLength(2);
    reads[1]?.resolve(4);
    await tick(poller, 1);
    expect(valuesOf(poller)[0]?.reading?.value).toBe(4);
    expect(faults).toEqual(['the signal depth: timed out after 5000 ms']);
  });

  it('is delayed neither by a hanging signal nor by a broken fault handler', async () => {
    const works = vi.fn(async () => 1);
    const onFault = () => {
      throw new Error('broken handler');
    };
    const triggers = [
      signal('hangs', () => new Promise(() => {}), { above: 10 }),
      signal('fails', () => Promise.reject(new Error('down')), { above: 10 }),
      signal('works', works, { above: 10 }),
    ];
    const poller = new SignalPoller({ triggers, clock, onFault });
    pollers.push(poller);
    await tick(poller, 30);
    expect(works).toHaveBeenCalledTimes(2);
    expect(valuesOf(poller).map(({ reading }) => reading?.value)).toEqual([undefined, undefined, 1]);
  });

  it('cuts long problems', async () => {
    const poller = pollerOf(depthOf(() => Promise.reject(new Error('x'.repeat(10_000)))));
    await tick(poller, 1);
    expect(valuesOf(poller)[0]?.problem).toHaveLength(300);
  });

  it('aborts what is being read when it is closed, reports nothing, and reads no more', async () => {
    const { reads, read } = manual();
    const poller = pollerOf(depthOf(read));
    await tick(poller, 1);
    poller.close();
    expect(reads[0]?.signal.aborted).toBe(true);
    reads[0]?.reject(new Error('aborted'));
    await tick(poller, 60);
    expect(reads).toHaveLength(1);
    expect(faults).toEqual([]);
    expect(valuesOf(poller)).toEqual([]);
    // No timer keeps the process alive.
    expect(vi.getTimerCount()).toBe(0);
  });
});
