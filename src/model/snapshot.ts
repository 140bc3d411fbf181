import type { Baseline, LatencySummary } from './baseline.js';
import { type Arm, type ArmCounts, type Attributes, countsOf, type Decision, type Trials } from './shapes.js';

/** Exposures of one arm that are old enough to have an outcome. */
export interface ExposureCounts {
  /** Older than the guard's `outcomeTimeoutMs`. */
  readonly due: number;
  /** Of these, those without an outcome: their code hangs, was never run, or does not report. */
  readonly unreported: number;
}

/** What happened within one sliding window that ends at the snapshot. */
export interface WindowSnapshot {
  /** The length of the window, in milliseconds. */
  readonly windowMs: number;
  /** The treatment's outcomes that ended within it. */
  readonly treatment: ArmCounts;
  /** The control's outcomes that ended within it. */
  readonly control: ArmCounts;
  /** The exposures that became due within the window. */
  readonly exposures: Readonly<Record<Arm, ExposureCounts>>;
  /** By the time of their exposure, so that arms of different speed compare: what has settled. */
  readonly settled: SettledCounts;
  /** Distinct units of the treatment within the window; counted up to 8. */
  readonly units: number;
  /** This process's memory within the window; undefined before the first sample. */
  readonly memory: MemorySnapshot | undefined;
}

/**
 * Outcomes by the time of their exposure. An exposure has settled when every earlier one has, and it has ended or has been open for the
 * settling time; still open is a failure then.
 */
export interface SettledCounts {
  /** Trials and failures of the treatment. */
  readonly treatment: Trials;
  /** Trials and failures of the control. */
  readonly control: Trials;
  /** Of the treatment's trials, those whose chance is known. */
  readonly randomised: number;
}

/** Memory within a window. Its lowest sample distinguishes growth from a peak before garbage collection. */
export interface MemorySnapshot {
  /** Undefined until a baseline has been measured. */
  readonly baselineBytes: number | undefined;
  /** The least memory of the process that was measured within the window, in bytes. */
  readonly lowestBytes: number;
  /** The time that the samples span, in milliseconds. */
  readonly spanMs: number;
}

/** One arm since the epoch began. */
export interface ArmTotals extends ArmCounts {
  /** Undefined before the first success. */
  readonly latency: LatencySummary | undefined;
  /** Failures by error type, most frequent first, bounded; the rest is under `other`. */
  readonly errorTypes: readonly { readonly errorType: string; readonly count: number }[];
  /** When its latest outcome ended, milliseconds since 1970; undefined before the first. */
  readonly lastOutcomeAt: number | undefined;
}

/** Everything that triggers evaluate. Plain data: it can be logged, replayed and sent. */
export interface Snapshot {
  /** The flag, as it is named in Unleash. */
  readonly flagKey: string;
  /** When it was taken, milliseconds since 1970. */
  readonly at: number;
  /** The number of the epoch. */
  readonly epoch: number;
  /** When the epoch began, milliseconds since 1970. */
  readonly epochStartedAt: number;
  /** One entry for each window length that a trigger needs, ascending. */
  readonly windows: readonly WindowSnapshot[];
  /** The current epoch as a whole. */
  readonly total: Readonly<Record<Arm, ArmTotals>>;
  /** The latest critical error of the treatment within the longest window. */
  readonly lastCritical: { readonly errorType: string; readonly at: number } | undefined;
  /** Durations that were NaN, infinite or negative, since the epoch began: counted, never folded in. */
  readonly invalidDurations: number;
  /** One entry for each trigger that needs evidence. */
  readonly evidence?: readonly Evidence[] | undefined;
  /** Whether failures are the treatment's fault. */
  readonly blame: Blame;
  /** The last 20 counted outcomes of the treatment, at most a day old: what a window is too short for at a low rate. */
  readonly recent: RecentOutcomes;
  /** Failing units and a sample of other outcomes, with what the application said of them. Computed when it is first read. */
  readonly details?: OutcomeDetails | undefined;
  /** What was normal at an earlier time; undefined without a record of it. */
  readonly baseline?: Baseline | undefined;
  /** What triggers read elsewhere; one entry for each that has been read. */
  readonly signals?: readonly SignalValue[] | undefined;
}

/** What was read last for one trigger, outside of the guard. */
export interface SignalValue {
  /** The trigger's name. */
  readonly trigger: string;
  /** The latest number, and when it was true; undefined before the first. It stays when a later read gives none. */
  readonly reading: { readonly value: number; readonly at: number } | undefined;
  /** Why the last read gave no number; undefined when it gave one. */
  readonly problem: string | undefined;
  /** When the latest readings in a row were true that the trigger counts, the oldest first. */
  readonly row?: readonly number[] | undefined;
  /** Since when it has been read without a long break. */
  readonly readSince?: number | undefined;
}

/** Trials of both arms since a moment. */
export interface TrialsSince {
  /** Milliseconds since 1970; undefined for "from the start". */
  readonly at?: number | undefined;
  /** Trials and failures of each arm. */
  readonly counts: Readonly<Record<Arm, Trials>>;
}

/**
 * What a sequential test has gathered for one trigger since the rollout began, through all percentages. Logarithms are natural: E
 * itself may be larger than a number can be.
 */
export interface Evidence {
  /** The trigger that needs it. */
  readonly trigger: string;
  /** Now. */
  readonly logE: number;
  /** The largest log E so far. */
  readonly peakLogE: number;
  /** From here on log E is a breach. */
  readonly logThreshold: number;
  /** E has reached its threshold, and the difference since the harm began is large enough, in this epoch. */
  readonly breached: boolean;
  /** Outcomes since the rollout began, and those with the event (for latency: slower than the limit). */
  readonly counts: Readonly<Record<Arm, Trials>>;
  /** Outcomes of units without an event before, since the harm most likely began. */
  readonly since: TrialsSince;
  /** Set while no control runs beside the treatment, which is then compared with the control as it was. */
  readonly frozen?: FrozenControl | undefined;
  /** For a limit: the same test by outcomes, where `logE` and `breached` are by units, each of which speaks until its first failure. */
  readonly byOutcomes?: Pick<Evidence, 'logE' | 'breached' | 'since'> | undefined;
  /** For latency only, by quantile; empty until the control has enough durations. */
  readonly quantiles?: readonly QuantileEvidence[] | undefined;
  /** For a metric of the application's own only. */
  readonly metric?: MetricFigures | undefined;
  /** For the sample ratio only. */
  readonly assignment?: Assignment | undefined;
  /** Units whose first event the test rests on. */
  readonly events: number;
  /** How often the test has begun anew because most outcomes came from units with an event; from 1. */
  readonly generation: number;
  /** Outcomes that were left out because chance did not decide their arm, or the chance is unknown. */
  readonly excluded: number;
  /** Events that were left out because their unit had one before. */
  readonly repeated: number;
  /** Durations among the outcomes that were NaN, infinite or negative. */
  readonly invalid: number;
}

/** The control when it ended. */
export interface FrozenControl {
  /** Its trials and failures. */
  readonly counts: Trials;
  /** When it ended, milliseconds since 1970. */
  readonly at: number;
  /** The rate that is tolerated at most: an upper bound of the control's, times the tolerated ratio. 1 or more: too few outcomes. */
  readonly maxRate: number;
}

/** A metric of the application's own since the rollout began. */
export interface MetricFigures {
  /** Events that came, whether or not they could be used. */
  readonly tracked: number;
  /** Of these, those of users of whom no evaluation was known, or too old a one. */
  readonly unattributed: number;
  /** Of these, those whose value was missing, no number, infinite or too low. */
  readonly invalid: number;
  /** The metric in each arm. */
  readonly arms: Readonly<Record<Arm, MetricArm>>;
  /** The comparison with the most evidence; undefined until the control has enough values. */
  readonly compared:
    | {
        /** Whether values on the bad side of the limit are counted, or those on the good side. */
        readonly role: 'worse' | 'better';
        /** Of the control's values, a fraction; undefined for a conversion. */
        readonly quantile: number | undefined;
        readonly limit: number;
      }
    | undefined;
}

/** A metric in one arm. */
export interface MetricArm {
  /** Units whose time is over; one that comes back after it counts again. Without a value, only those of a conversion count. */
  readonly trials: number;
  /** The conversion rate, or the median of the latest values; undefined while there is none. */
  readonly value: number | undefined;
}

/** How units were put into the arms. */
export interface Assignment {
  /** Distinct units that were seen, or a sample of them, chosen by hash. */
  readonly units: number;
  /** Of these, those in the treatment. */
  readonly treatment: number;
  /** The treatment's units that their chances let expect. */
  readonly expected: number;
  /** Units seen since the percentage last changed. */
  readonly epochUnits: number;
  /** Of these, those that were seen in both arms. */
  readonly inBothArms: number;
}

/**
 * Whether failures are the treatment's fault: the evidence of the event test for first failures, with an odds ratio of 1, which
 * every store keeps.
 */
export interface Blame {
  /** The evidence now; its natural logarithm. */
  readonly logE: number;
  /** From here on a broken limit is the treatment's fault: `10·g(g + 1)` in generation g. */
  readonly logThreshold: number;
}

/** The durations of successes, compared at one quantile of the control's. */
export interface QuantileEvidence {
  /** A fraction: 0.9 is the p90. */
  readonly quantile: number;
  /** The evidence at this quantile; its natural logarithm. */
  readonly logE: number;
  /** The evidence has reached its threshold in this epoch. */
  readonly breached: boolean;
  /** The control's, as fixed last; slower successes of the control are its "failures". */
  readonly controlMs: number;
  /** What the treatment's successes are compared with: the tolerated ratio times `controlMs`. */
  readonly limitMs: number;
  /** The treatment's own quantile, for display. */
  readonly treatmentMs: number | undefined;
  /** Successes of each arm, and those that were slower than the limit. */
  readonly counts: Readonly<Record<Arm, Trials>>;
}

/** The latest counted outcomes of the treatment. */
export interface RecentOutcomes extends Trials {
  /** When the oldest of them ended; undefined when there is none. */
  readonly since: number | undefined;
}

/** What the application said of one outcome. */
export interface OutcomeDetail {
  /** When it ended, milliseconds since 1970. */
  readonly at: number;
  /** The arm that it belongs to. */
  readonly arm: Arm;
  /** Undefined for an outcome that is no failure. */
  readonly errorType?: string | undefined;
  /** The values that the application added; undefined without any. */
  readonly attributes?: Attributes | undefined;
}

/** Bounded lists, newest last. */
export interface OutcomeDetails {
  /** First failures of units. */
  readonly failures: readonly OutcomeDetail[];
  /** A sample of the outcomes that are no failures. */
  readonly others: readonly OutcomeDetail[];
}

/** Error types of each arm that a decision has: it is in the journal, the audit log and the store of a fleet. */
const MAX_DECISION_ERROR_TYPES = 10;

/** What a decision has of the epoch's outcomes. */
export function countedIn({
  treatment,
  control,
}: Snapshot['total']): Pick<Decision, 'counts' | 'errorTypes'> {
  const typesOf = ({ errorTypes }: ArmTotals) => errorTypes.slice(0, MAX_DECISION_ERROR_TYPES);
  return {
    counts: { treatment: countsOf(treatment), control: countsOf(control) },
    errorTypes: { treatment: typesOf(treatment), control: typesOf(control) },
  };
}
