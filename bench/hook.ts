/**
 * What the hook adds to an evaluation: its body for a guarded flag, with a sink that does next to nothing, and for a
 * flag that no guard watches. Run with `npx tsx bench/hook.ts`.
 */
import type { EvaluationDetails, HookContext } from '@openfeature/server-sdk';
import { OutcomeHook } from '../hooks/outcome-hook.js';
import { EXPOSURE_SLOT, type ExposureSink, type ExposureSlot } from '../src/model/flags.js';
import type { Exposure } from '../src/model/shapes.js';
import { compare, printComparison } from './harness.js';

let exposures = 0;
const exposure: Exposure = {
  flagKey: 'async-upload',
  arm: 'treatment',
  variant: 'on',
  reason: 'SPLIT',
  errorCode: undefined,
  targetingKey: 'user',
  epoch: 1,
  at: 0,
};
const sink = (flagKey: string): ExposureSink => ({
  flagKey,
  exposed() {
    exposures++;
    return exposure;
  },
});

/** 64 contexts, so that nothing can be worked out once and for all. */
const contexts = (flagKey: string) =>
  Array.from(
    { length: 64 },
    (_, index) =>
      ({
        flagKey,
        defaultValue: false,
        context: { targetingKey: `user-${index}` },
      }) as unknown as HookContext,
  );
const details = {
  flagKey: 'async-upload',
  value: true,
  variant: 'on',
  reason: 'SPLIT',
  flagMetadata: {},
} as EvaluationDetails<boolean>;
const error = Object.assign(new Error('no such flag'), { code: 'FLAG_NOT_FOUND' });
const guarded = contexts('async-upload');
const unguarded = contexts('search');
const slot: ExposureSlot = { exposure: undefined };
const hints = Object.freeze({ [EXPOSURE_SLOT]: slot as never });

const alone = sink('async-upload');
const hook = new OutcomeHook(alone);
const pair = new OutcomeHook(sink('async-upload'), sink('async-upload'));

const measurements = await compare([
  {
    name: 'the sink alone',
    run(iterations) {
      for (let i = 0; i < iterations; i++) alone.exposed(details, guarded[i & 63]!.context.targetingKey);
    },
  },
  {
    name: 'after, guarded flag',
    run(iterations) {
      for (let i = 0; i < iterations; i++) hook.after(guarded[i & 63]!, details);
    },
  },
  {
    name: 'after, guarded flag, an operation waits',
    run(iterations) {
      for (let i = 0; i < iterations; i++) hook.after(guarded[i & 63]!, details, hints);
    },
  },
  {
    name: 'after, two guards of the flag',
    run(iterations) {
      for (let i = 0; i < iterations; i++) pair.after(guarded[i & 63]!, details);
    },
  },
  {
    name: 'after, another flag',
    run(iterations) {
      for (let i = 0; i < iterations; i++) hook.after(unguarded[i & 63]!, details);
    },
  },
  {
    name: 'error, guarded flag',
    run(iterations) {
      for (let i = 0; i < iterations; i++) hook.error(guarded[i & 63]!, error);
    },
  },
]);
printComparison(
  'Hook body',
  measurements,
  Object.fromEntries(measurements.slice(1).map(({ name }) => [name, { ns: 50 }])),
);
if (exposures === 0 || slot.exposure !== exposure)
  throw new Error('The hook captured nothing: nothing was measured');
