import { describe, expect, it } from 'vitest';
import { SerialQueue } from '../../../examples/upload-service/serial-queue.js';

describe('SerialQueue', () => {
  const never = new AbortController().signal;

  it('runs one task at a time, in order, and continues after one that fails', async () => {
    const queue = new SerialQueue();
    const log: string[] = [];
    const task =
      (name: string, fails = false) =>
      async () => {
        log.push(`${name} begins`);
        await new Promise((resolve) => setImmediate(resolve));
        log.push(`${name} ends`);
        if (fails) throw new Error(name);
        return name;
      };
    const results = await Promise.allSettled([
      queue.run(task('a'), never),
      queue.run(task('b', true), never),
      queue.run(task('c'), never),
    ]);
    expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  it('never runs a task that was aborted while it waited', async () => {
    const queue = new SerialQueue();
    const abort = new AbortController();
    const first = queue.run(() => new Promise((resolve) => setImmediate(resolve)), never);
    const waiting = queue.run(async () => 'ran', abort.signal);
    abort.abort(new Error('too late'));
    await first;
    await expect(waiting).rejects.toThrow('too late');
  });
});
