/**
 * The five shapes that travel through the guard, in the order in which they are made:
 * `Exposure` → `Outcome` → `Snapshot` → `Verdict` → `Decision`,
 * and the two small interfaces through which the guard sees OpenFeature and Unleash.
 *
 * Times (`at`, `…At`) are milliseconds since 1970. Percentages are 0–100, rates are fractions 0–1.
 */

/** `treatment`: the flag was on for this evaluation. `control`: it was off. */
export type Arm = 'treatment' | 'control';

/** Both arms, for loops. */
export const ARMS: readonly Arm[] = ['treatment', 'control'];

// ── 1. Exposure ──────────────────────────────────────────────────────────────────────────────────

/** What OpenFeature answered for one evaluation; OpenFeature's `EvaluationDetails` fits. */
export interface Evaluation {
  readonly value: unknown;
  readonly variant?: string | undefined;
  readonly reason?: string | undefined;
  readonly errorCode?: string | undefined;
}

/** One evaluation of the guarded flag, captured by the hook. An operation or `track()` completes it. */
export interface Exposure {
  readonly flagKey: string;
  readonly arm: Arm;
  readonly variant: string | undefined;
  /** OpenFeature's reason. Only `SPLIT` means that chance decided the arm. */
  readonly reason: string | undefined;
  readonly errorCode: string | undefined;
  readonly targetingKey: string | undefined;
  /** The guard's epoch in which the flag was evaluated. */
  readonly epoch: number;
  readonly at: number;
}

/** What a hook needs of a guard. */
export interface ExposureSink {
  readonly flagKey: string;
  /** Captures an exposure. Touches memory only and never throws. */
  exposed(evaluation: Evaluation, targetingKey: string | undefined): Exposure;
}

// ── 2. Outcome ───────────────────────────────────────────────────────────────────────────────────

/**
 * How the arm's own code ended. `expected` is the user's own mistake (a missing file) and `aborted` the
 * caller's own abort: both are recorded and neither is judged.
 */
export type Result = 'success' | 'failure' | 'expected' | 'aborted';

/** Values that may travel with an outcome into logs. */
export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** How one operation ended. */
export interface Outcome {
  readonly exposure: Exposure;
  readonly result: Result;
  /** What the user waited, in milliseconds: retries and fallback included. Undefined when nobody measured it. */
  readonly durationMs: number | undefined;
  /** A class or code such as `TimeoutError` or `ECONNRESET`; never a message. */
  readonly errorType: string | undefined;
  /** An error after which the process itself is in doubt: out of memory, disk, file handles. */
  readonly critical: boolean;
  /** The treatment failed and the control then ran for the user. `result` stays the treatment's. */
  readonly fallbackUsed: boolean;
  /** Whether the user got what was asked for, by whichever arm. */
  readonly userSucceeded: boolean;
  /** Attempts of the arm's code, 1 when nothing was retried. */
  readonly attempts: number;
  readonly attributes: Attributes | undefined;
  /** When it ended. */
  readonly at: number;
}

// ── 3. Snapshot ──────────────────────────────────────────────────────────────────────────────────

/** Counts of one arm. `successes + failures` is what triggers judge. */
export interface ArmCounts {
  readonly successes: number;
  readonly failures: number;
  readonly expected: number;
  readonly aborted: number;
  readonly critical: number;
  readonly fallbacks: number;
  /** Successes that needed more than one attempt. */
  readonly retried: number;
  /** Complaints of users who got this arm, counted when they complained. */
  readonly complaints: number;
}

/** Exposures of one arm that are old enough to have an outcome. */
export interface ExposureCounts {
  /** Older than the guard's `outcomeTimeoutMs`. */
  readonly due: number;
  /** Of these, those without an outcome: their code hangs, was never run, or does not report. */
  readonly unreported: number;
}

/** What happened within one sliding window that ends at the snapshot. */
export interface WindowSnapshot {
  readonly windowMs: number;
  readonly treatment: ArmCounts;
  readonly control: ArmCounts;
  /** The exposures that became due within the window. */
  readonly exposures: Readonly<Record<Arm, ExposureCounts>>;
  /** This process's memory within the window; undefined before the first sample. */
  readonly memory: MemorySnapshot | undefined;
}

/** Memory within a window. The lowest sample tells growth from a peak before garbage collection. */
export interface MemorySnapshot {
  /** Undefined until a baseline has been measured. */
  readonly baselineBytes: number | undefined;
  readonly lowestBytes: number;
  /** The time that the samples span, in milliseconds. */
  readonly spanMs: number;
}

/** Quantiles of the successes' durations, in milliseconds. */
export interface LatencySummary {
  readonly count: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

/** One arm since the epoch began. */
export interface ArmTotals extends ArmCounts {
  /** Undefined before the first success. */
  readonly latency: LatencySummary | undefined;
  /** Failures by error type, most frequent first, bounded; the rest is under `other`. */
  readonly errorTypes: readonly { readonly errorType: string; readonly count: number }[];
  readonly lastOutcomeAt: number | undefined;
}

/** Trials of one arm and how many of them failed. */
export interface Trials {
  readonly trials: number;
  readonly failures: number;
}

/**
 * What an anytime-valid test has gathered for one trigger since the epoch began. Logarithms are natural: E itself may be
 * larger than a number can be.
 */
export interface Evidence {
  /** The trigger that asked for it. */
  readonly trigger: string;
  readonly logE: number;
  /** The largest log E so far; a breach is judged by it. */
  readonly peakLogE: number;
  readonly logThreshold: number;
  /** Whether E has ever reached its threshold in this epoch. */
  readonly breached: boolean;
  /** What was compared; for latency, at the quantile with the most evidence, where slow successes are the failures. */
  readonly counts: Readonly<Record<Arm, Trials>>;
  /**
   * Set when no control remains and the treatment is compared with the control of an earlier epoch, whose counts these
   * are: the failure rate that is tolerated at most.
   */
  readonly frozenLimit?: number | undefined;
  /** For latency only, by quantile; empty until the control has enough durations. */
  readonly quantiles?: readonly QuantileEvidence[] | undefined;
  /** Judged outcomes that were left out because chance did not decide their arm. */
  readonly excluded: number;
  /** Judged outcomes that were left out because their targeting key had counted already. */
  readonly repeated: number;
  /** Durations among the counted outcomes that were NaN, infinite or negative. */
  readonly invalid: number;
}

/** The durations of successes, compared at one quantile of the control's. */
export interface QuantileEvidence {
  /** A fraction: 0.9 is the p90. */
  readonly quantile: number;
  readonly logE: number;
  /** The control's, fixed before the open block began; slower successes of the control are its "failures". */
  readonly controlMs: number;
  /** What the treatment's successes are compared with: the tolerated ratio times `controlMs`. */
  readonly limitMs: number;
  /** The treatment's own quantile, for people. */
  readonly treatmentMs: number | undefined;
  readonly counts: Readonly<Record<Arm, Trials>>;
}

/** What was normal at an earlier time: for comparison where no control runs at the same time. */
export interface Baseline {
  /** This process's memory while the flag was off, or at 0 %; undefined before a minute of work. */
  readonly memory?: MemoryReference | undefined;
  /** The latest epoch in which the control had at least 100 outcomes. */
  readonly control?: ControlReference | undefined;
}

/** The memory of a process that had never run the treatment. */
export interface MemoryReference {
  /** The median of the samples. */
  readonly bytes: number;
  readonly samples: number;
  readonly since: number;
  readonly until: number;
}

/** How the control behaved in one epoch. */
export interface ControlReference {
  /** `flag-off`: before or between rollouts, 0 % included. `rollout`: beside a treatment that has replaced it since. */
  readonly during: 'flag-off' | 'rollout';
  readonly since: number;
  /** When the last outcome came. */
  readonly until: number;
  readonly successes: number;
  readonly failures: number;
  readonly complaints: number;
  readonly latency: LatencySummary | undefined;
}

/** Everything a trigger may look at. Plain data: it can be logged, replayed and sent. */
export interface Snapshot {
  readonly flagKey: string;
  readonly at: number;
  readonly epoch: number;
  readonly epochStartedAt: number;
  /** One entry for each window length that a trigger asked for, ascending. */
  readonly windows: readonly WindowSnapshot[];
  /** The current epoch as a whole. */
  readonly total: Readonly<Record<Arm, ArmTotals>>;
  /** The latest critical error of the treatment within the longest window. */
  readonly lastCritical: { readonly errorType: string; readonly at: number } | undefined;
  /** Durations that were NaN, infinite or negative, since the epoch began: counted, never folded in. */
  readonly invalidDurations: number;
  /** One entry for each trigger that asked for evidence. */
  readonly evidence?: readonly Evidence[] | undefined;
  /** What was set as normal; undefined when nothing was. */
  readonly baseline?: Baseline | undefined;
  /** What triggers read elsewhere; one entry for each that has been asked. */
  readonly signals?: readonly SignalValue[] | undefined;
}

/** What was read last for one trigger, outside of the guard. */
export interface SignalValue {
  readonly trigger: string;
  /** The latest number, and when it was true; undefined before the first. It stays when a later read gives none. */
  readonly reading: { readonly value: number; readonly at: number } | undefined;
  /** Why the last read gave no number; undefined when it gave one. */
  readonly problem: string | undefined;
}

// ── 4. Verdict ───────────────────────────────────────────────────────────────────────────────────

/** What one trigger says of one snapshot. */
export interface Verdict {
  /** The trigger's name, for example `success-rate-below`. */
  readonly trigger: string;
  readonly status: 'ok' | 'insufficient-data' | 'breach';
  /** The value that was compared; undefined while there is not enough data. */
  readonly observed: number | undefined;
  readonly threshold: number;
  readonly sampleSize: Readonly<Record<Arm, number>>;
  /** The time that was looked at: the sliding window, or all of the epoch so far; 0 for a signal. */
  readonly windowMs: number;
  /** Age of the newest outcome of the treatment, or of a signal's reading, in milliseconds; undefined when there is none. */
  readonly freshnessMs: number | undefined;
  /** One sentence for a person. */
  readonly message: string;
  /** The figures behind an anytime-valid test; undefined for literal rules. */
  readonly evidence?: VerdictEvidence | undefined;
}

/** Why an anytime-valid test says what it says. */
export interface VerdictEvidence {
  /** The largest E of the epoch: how many times better the data fit a regression than none. Capped at 10³⁰⁰. */
  readonly e: number;
  /** E at which the test breaches: 1/alpha. */
  readonly threshold: number;
  readonly alpha: number;
  readonly treatment: Trials;
  readonly control: Trials;
  /** Of the failure rates, treatment minus control, with an interval that holds at any time. Only with a breach: it is costly. */
  readonly difference?: DifferenceEvidence | undefined;
  readonly excluded: number;
  readonly repeated: number;
  readonly invalid: number;
}

/** A difference of two rates; fractions. */
export interface DifferenceEvidence {
  readonly observed: number;
  readonly lower: number;
  readonly upper: number;
  /** The chance that the interval is right at every moment of the epoch, for example 0.95. */
  readonly confidence: number;
}

/** `rollback`: the guard acts. `review`: a person is told. */
export type Severity = 'rollback' | 'review';

// ── 5. Decision ──────────────────────────────────────────────────────────────────────────────────

/** Why the guard stopped (or, in a dry run, would have stopped) a flag. */
export interface Decision {
  readonly id: string;
  readonly flagKey: string;
  /** `stop`: off in Unleash. `step-back`: back to the percentage of the stage before, or off where that fails. */
  readonly action: 'stop' | 'step-back';
  /** Where a `step-back` leads, 0–100. */
  readonly toPercentage?: number | undefined;
  readonly dryRun: boolean;
  readonly at: number;
  readonly epoch: number;
  /** What Unleash showed when the decision fell; undefined when the strategy has no percentage. */
  readonly rolloutPercentage: number | undefined;
  /** The verdicts that breached. Never empty. */
  readonly verdicts: readonly Verdict[];
  /** Cumulative counts of the epoch at the moment of the decision. */
  readonly counts: Readonly<Record<Arm, ArmCounts>>;
  /** One sentence for a person. */
  readonly reason: string;
}

// ── The guard's two windows on the world ─────────────────────────────────────────────────────────

/** What the guard needs to know of a flag's definition. */
export interface FlagFacts {
  readonly key: string;
  /** On in the environment of the provider's token. */
  readonly enabled: boolean;
  /** The effective percentage, 0–100; undefined when no single percentage describes the strategies. */
  readonly rolloutPercentage: number | undefined;
  /** The name of the strategy that decides, or of the first one. */
  readonly strategy: string | undefined;
  readonly project: string | undefined;
  readonly type: string | undefined;
  /** Equal for two definitions exactly when they roll out alike: on/off, strategies, segments, variants. */
  readonly revision: string;
}

/** What `client.track()` brought. */
export interface TrackedEvent {
  readonly name: string;
  readonly targetingKey: string | undefined;
  readonly value: number | undefined;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Removes a listener. */
export type Unsubscribe = () => void;

/** Where evaluations come from; OpenFeature's `Client` fits. */
export interface FlagClient {
  getBooleanDetails(
    flagKey: string,
    defaultValue: boolean,
    context?: EvaluationContextLike,
    options?: { hookHints?: Readonly<Record<string, unknown>> },
  ): Promise<Evaluation>;
}

/** OpenFeature's evaluation context, by shape. */
export interface EvaluationContextLike {
  readonly targetingKey?: string;
  readonly [key: string]: unknown;
}

/** The flags as the guard sees them; `UnleashProvider` implements it. */
export interface FlagSource {
  /** The definition's facts, or undefined when Unleash has no such flag or nothing has arrived yet. */
  flag(key: string): FlagFacts | undefined;
  /** From now on this process answers `false` for the flag, with reason `DISABLED` and `why` in the metadata. */
  override(key: string, why: string): void;
  /** Lifts a local stop. */
  clearOverride(key: string): void;
  /** True between `stop` and `release`. */
  isOverridden(key: string): boolean;
  /** Called after the flag's definition changed, appeared or vanished. */
  onChange(listener: (key: string) => void): Unsubscribe;
  /** Called for every `client.track()`. */
  onTrack(listener: (event: TrackedEvent) => void): Unsubscribe;
  /** The OpenFeature client that evaluates through this source when the user names none. */
  defaultClient(): FlagClient;
}

/** The key in OpenFeature's hook hints under which an operation waits for its exposure. */
export const EXPOSURE_SLOT = 'rolloutGuardExposure';

/** Filled by the hook, so that an operation completes exactly the exposure that its evaluation opened. */
export interface ExposureSlot {
  /** The guard whose exposure is awaited. Without it the first guard of the flag fills the slot. */
  readonly sink?: ExposureSink | undefined;
  exposure: Exposure | undefined;
}
