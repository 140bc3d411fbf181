import type { EvaluationDetails, FlagValue, Hook, HookContext, HookHints } from '@openfeature/server-sdk';
import { cameThrough, EXPOSURE_SLOT, type ExposureSink, type ExposureSlot } from '../src/model/flags.js';
import type { Evaluation } from '../src/model/shapes.js';
import { ConfigError } from '../src/support/config-error.js';
import { describeReceived } from '../src/support/config-received.js';

/**
 * Reports the evaluations of their flags to guards. It touches memory only, awaits nothing, and never throws: OpenFeature
 * would serve the default value instead of the flag's if an `after` hook threw.
 *
 * Register it once for all guards, `OpenFeature.addHooks(new OutcomeHook(guard, anotherGuard))`. Several guards may
 * guard the same flag; a guard that is given twice gets each evaluation once. A guard gets the evaluations of its own
 * provider only, whatever the domains: another one may have a flag of the same key.
 */
export class OutcomeHook implements Hook {
  readonly #sinksByFlag: ReadonlyMap<string, readonly Registered[]>;

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

  /**
   * Whether all that it does with the evaluations of the sink's flag is to report them to the sink. Then the sink captures one of its own
   * provider by itself, and the hook counts it as seen.
   *
   * @internal
   */
  reportsOnlyTo(sink: ExposureSink): boolean {
    // What extends or observes the hook may do more.
    const { after, error } = OutcomeHook.prototype;
    if (this.constructor !== OutcomeHook || this.after !== after || this.error !== error) return false;
    const sinks = this.#sinksByFlag.get(sink.flagKey);
    if (sinks === undefined) return true;
    if (sinks.length > 1 || sinks[0]!.sink !== sink) return false;
    sinks[0]!.hasOwn = true;
    return true;
  }
}

/** A guard, and what came of its flag. */
interface Registered {
  readonly sink: ExposureSink;
  /** Evaluations through other providers. */
  foreign: number;
  hasOwn: boolean;
}

/** As many evaluations through other providers, and none of its own, are no coincidence. */
const FOREIGN_TO_REPORT = 50;

function sinksByFlag(guards: ReadonlySet<ExposureSink>): ReadonlyMap<string, readonly Registered[]> {
  const problems = [...guards].flatMap((guard, index) =>
    isSink(guard)
      ? []
      : [{ path: `guards[${index}]`, expected: 'a RolloutGuard', got: describeReceived(guard, ['guards']) }],
  );
  if (guards.size === 0)
    problems.push({ path: 'guards', expected: 'at least one RolloutGuard', got: 'none' });
  if (problems.length > 0) throw new ConfigError('OutcomeHook', problems);
  const sinks = new Map<string, Registered[]>();
  for (const sink of guards) {
    sinks.set(sink.flagKey, [...(sinks.get(sink.flagKey) ?? []), { sink, foreign: 0, hasOwn: false }]);
  }
  return sinks;
}

function isSink(guard: unknown): guard is ExposureSink {
  if (typeof guard !== 'object' || guard === null) return false;
  const { flagKey, exposed } = guard as Partial<ExposureSink>;
  return typeof flagKey === 'string' && typeof exposed === 'function';
}

function capture(
  registered: readonly Registered[],
  context: Readonly<HookContext>,
  evaluation: Evaluation,
  hints: HookHints | undefined,
): void {
  const slot = hints?.[EXPOSURE_SLOT] as ExposureSlot | undefined;
  const targetingKey = context.context.targetingKey;
  let isFirst = true;
  for (const entry of registered) {
    const { sink } = entry;
    try {
      if (!cameThrough(sink.provider, context.providerMetadata)) {
        skip(entry, context.providerMetadata);
        continue;
      }
      entry.hasOwn = true;
      const isOperation = slot !== undefined && (slot.sink === undefined ? isFirst : slot.sink === sink);
      const exposure = sink.exposed(evaluation, targetingKey, isOperation);
      if (isOperation) slot.exposure = exposure;
    } catch {
      // A guard's fault must not reach the caller or the other guards.
    }
    isFirst = false;
  }
}

function skip(entry: Registered, provider: HookContext['providerMetadata']): void {
  entry.foreign++;
  if (entry.foreign === FOREIGN_TO_REPORT && !entry.hasOwn) entry.sink.onlyForeign?.(provider);
}

/** What the caller gets when an evaluation fails; `GENERAL` is OpenFeature's own code for an error without one. */
export function defaultServed(defaultValue: unknown, error: unknown): Evaluation {
  const code = (error as { readonly code?: unknown } | null | undefined)?.code;
  return {
    value: defaultValue,
    variant: undefined,
    reason: 'ERROR',
    errorCode: typeof code === 'string' && code !== '' ? code : 'GENERAL',
  };
}
