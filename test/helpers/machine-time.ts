import { monitorEventLoopDelay } from 'node:perf_hooks';

/**
 * What is promised on an idle machine, and five times what this process waits for its turn from now on: other programs have
 * the machine too.
 *
 * @returns the limit, in milliseconds, when what it is for is over.
 */
export function timeLimit(promisedMs: number): () => number {
  const turns = monitorEventLoopDelay({ resolution: 10 });
  turns.enable();
  return () => {
    turns.disable();
    return promisedMs + (5 * turns.max) / 1e6;
  };
}

/** How much of a processor's time this process used meanwhile, in milliseconds: other programs of the machine take none of it. */
export async function processorMs(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}
