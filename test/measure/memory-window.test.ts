import { describe, expect, it } from 'vitest';
import { MemoryWindow } from '../../src/measure/memory-window.js';
import { START } from './outcomes.js';

const MINUTE = 60_000;

/** One sample per second. */
function windowOf(samples: readonly number[]): MemoryWindow {
  const window = new MemoryWindow(MINUTE);
  for (const [second, bytes] of samples.entries()) window.add(bytes, START + second * 1000);
  return window;
}

describe('MemoryWindow', () => {
  it('is not moved by a peak, but by what stays', () => {
    const peak = [...new Array(60).fill(100), ...new Array(59).fill(900), 100];
    expect(windowOf(peak).snapshot(undefined)?.lowestBytes).toBe(100);
    const leak = [...new Array(60).fill(100), ...new Array(62).fill(900)];
    expect(windowOf(leak).snapshot(undefined)?.lowestBytes).toBe(900);
  });

  it('spans what its samples span, up to its length', () => {
    expect(windowOf([]).snapshot(5)).toBeUndefined();
    expect(windowOf([7]).snapshot(5)).toEqual({ baselineBytes: 5, lowestBytes: 7, spanMs: 0 });
    expect(windowOf(new Array(60).fill(7)).snapshot(5)?.spanMs).toBe(59_000);
    expect(windowOf(new Array(61).fill(7)).snapshot(5)?.spanMs).toBe(MINUTE);
    expect(windowOf(new Array(600).fill(7)).snapshot(5)?.spanMs).toBe(MINUTE);
  });

  it('expires while idle, and then has to be spanned again', () => {
    const window = windowOf(new Array(100).fill(7));
    const end = START + 99_000;
    window.advance(end + MINUTE + 1000);
    expect(window.snapshot(5)).toBeUndefined();
    window.add(8, end + 2 * MINUTE);
    expect(window.snapshot(5)).toEqual({ baselineBytes: 5, lowestBytes: 8, spanMs: 0 });
    window.add(9, end + 5 * MINUTE);
    expect(window.snapshot(5)).toEqual({ baselineBytes: 5, lowestBytes: 9, spanMs: 0 });
  });

  it('starts over after the clock was set back by more than the window', () => {
    const window = windowOf(new Array(100).fill(7));
    window.add(6, START - 60 * MINUTE);
    window.advance(START - 60 * MINUTE);
    expect(window.snapshot(5)).toBeUndefined();
    window.add(8, START - 60 * MINUTE);
    expect(window.snapshot(5)).toEqual({ baselineBytes: 5, lowestBytes: 8, spanMs: 0 });
  });
});
