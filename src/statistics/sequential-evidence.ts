import type { Evidence, Outcome, Trials } from '../model/shapes.js';
import { parseConfig } from '../support/config-error.js';
import { addCounts, addTrials, BlockTally, NO_COUNTS, NO_TRIALS } from './block-tally.js';
import {
  type BlockCounts,
  type EpochEvidence,
  type EvidenceCounts,
  type EvidenceDelta,
  type EvidenceRequest,
  type EvidenceTestState,
  evidenceRequestSchema,
  type SequentialEvidenceState,
} from './evidence-state.js';
import type { EvidenceSources, EvidenceTest } from './evidence-test.js';
import { FailureRate, FailureRegression } from './failure-evidence.js';
import { LatencyRegression } from './latency.js';
import { OncePerKey } from './once-per-key.js';

/** A trigger and the test that it needs; a trigger fits as it is. */
export interface TestSpec {
  readonly name: string;
  readonly evidence?: EvidenceRequest | undefined;
}

/** Options of {@link SequentialEvidence}. */
interface SequentialEvidenceOptions extends EvidenceSources {
  /** Those without a test are skipped. */
  readonly specs: readonly TestSpec[];
  /** Any 32-bit number, another one for each epoch, the same one in each process of a fleet. */
  readonly seed: number;
}

/** What was counted, but for durations. */
type Counts = Omit<EvidenceDelta, 'latency'>;

const NOTHING: Counts = {
  randomised: NO_COUNTS,
  fullRollout: NO_TRIALS,
  excluded: 0,
  repeated: 0,
  invalid: 0,
};

/** Open blocks close at multiples of this, so that slow traffic counts too. A clock's grid does not depend on results. */
const BLOCK_MS = 60_000;
/** A clock that is this much behind was set back, and is followed; less is outcomes that come out of order. */
const SET_BACK_MINUTES = 60;
/** As for the baseline: fewer outcomes of the control, which may be strays, replace no earlier one. */
const MIN_CONTROL_TRIALS = 100;

/**
 * The evidence of one epoch: which outcomes count, and the tests that they feed.
 *
 * An outcome counts if it is a success or a failure, if its arm was randomised (reason `SPLIT`) or the treatment was at 100 %
 * (`STATIC`), and if it is the first of its targeting key in the epoch. Outcomes without a key count as they are.
 * Comparisons with the control use `SPLIT` alone; a limit uses both; a frozen control is compared with `STATIC`.
 *
 * Memory: 512 KiB for the keys, and a few kilobytes for each test. Recording allocates nothing.
 */
export class SequentialEvidence {
  #sources: EvidenceSources;
  #tests: readonly {
    readonly trigger: string;
    readonly request: EvidenceRequest;
    readonly test: EvidenceTest;
  }[];
  readonly #once: OncePerKey;
  readonly #randomised = new BlockTally();
  readonly #fullRollout = new BlockTally();
  #excluded = 0;
  #repeated = 0;
  #invalid = 0;
  /** The part that {@link takeDelta} has returned, or that came from elsewhere. */
  #taken: Counts = NOTHING;
  #minute: number | undefined;

  /** @throws ConfigError for an invalid request: a trigger of the user's own may have one. */
  constructor(options: SequentialEvidenceOptions) {
    const { latency, frozenControl } = options;
    this.#sources = { latency, frozenControl };
    this.#once = new OncePerKey(options.seed);
    this.#tests = options.specs.flatMap(({ name, evidence }) => {
      if (evidence === undefined) return [];
      const request = parseConfig(evidenceRequestSchema, evidence, `evidence of the trigger ${name}`);
      return { trigger: name, request, test: evidenceTest(request, options) };
    });
  }

  /**
   * The counts of the control, to be frozen for the epochs after this one: those of this epoch if at least 100 outcomes count,
   * or if it began without any; otherwise those that it began with.
   */
  get control(): Trials | undefined {
    const { control } = this.#randomised.toJSON();
    const isEnough = control.trials >= (this.#sources.frozenControl === undefined ? 1 : MIN_CONTROL_TRIALS);
    return isEnough ? control : this.#sources.frozenControl;
  }

  /** Folds in an outcome that ended at `at`. */
  record({ exposure, result, durationMs }: Outcome, at: number): void {
    if (result !== 'success' && result !== 'failure') return;
    this.#advance(at);
    const { arm, reason, targetingKey } = exposure;
    const randomised = reason === 'SPLIT';
    if (!randomised && !(reason === 'STATIC' && arm === 'treatment')) {
      this.#excluded++;
      return;
    }
    // An empty key identifies no user.
    if (!this.#once.first(targetingKey || undefined)) {
      this.#repeated++;
      return;
    }
    const failed = result === 'failure';
    (randomised ? this.#randomised : this.#fullRollout).count(arm, failed);
    const measured = durationMs === undefined || (durationMs >= 0 && durationMs < Number.POSITIVE_INFINITY);
    if (!measured) this.#invalid++;
    for (const { test } of this.#tests) {
      test.observe(arm, failed, randomised, measured ? durationMs : undefined);
    }
  }

  /** One entry for each trigger with a test. */
  snapshot(now: number): readonly Evidence[] {
    this.#advance(now);
    const epoch = this.#epochEvidence();
    return this.#tests.map(({ trigger, test }) => {
      const found = test.snapshot(epoch);
      // Field by field: spreads would cost more than all the rest, and the guard evaluates after every outcome.
      return {
        trigger,
        logE: found.logE,
        peakLogE: found.peakLogE,
        logThreshold: found.logThreshold,
        breached: found.breached,
        counts: found.counts,
        frozenLimit: found.frozenLimit,
        quantiles: found.quantiles,
        excluded: this.#excluded,
        repeated: this.#repeated,
        invalid: this.#invalid,
      };
    });
  }

  /** What was counted here since the previous call. */
  takeDelta(): EvidenceDelta {
    const latency = new Map<string, readonly BlockCounts[]>();
    for (const { test } of this.#tests) {
      if (test instanceof LatencyRegression) latency.set(test.key, test.takeChanges());
    }
    const counts = this.#counts();
    const delta = { ...sumOf(counts, this.#taken, -1), latency: [...latency] };
    this.#taken = counts;
    return delta;
  }

  /**
   * Folds in the counts of another process. Deltas carry no keys: a user counts once in each process that serves this user.
   */
  merge(delta: EvidenceDelta, now: number): void {
    this.#advance(now);
    this.#addRemote(delta);
    for (const { test } of this.#tests) test.merge(delta);
  }

  /** The whole state, for {@link restore}. */
  toJSON(): SequentialEvidenceState {
    return {
      seed: this.#once.seed,
      ...this.#counts(),
      minute: this.#minute,
      frozenControl: this.#sources.frozenControl,
      tests: this.#tests.map(({ trigger, test }) => ({ trigger, state: test.toJSON() })),
      keys: this.#once.toText(),
    };
  }

  /**
   * Resumes from the state of an earlier run of the epoch; call it once. A test resumes if the state has one of the same
   * trigger with the same request, and starts from zero otherwise or if that state is invalid. What was counted here before is
   * added as one block; durations from before are not compared.
   *
   * @returns False, and nothing is restored, when the state is of another epoch (another seed).
   */
  restore(state: SequentialEvidenceState): boolean {
    if (state.seed !== this.#once.seed) return false;
    const here: EvidenceCounts = { ...this.#epochEvidence(), latency: [] };
    const { latency, frozenControl } = this.#sources;
    const sources = { latency, frozenControl: state.frozenControl ?? frozenControl };
    this.#sources = sources;
    this.#tests = this.#tests.map(({ trigger, request, test }) => {
      const saved = state.tests.find(
        (each) => each.trigger === trigger && isSameRequest(each.state.request, request),
      );
      const restored = saved && restoredTest(saved.state, sources);
      restored?.merge(here);
      return { trigger, request, test: restored ?? test };
    });
    this.#addRemote(state);
    if (state.keys !== undefined) this.#once.mergeText(state.keys);
    const minute = this.#minute;
    this.#minute = state.minute;
    if (minute !== undefined) this.#advance(minute * BLOCK_MS);
    return true;
  }

  #epochEvidence(): EpochEvidence {
    return { randomised: this.#randomised.toJSON(), fullRollout: this.#fullRollout.toJSON().treatment };
  }

  #counts(): Counts {
    return {
      ...this.#epochEvidence(),
      excluded: this.#excluded,
      repeated: this.#repeated,
      invalid: this.#invalid,
    };
  }

  /** Adds counts that are in deltas already. */
  #addRemote(counts: Counts): void {
    this.#randomised.add(counts.randomised);
    this.#fullRollout.add({ treatment: counts.fullRollout, control: NO_TRIALS });
    this.#excluded += counts.excluded;
    this.#repeated += counts.repeated;
    this.#invalid += counts.invalid;
    this.#taken = sumOf(this.#taken, counts);
  }

  #advance(now: number): void {
    const minute = Math.floor(now / BLOCK_MS);
    const known = this.#minute;
    if (known !== undefined && minute <= known && known - minute < SET_BACK_MINUTES) return;
    this.#minute = minute;
    for (const { test } of this.#tests) test.closeBlock();
  }
}

function evidenceTest(request: EvidenceRequest, sources: EvidenceSources): EvidenceTest {
  switch (request.test) {
    case 'failure-regression':
      return new FailureRegression(request, sources.frozenControl);
    case 'failure-rate':
      return new FailureRate(request);
    case 'latency-regression':
      return new LatencyRegression(request, sources.latency);
  }
}

/** Both were parsed by one schema, so that their fields have one order. */
function isSameRequest(a: EvidenceRequest, b: EvidenceRequest): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function restoredTest(state: EvidenceTestState, sources: EvidenceSources): EvidenceTest | undefined {
  try {
    const test = evidenceTest(state.request, sources);
    test.restore(state);
    return test;
  } catch {
    return undefined;
  }
}

/** With a factor of −1, what was counted since `b`. */
function sumOf(a: Counts, b: Counts, factor: 1 | -1 = 1): Counts {
  return {
    randomised: addCounts(a.randomised, b.randomised, factor),
    fullRollout: addTrials(a.fullRollout, b.fullRollout, factor),
    excluded: a.excluded + factor * b.excluded,
    repeated: a.repeated + factor * b.repeated,
    invalid: a.invalid + factor * b.invalid,
  };
}
