/**
 * What the operation wrapper costs around an async no-op: retry, time limit, fallback and recording. The evaluation is
 * not what is measured: it answers at once, and opossum awaits it too. Bar: below opossum with a time limit, in the
 * same run.
 * Run with `npx tsx bench/operation.ts`.
 */
import CircuitBreaker from 'opossum';
import { MemoryOutcomeStore } from '../src/measure/memory-outcome-store.js';
import type { ExposureSink, FlagClient } from '../src/model/flags.js';
import type { Evaluation, Exposure } from '../src/model/shapes.js';
import { guardedOperation } from '../src/operation/guarded-operation.js';
import { systemClock } from '../src/support/clock.js';
import { compare, printComparison } from './harness.js';

const exposure: Exposure = {
  flagKey: 'async-upload',
  arm: 'treatment',
  variant: 'on',
  reason: 'SPLIT',
  errorCode: undefined,
  targetingKey: 'user-1',
  epoch: 1,
  at: Date.now(),
};
const sink: ExposureSink = { flagKey: 'async-upload', exposed: () => exposure };
const evaluation: Promise<Evaluation> = Promise.resolve({ value: true });
const client: FlagClient = { getBooleanDetails: () => evaluation };
const store = new MemoryOutcomeStore({ flagKey: 'async-upload', windowsMs: [60_000, 300_000] });

const GUARDED = 'guard.operation(): evaluation, retry, time limit, fallback, recording';

const noop = async (input: number): Promise<number> => input;
const context = { targetingKey: 'user-1' };

const guarded = guardedOperation<number, number>(
  {
    flagKey: 'async-upload',
    clock: systemClock,
    random: Math.random,
    criticalErrorTypes: new Set(),
    sink,
    client: () => client,
    flags: {},
    isOverridden: () => false,
    toControl: (exposed) => exposed,
    record: (outcome) => store.record(outcome),
    fault: (what, error) => {
      throw new Error(what, { cause: error });
    },
  },
  { treatment: noop, control: noop },
  { retries: 2, timeoutMs: 30_000, retryDelayMs: 100, fallback: true },
);

const evaluate = () => client.getBooleanDetails('async-upload', false, context);

const breaker = new CircuitBreaker(noop, { timeout: 30_000 });

const measured = await compare([
  {
    name: 'evaluation, then opossum with a time limit',
    run: async (iterations) => {
      for (let i = 0; i < iterations; i++) {
        await evaluate();
        await breaker.fire(i);
      }
    },
  },
  {
    name: GUARDED,
    run: async (iterations) => {
      for (let i = 0; i < iterations; i++) await guarded(context, i);
    },
  },
  {
    name: 'of which: the evaluation',
    run: async (iterations) => {
      for (let i = 0; i < iterations; i++) await evaluate();
    },
  },
  {
    name: 'a bare await',
    run: async (iterations) => {
      for (let i = 0; i < iterations; i++) await noop(i);
    },
  },
]);
printComparison('The operation wrapper around an async no-op', measured, { [GUARDED]: { ratio: 1 } });
breaker.shutdown();
