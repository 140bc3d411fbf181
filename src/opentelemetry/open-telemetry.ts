import { type Meter, metrics } from '@opentelemetry/api';
import { z } from 'zod';
import type { GuardEvent } from '../model/event.js';
import { entryOf } from '../model/event-table.js';
import type { GuardObserver } from '../model/observer.js';
import type { GuardState } from '../model/state.js';
import { hasMethods, parseConfig } from '../support/config-error.js';
import { version } from '../support/version.js';
import { type Instruments, instrumentsOf } from './instruments.js';

/** Options of {@link openTelemetry}. */
export interface OpenTelemetryOptions {
  /**
   * Where metrics are recorded. @default a meter `unleash-rollout-guard` of the provider that is registered globally when
   * the guard starts or has its first outcome
   */
  readonly meter?: Meter | undefined;
}

/**
 * Shows a guard's outcomes, durations, decisions and states, and where its rollout stands (as `guard.prometheus()`), as OpenTelemetry
 * metrics; for the guard's option `observers`.
 * Without a registered SDK nothing is recorded. Attributes are bounded: flag, project, environment, arm, result, whether the fallback
 * ran, the names of triggers, and at most 50 error types; never targeting keys, messages or attributes of an outcome.
 *
 * @throws ConfigError when the options cannot be used.
 */
export function openTelemetry(options: OpenTelemetryOptions = {}): GuardObserver {
  const { meter } = parseConfig(optionsSchema, options, 'openTelemetry options');
  const states = new GuardStates();
  const blindness = new Blindness();
  let instruments: Instruments | undefined;
  // A meter that is created before a provider is registered records nothing, also afterwards.
  const ready = () => {
    instruments ??= instrumentsOf(meter ?? metrics.getMeter('unleash-rollout-guard', version));
    return instruments;
  };
  return {
    started(flag, figures) {
      ready().flag(flag).figures = figures;
    },
    outcome(outcome, flag) {
      const { duration, flag: observed } = ready();
      const counted = observed(flag).outcomes.of(outcome);
      counted.count += 1;
      const { durationMs } = outcome;
      if (durationMs === undefined || !Number.isFinite(durationMs) || durationMs < 0) return;
      duration.record(durationMs / 1_000, counted.durationAttributes);
    },
    event(event, flag) {
      const { complaints, decisions, reviews, faults, blind, guards, flag: observed } = ready();
      const known = observed(flag);
      const { id, attributes } = known;
      if (event.type === 'complaint') complaints.add(1, { ...attributes, 'rollout_guard.arm': event.arm });
      if (event.type === 'review-opened') {
        const { trigger, dryRun = false } = event.verdict;
        reviews.add(1, { ...attributes, 'rollout_guard.trigger': trigger, 'rollout_guard.dry_run': dryRun });
      }
      if (event.type === 'fault') faults.add(1, attributes);
      // Every process of a fleet reports the decision; the one that made it counts it.
      if (event.type === 'decided' && event.by === undefined) {
        const { action, dryRun, verdicts } = event.decision;
        decisions.add(1, {
          ...attributes,
          'rollout_guard.action': action,
          'rollout_guard.dry_run': dryRun,
          'rollout_guard.trigger': verdicts[0]?.trigger,
        });
      }
      for (const [code, change] of blindness.follow(event, id)) {
        blind.add(change, { ...attributes, 'rollout_guard.reason': code });
      }
      const { before, after } = states.follow(event, id);
      if (after !== before) {
        if (before !== undefined) guards.add(-1, { ...attributes, 'rollout_guard.state': before });
        if (after !== undefined) guards.add(1, { ...attributes, 'rollout_guard.state': after });
      }
      if (event.type !== 'closed') return;
      // Not the guard itself, which nothing else may hold any longer. Another one of this flag may have started meanwhile.
      const last = known.figures?.();
      if (last?.view.isClosed) known.figures = () => last;
    },
  };
}

type Status = GuardState['status'];

/** The states of guards, one for each flag, by the events that they report. */
class GuardStates {
  readonly #states = new Map<string, Status>();
  /** What an earlier run left: it applies once the guard resumes the stop, which a dry run never does. */
  readonly #left = new Map<string, Status>();

  /** The state of the flag's guard before and after an event; undefined while no guard is running. */
  follow(event: GuardEvent, flagId: string) {
    const before = this.#states.get(flagId);
    const next = entryOf(event).state?.(event);
    let after = next === 'closed' ? undefined : (next ?? before);
    if (event.type === 'stopped-here') after = this.#left.get(flagId) ?? after;
    if (next !== undefined) this.#left.delete(flagId);
    if (event.type === 'started' && event.status !== 'armed') this.#left.set(flagId, event.status);
    if (after === undefined) this.#states.delete(flagId);
    else this.#states.set(flagId, after);
    return { before, after };
  }
}

/** Why guards are blind, one for each flag, by the events that they report. */
class Blindness {
  readonly #codes = new Map<string, ReadonlySet<string>>();

  /** The reasons that began and ended with an event. A guard that ends is no longer counted. */
  follow(event: GuardEvent, flagId: string): (readonly [code: string, change: 1 | -1])[] {
    if (event.type !== 'health' && event.type !== 'started' && event.type !== 'closed') return [];
    const before = this.#codes.get(flagId) ?? new Set();
    const after = new Set(event.type === 'health' ? event.reasons.map(({ code }) => code) : []);
    this.#codes.set(flagId, after);
    return [
      ...[...after].filter((code) => !before.has(code)).map((code) => [code, 1] as const),
      ...[...before].filter((code) => !after.has(code)).map((code) => [code, -1] as const),
    ];
  }
}

const METER_METHODS = [
  'createCounter',
  'createHistogram',
  'createUpDownCounter',
  'createObservableCounter',
  'createObservableGauge',
  'addBatchObservableCallback',
];

const optionsSchema = z.strictObject({
  meter: z
    .custom<Meter>(
      (value) => typeof value === 'object' && value !== null && hasMethods(value, METER_METHODS),
      { error: 'a Meter of @opentelemetry/api' },
    )
    .optional(),
});
