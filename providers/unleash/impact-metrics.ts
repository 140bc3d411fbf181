import type { Unleash } from 'unleash-client';
import { z } from 'zod';
import type { GuardObserver } from '../../src/model/observer.js';
import { ARMS, type Arm, type Outcome } from '../../src/model/shapes.js';
import { parseConfig } from '../../src/support/config-error.js';
import type { UnleashProvider } from './provider.js';

type ImpactMetrics = Unleash['impactMetrics'];

/** In seconds, up to what an upload may take; each is one number in what is sent. */
const BUCKETS_S = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

/**
 * Counts a guard's outcomes as impact metrics of Unleash, through the provider's own connection; for the guard's option
 * `observers`. Impact metrics have no labels of their own, so the flag and the arm are part of the names; what is not a
 * letter, digit or `_` becomes `_`:
 *
 * - `rollout_guard_async_upload_treatment_successes`, `…_failures` and, for the treatment, `…_fallbacks`: counters of the
 *   counted outcomes,
 * - `rollout_guard_async_upload_treatment_duration_seconds`: a histogram of the successes.
 *
 * unleash-client sends them with its usage metrics, so `disableMetrics` sends none. Outcomes before the provider's first
 * data and after `onClose` are not counted.
 *
 * @throws ConfigError when it is not given an {@link UnleashProvider}.
 */
export function unleashImpactMetrics(provider: Pick<UnleashProvider, 'impactMetrics'>): GuardObserver {
  parseConfig(providerSchema, provider, 'unleashImpactMetrics');
  const flags = new Map<string, FlagMetrics>();
  return {
    outcome(outcome) {
      const { impactMetrics } = provider;
      if (impactMetrics === undefined) return;
      const { flagKey } = outcome.exposure;
      let flag = flags.get(flagKey);
      // A provider that was closed and reopened has another client, without these metrics.
      if (flag?.metrics !== impactMetrics) {
        flag = new FlagMetrics(flagKey, impactMetrics);
        flags.set(flagKey, flag);
      }
      flag.count(outcome);
    },
  };
}

/** The metrics of one flag in one client. */
class FlagMetrics {
  readonly metrics: ImpactMetrics;
  readonly #names: Readonly<Record<Arm, ReturnType<typeof namesOf>>>;

  constructor(flagKey: string, metrics: ImpactMetrics) {
    this.metrics = metrics;
    this.#names = { treatment: namesOf(flagKey, 'treatment'), control: namesOf(flagKey, 'control') };
    for (const arm of ARMS) {
      const { successes, failures, duration } = this.#names[arm];
      metrics.defineCounter(successes, `Successful operations of the ${arm} of ${flagKey}`);
      metrics.defineCounter(failures, `Failed operations of the ${arm} of ${flagKey}`);
      metrics.defineHistogram(
        duration,
        `Seconds that successful operations of the ${arm} of ${flagKey} took`,
        BUCKETS_S,
      );
    }
    metrics.defineCounter(
      this.#names.treatment.fallbacks,
      `Failures of the treatment of ${flagKey} after which the control ran for the user`,
    );
  }

  count({ exposure, result, durationMs, fallbackUsed }: Outcome): void {
    const names = this.#names[exposure.arm];
    if (result === 'failure') {
      this.metrics.incrementCounter(names.failures);
      if (fallbackUsed) this.metrics.incrementCounter(names.fallbacks);
    }
    if (result !== 'success') return;
    this.metrics.incrementCounter(names.successes);
    if (durationMs === undefined || !Number.isFinite(durationMs) || durationMs < 0) return;
    this.metrics.observeHistogram(names.duration, durationMs / 1_000);
  }
}

function namesOf(flagKey: string, arm: Arm) {
  const start = `rollout_guard_${flagKey.replace(/\W/g, '_')}_${arm}`;
  return {
    successes: `${start}_successes`,
    failures: `${start}_failures`,
    fallbacks: `${start}_fallbacks`,
    duration: `${start}_duration_seconds`,
  };
}

const providerSchema = z.custom<Pick<UnleashProvider, 'impactMetrics'>>(
  (value) => typeof value === 'object' && value !== null && 'impactMetrics' in value,
  { error: 'an UnleashProvider' },
);
