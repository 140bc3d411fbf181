import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault, World } from '../fault.js';

const HOUR_MS = 3_600_000;

export const noFault: Fault = { name: 'no fault', area: 'none', isShort: true, inject: () => {} };

export const processFaults: readonly Fault[] = [
  freeze({ name: 'frozen for 5 s, with requests under way', forMs: 5_000, isShort: true, withIo: true }),
  freeze({ name: 'frozen for 5 s, at rest', forMs: 5_000, isShort: false, withIo: false }),
  freeze({ name: 'frozen for 2 min, with requests under way', forMs: 120_000, isShort: false, withIo: true }),
  freeze({ name: 'frozen for 2 min, at rest', forMs: 120_000, isShort: false, withIo: false }),
  {
    name: 'killed (kill -9) and started again',
    area: 'process',
    isShort: true,
    breaks: 'after',
    inject: restart,
    // What was not flushed is lost: a second of the four. A service is slow in its first second, with or without a guard.
    expect: { counted: 0.6, delayed: 0.2 },
  },
  {
    name: 'killed while Unleash refuses its stop',
    area: 'process',
    isShort: true,
    inject: ({ admin }) => admin.inject({ type: 'unreachable' }),
    heal: async (world) => {
      await restart(world);
      await world.admin.heal();
    },
    expect: { message: /"stop-failed"/ },
  },
  {
    name: 'one of two is frozen while the fleet stops, and wakes after an operator has turned the flag on',
    area: 'process',
    isShort: true,
    needs: ['redis-server'],
    setup: { redis: 'single' },
    breaks: 'before the operator',
    lastsMs: 0,
    inject: ({ processes }) => processes[0]!.freeze(),
    heal: ({ processes }) => processes[0]!.thaw(),
    expect: { delayed: 1 },
  },
];

export const clockFaults: readonly Fault[] = [
  clock({ name: 'the clock is set back by an hour', aheadMs: -HOUR_MS }),
  clock({ name: 'the clock is set forward by an hour', aheadMs: HOUR_MS }),
  {
    name: 'the clock is set back by an hour while Unleash refuses the stop',
    area: 'clock',
    isShort: true,
    inject: ({ admin }) => admin.inject({ type: 'status', status: 503 }),
    heal: async ({ admin, processes }) => {
      setClock(processes, -HOUR_MS);
      await admin.heal();
    },
    expect: { message: /"stop-failed"/ },
  },
  {
    name: 'the clock is 10 s behind that of Unleash',
    area: 'clock',
    isShort: true,
    breaks: 'after',
    inject: ({ processes }) => setClock(processes, -10_000),
  },
];

function freeze(options: {
  readonly name: string;
  readonly forMs: number;
  readonly isShort: boolean;
  readonly withIo: boolean;
}): Fault {
  const { name, forMs, isShort, withIo } = options;
  return {
    name,
    area: 'process',
    isShort,
    // Answers that take longer than the tick, so that some are always under way.
    setup: withIo ? { backendMs: 500, timeoutMs: 2_000 } : {},
    breaks: 'after',
    lastsMs: forMs,
    inject: async ({ processes, load }) => {
      // What waits in the socket when the process wakes is the matter of the other form.
      load.pause();
      if (!withIo) await until(() => load.inFlight === 0);
      processes[0]!.freeze();
    },
    heal: ({ processes, load }) => {
      processes[0]!.thaw();
      load.start();
    },
    expect: { delayed: 1 },
  };
}

function clock({ name, aheadMs }: { readonly name: string; readonly aheadMs: number }): Fault {
  return {
    name,
    area: 'clock',
    breaks: 'after',
    inject: ({ processes }) => setClock(processes, aheadMs),
  };
}

function setClock(processes: World['processes'], aheadMs: number): void {
  for (const process of processes) process.send({ type: 'clock', aheadMs });
}

async function restart({ processes, load }: World): Promise<void> {
  load.excuse();
  await processes[0]!.kill();
  await processes[0]!.start();
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(10);
}
