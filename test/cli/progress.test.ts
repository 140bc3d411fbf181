import { describe, expect, it } from 'vitest';
import { ProgressBar } from '../../src/cli/progress.js';

function barOn(isTTY: boolean) {
  const written: string[] = [];
  let now = 0;
  const bar = new ProgressBar({ isTTY, write: (text) => written.push(text) }, () => now);
  return { bar, written, pass: (ms: number) => (now += ms) };
}

describe('ProgressBar', () => {
  it('writes a line every ten seconds where there is no terminal, and nothing in a short run', () => {
    const { bar, written, pass } = barOn(false);
    bar.show(1, 4, 'rollouts');
    bar.show(4, 4, 'rollouts');
    expect(written).toEqual([]);
    pass(10_000);
    bar.show(2, 4, 'rollouts');
    bar.show(3, 4, 'rollouts');
    bar.clear();
    expect(written).toEqual(['2/4 rollouts\n']);
  });

  it('draws at most ten times a second, and the end in any case', () => {
    const { bar, written, pass } = barOn(true);
    bar.show(1, 4, 'rollouts');
    bar.show(2, 4, 'rollouts');
    pass(100);
    bar.show(3, 4, 'rollouts');
    bar.show(4, 4, 'rollouts');
    expect(written.map((text) => text.match(/\d\/\d/)?.[0])).toEqual(['1/4', '3/4', '4/4']);
    expect(written.at(-1)).toBe(`\r${'█'.repeat(30)} 4/4 rollouts`);
    bar.clear();
    expect(written.at(-1)).toBe('\r\u001b[K');
  });
});
