import type { EvaluationDetails, FlagValue, Hook, HookContext, HookHints } from '@openfeature/server-sdk';
import { EXPOSURE_SLOT, type ExposureSink, type ExposureSlot } from '../src/model/flags.js';
import type { Evaluation } from '../src/model/shapes.js';
import { ConfigError } from '../src/support/config-error.js';
import { describeReceived } from '../src/support/config-received.js';

/**
 * Reports the evaluations of their flags to guards. It touches memory only, awaits nothing, and never throws: OpenFeature
 * would serve the default value instead of the flag's if an `after` hook threw.
 *
 * Register it once for all guards, `OpenFeature.addHooks(new OutcomeHook(guard, anotherGuard))`. Several guards may
 * guard the same flag; a guard that is given twice gets each evaluation once.
 */
export class OutcomeHook implements Hook {
  readonly #sinksByFlag: ReadonlyMap<string, readonly ExposureSink[]>;

  /**
   * @param guards - Guards, or arrays of guards; at least one.
   * @throws ConfigError without a guard, or for a value that is not a guard.
   */
  constructor(...guards: readonly (ExposureSink | readonly ExposureSink[])[]) {
    this.#sinksByFlag = sinksByFlag(new Set(guards.flat()));
  }

  /** The flag was evaluated: the caller gets `details.value`. */
  after(context: Readonly<HookContext>, details: EvaluationDetails<FlagValue>, hints?: HookHints): void {
    const sinks = this.#sinksByFlag.get(context.flagKey);
    if (sinks !== undefined) capture(sinks, context, details, hints);
  }

  /** The evaluation failed: the caller gets the default value, whatever an earlier `after` reported. */
  error(context: Readonly<HookContext>, error: unknown, hints?: HookHints): void {
    const sinks = this.#sinksByFlag.get(context.flagKey);
    if (sinks !== undefined) capture(sinks, context, defaultServed(context.defaultValue, error), hints);
  }
}

function sinksByFlag(guards: ReadonlySet<ExposureSink>): ReadonlyMap<string, readonly ExposureSink[]> {
  const problems = [...guards].flatMap((guard, index) =>
    isSink(guard)
      ? []
      : [{ path: `guards[${index}]`, expected: 'a RolloutGuard', got: describeReceived(guard, ['guards']) }],
  );
  if (guards.size === 0)
    problems.push({ path: 'guards', expected: 'at least one RolloutGuard', got: 'none' });
  if (problems.length > 0) throw new ConfigError('OutcomeHook', problems);
  const sinks = new Map<string, ExposureSink[]>();
  for (const guard of guards) sinks.set(guard.flagKey, [...(sinks.get(guard.flagKey) ?? []), guard]);
  return sinks;
}

function isSink(guard: unknown): guard is ExposureSink {
  if (typeof guard !== 'object' || guard === null) return false;
  const { flagKey, exposed } = guard as Partial<ExposureSink>;
  return typeof flagKey === 'string' && typeof exposed === 'function';
}

function capture(
  sinks: readonly ExposureSink[],
  context: Readonly<HookContext>,
  evaluation: Evaluation,
  hints: HookHints | undefined,
): void {
  const slot = hints?.[EXPOSURE_SLOT] as ExposureSlot | undefined;
  const targetingKey = context.context.targetingKey;
  for (let index = 0; index < sinks.length; index++) {
    const sink = sinks[index]!;
    try {
      const exposure = sink.exposed(evaluation, targetingKey);
      if (slot !== undefined && (slot.sink === undefined ? index === 0 : slot.sink === sink)) {
        slot.exposure = exposure;
      }
    } catch {
      // A guard's fault must not reach the caller or the other guards.
    }
  }
}

/** What the caller gets when an evaluation fails; `GENERAL` is OpenFeature's own code for an error without one. */
function defaultServed(defaultValue: unknown, error: unknown): Evaluation {
  const code = (error as { readonly code?: unknown } | null | undefined)?.code;
  return {
    value: defaultValue,
    variant: undefined,
    reason: 'ERROR',
    errorCode: typeof code === 'string' && code !== '' ? code : 'GENERAL',
  };
}
