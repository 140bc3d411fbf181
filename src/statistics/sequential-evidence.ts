import type { Evidence, Outcome } from '../model/shapes.js';
import { type BlockCounts, BlockTally, countsSince } from './block-tally.js';
import type { EvidenceRequest } from './evidence-request.js';
import {
  type EpochEvidence,
  type EvidenceCounts,
  type EvidenceSources,
  type EvidenceTest,
  type EvidenceTestState,
  isSameRequest,
} from './evidence-test.js';
import { evidenceTest, restoredTest } from './evidence-tests.js';
import { LatencyRegression } from './latency-regression-test.js';
import { OncePerKey, type OncePerKeyState } from './once-per-key.js';
import type { Trials } from './parameters.js';

/** A trigger, or what is needed of it here. */
export interface TestSpec {
  readonly name: string;
  readonly evidence?: EvidenceRequest | undefined;
}

/** What {@link SequentialEvidence} is made of. */
export interface SequentialEvidenceOptions extends EvidenceSources {
  /** Triggers; those that ask for nothing are left out. */
  readonly specs: readonly TestSpec[];
  /** Any 32-bit number, another one for each epoch, the same one in each process of a fleet. */
  readonly seed: number;
}

/** What one process counted since its previous delta. Plain JSON without targeting keys: a bit tells nobody's name. */
export interface EvidenceDelta extends EvidenceCounts {
  readonly excluded: number;
  readonly repeated: number;
  readonly invalid: number;
  /** Bits of {@link OncePerKey} that were set since. */
  readonly keys: OncePerKeyState['words'];
}

/** {@link SequentialEvidence} as plain JSON without targeting keys, for the next run. */
export interface SequentialEvidenceState extends EpochEvidence {
  readonly seed: number;
  readonly excluded: number;
  readonly repeated: number;
  readonly invalid: number;
  /** The minute, counted from 1970, in which the open blocks began; undefined before the first outcome. */
  readonly minute?: number | undefined;
  readonly frozenControl?: Trials | undefined;
  readonly tests: readonly { readonly trigger: string; readonly state: EvidenceTestState }[];
  /** Which keys have counted, as {@link OncePerKey.toText} has them. */
  readonly keys?: string | undefined;
}

/** Open blocks close at multiples of this, so that slow traffic is judged too. A clock's grid knows no results. */
const BLOCK_MS = 60_000;
/** A clock that is this much behind was set back, and is followed; less is outcomes that come out of order. */
const SET_BACK_MINUTES = 60;
/** As for the baseline: fewer outcomes of the control, which may be strays, replace no earlier one. */
const MIN_CONTROL_TRIALS = 100;

/**
 * The evidence of one epoch: which outcomes count, and the tests that they feed.
 *
 * An outcome counts if it is judged (a success or a failure), if chance decided its arm (reason `SPLIT`) or everyone had the
 * treatment (`STATIC`), and if it is the first of its targeting key in the epoch. Outcomes without a key count as they are.
 * Comparisons with the control take `SPLIT` alone; a limit takes both; a frozen control is compared with `STATIC`.
 *
 * Memory: 512 KiB for the keys (twice that in a fleet), and a few kilobytes for each test. Recording allocates nothing.
 */
export class SequentialEvidence {
  readonly #latency: EvidenceSources['latency'];
  #tests: readonly { readonly trigger: string; readonly test: EvidenceTest }[];
  readonly #once: OncePerKey;
  #frozenControl: Trials | undefined;
  readonly #split = new BlockTally();
  readonly #everyone = new BlockTally();
  #excluded = 0;
  #repeated = 0;
  #invalid = 0;
  /** What {@link takeDelta} has given away, or what came from elsewhere. */
  readonly #takenSplit = new BlockTally();
  readonly #takenEveryone = new BlockTally();
  readonly #taken = { excluded: 0, repeated: 0, invalid: 0 };
  #minute: number | undefined;

  /** @throws {@link ConfigError} when a request has a parameter that cannot be. */
  constructor(options: SequentialEvidenceOptions) {
    this.#latency = options.latency;
    this.#frozenControl = options.frozenControl;
    this.#once = new OncePerKey({ seed: options.seed });
    this.#tests = options.specs.flatMap(({ name, evidence }) =>
      evidence === undefined ? [] : [{ trigger: name, test: evidenceTest(evidence, options) }],
    );
  }

  /**
   * What the control did, to be frozen for the epochs after this one. What this epoch began with, if there was such a
   * thing, unless the control had at least 100 outcomes that count.
   */
  get control(): Trials | undefined {
    const { control } = this.#split.toJSON();
    const isEnough = control.trials >= (this.#frozenControl === undefined ? 1 : MIN_CONTROL_TRIALS);
    return isEnough ? control : this.#frozenControl;
  }

  /** Folds in an outcome that ended at `at`. */
  record({ exposure, result, durationMs }: Outcome, at: number): void {
    if (result !== 'success' && result !== 'failure') return;
    this.#advance(at);
    const { arm, reason, targetingKey } = exposure;
    const split = reason === 'SPLIT';
    if (!split && !(reason === 'STATIC' && arm === 'treatment')) {
      this.#excluded++;
      return;
    }
    // An empty key names nobody.
    if (!this.#once.first(targetingKey || undefined)) {
      this.#repeated++;
      return;
    }
    const failed = result === 'failure';
    (split ? this.#split : this.#everyone).count(arm, failed);
    const measured = durationMs === undefined || (durationMs >= 0 && durationMs < Number.POSITIVE_INFINITY);
    if (!measured) this.#invalid++;
    for (const { test } of this.#tests) {
      test.observe(arm, failed, split, measured ? durationMs : undefined);
    }
  }

  /** One entry for each trigger that asked. */
  snapshot(now: number): readonly Evidence[] {
    this.#advance(now);
    const epoch: EpochEvidence = {
      split: this.#split.toJSON(),
      everyone: this.#everyone.toJSON().treatment,
    };
    return this.#tests.map(({ trigger, test }) => {
      const found = test.snapshot(epoch);
      // Field by field: spreads would take longer than all the rest, and the guard judges after every outcome.
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
  takeDelta({ keys = true }: { readonly keys?: boolean } = {}): EvidenceDelta {
    const [split, everyone] = [this.#split.toJSON(), this.#everyone.toJSON()];
    const latency = new Map<string, readonly BlockCounts[]>();
    for (const { test } of this.#tests) {
      if (test instanceof LatencyRegression) latency.set(test.key, test.takeChanges());
    }
    const taken = this.#taken;
    const delta = {
      split: countsSince(split, this.#takenSplit.toJSON()),
      everyone: countsSince(everyone, this.#takenEveryone.toJSON()).treatment,
      latency: [...latency],
      excluded: this.#excluded - taken.excluded,
      repeated: this.#repeated - taken.repeated,
      invalid: this.#invalid - taken.invalid,
      keys: keys ? this.#once.takeChanges() : [],
    };
    this.#takenSplit.add(delta.split);
    this.#takenEveryone.add({ treatment: delta.everyone, control: NONE });
    taken.excluded = this.#excluded;
    taken.repeated = this.#repeated;
    taken.invalid = this.#invalid;
    return delta;
  }

  /**
   * Folds in what another process counted: its keys count here no more. A key that both saw before either was told
   * counts twice.
   */
  merge(delta: EvidenceDelta, now: number): void {
    this.#advance(now);
    this.#once.mergeWords(delta.keys);
    this.#addRemote(delta);
    for (const { test } of this.#tests) test.merge(delta);
  }

  /** All that is held, for {@link restore}; with the keys unless they are not wanted. */
  toJSON({ keys = true }: { readonly keys?: boolean } = {}): SequentialEvidenceState {
    return {
      seed: this.#once.seed,
      split: this.#split.toJSON(),
      everyone: this.#everyone.toJSON().treatment,
      excluded: this.#excluded,
      repeated: this.#repeated,
      invalid: this.#invalid,
      minute: this.#minute,
      frozenControl: this.#frozenControl,
      tests: this.#tests.map(({ trigger, test }) => ({ trigger, state: test.toJSON() })),
      keys: keys ? this.#once.toText() : undefined,
    };
  }

  /**
   * Goes on from what an earlier run of the epoch held; call it once. Each test goes on if the state has one of the same
   * trigger that was asked the same, and is as it was otherwise. What was counted here before is added as one block;
   * durations of before are not compared. A test whose state cannot be begins anew.
   *
   * @returns False, and nothing is taken up, when the state is of another epoch (another seed).
   */
  restore(state: SequentialEvidenceState): boolean {
    if (state.seed !== this.#once.seed) return false;
    const here: EvidenceCounts = {
      split: this.#split.toJSON(),
      everyone: this.#everyone.toJSON().treatment,
      latency: [],
    };
    const sources = { latency: this.#latency, frozenControl: state.frozenControl ?? this.#frozenControl };
    this.#frozenControl = sources.frozenControl;
    this.#tests = this.#tests.map(({ trigger, test }) => {
      const { request } = test.toJSON();
      const saved = state.tests.find(
        (each) => each.trigger === trigger && isSameRequest(each.state.request, request),
      );
      const restored = saved && continued(saved.state, sources);
      restored?.merge(here);
      return { trigger, test: restored ?? test };
    });
    this.#addRemote(state);
    if (state.keys !== undefined) this.#once.mergeText(state.keys);
    const minute = this.#minute;
    this.#minute = state.minute;
    if (minute !== undefined) this.#advance(minute * BLOCK_MS);
    return true;
  }

  /** Adds counts that others know of. */
  #addRemote(counts: Omit<EvidenceDelta, 'keys' | 'latency'>): void {
    for (const tally of [this.#split, this.#takenSplit]) tally.add(counts.split);
    for (const tally of [this.#everyone, this.#takenEveryone]) {
      tally.add({ treatment: counts.everyone, control: NONE });
    }
    this.#excluded += counts.excluded;
    this.#repeated += counts.repeated;
    this.#invalid += counts.invalid;
    this.#taken.excluded += counts.excluded;
    this.#taken.repeated += counts.repeated;
    this.#taken.invalid += counts.invalid;
  }

  #advance(now: number): void {
    const minute = Math.floor(now / BLOCK_MS);
    const known = this.#minute;
    if (known !== undefined && minute <= known && known - minute < SET_BACK_MINUTES) return;
    this.#minute = minute;
    for (const { test } of this.#tests) test.closeBlock();
  }
}

function continued(state: EvidenceTestState, sources: EvidenceSources): EvidenceTest | undefined {
  try {
    return restoredTest(state, sources);
  } catch {
    return undefined;
  }
}

const NONE: Trials = { trials: 0, failures: 0 };
