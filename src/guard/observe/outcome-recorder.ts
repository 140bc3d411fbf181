import type { OpenFolder } from '../../journal/guard-folder.js';
import type { JournalEntry } from '../../journal/journal.js';
import { OutcomeLog } from '../../log/outcome-log.js';
import { isPlainSuccess } from '../../log/outcome-sample.js';
import { armOf, ExposureLedger } from '../../measure/exposure-ledger.js';
import type { MemoryOutcomeStore } from '../../measure/memory-outcome-store.js';
import type { StoreDump } from '../../measure/outcome-delta.js';
import type { Evaluation, Exposure, Outcome } from '../../model/shapes.js';
import type { GuardContext } from '../context/guard-context.js';
import type { GuardFleet } from '../guard-fleet.js';
import type { GuardLoop } from '../guard-loop.js';
import type { GuardMachine } from '../guard-machine.js';
import { storeFor } from '../options/rules.js';
import { Observations } from './observation-counts.js';
import { TreatmentVariants } from './treatment-variants.js';

/** As many evaluations as on, in spite of an override, are not those that were under way when it began. */
const UNDONE_TO_REPORT = 20;

/** Records exposures and outcomes: in the store, in the log on disk and for observers. Touches memory only. */
export class OutcomeRecorder {
  /** The latest exposure of each user. */
  readonly ledger: ExposureLedger;
  readonly observations = new Observations();
  readonly #context: GuardContext;
  readonly #own: MemoryOutcomeStore;
  readonly #fleet: GuardFleet;
  readonly #machine: GuardMachine;
  readonly #loop: GuardLoop;
  /** Undefined where every variant is the treatment. */
  readonly #variants: TreatmentVariants | undefined;
  /** Undefined when there is no log, or nowhere to write it. */
  #log: OutcomeLog | undefined;
  /** What earlier runs counted, from `open()` to `start()`. */
  #counted: StoreDump | undefined;
  /** Evaluations as on, in spite of the override. */
  #undone = 0;

  /** @param own - What this process records; the log's checkpoint contains it. */
  constructor(
    context: GuardContext,
    own: MemoryOutcomeStore,
    fleet: GuardFleet,
    machine: GuardMachine,
    loop: GuardLoop,
  ) {
    const { flagKey, treatmentVariants, folder, log, clock, random, records, maxTrackedUsers } = context;
    this.#context = context;
    this.#own = own;
    this.#fleet = fleet;
    this.#machine = machine;
    this.#loop = loop;
    this.#variants = treatmentVariants && new TreatmentVariants(treatmentVariants, context);
    this.ledger = new ExposureLedger(maxTrackedUsers);
    if (folder === false || log === false) return;
    const dump = () => own.dump(clock.now());
    const outcomeLog = new OutcomeLog({
      ...log,
      flagKey,
      clock,
      random,
      dump,
      activity: () => own.dumpActivity(clock.now()),
      onFault: records.fault,
      onWorks: records.works,
    });
    records.listen((event) => {
      if (event.type === 'rollout-changed') outcomeLog.rollout(event.epoch, event.rolloutPercentage);
      if (event.type === 're-armed') outcomeLog.rollout(event.epoch, this.#percentage());
    });
    this.#log = outcomeLog;
  }

  /** Outcomes that are missing in the log, because it could not be written. */
  get droppedLines(): number {
    return this.#log?.droppedLines ?? 0;
  }

  /** An evaluation becomes an exposure, whose outcome is awaited. */
  exposed(given: Evaluation, targetingKey: string | undefined, isOperation: boolean): Exposure {
    const known = withKnownReason(given);
    const evaluation = this.#variants?.translated(known, targetingKey) ?? known;
    const { chance, contextId } = evaluation.flagMetadata ?? {};
    // The default is nobody's draw.
    const isDrawn = evaluation.errorCode === undefined;
    return this.#expose({
      flagKey: this.#context.flagKey,
      arm: armOf(evaluation),
      variant: evaluation.variant,
      reason: evaluation.reason,
      errorCode: evaluation.errorCode,
      targetingKey,
      chance: isDrawn && typeof chance === 'number' && chance > 0 && chance < 1 ? chance : undefined,
      unit: typeof contextId === 'string' && contextId !== '' ? contextId : undefined,
      isOperation,
      epoch: this.#machine.epoch,
      at: this.#context.clock.now(),
    });
  }

  #expose(exposure: Exposure): Exposure {
    if (exposure.arm === 'treatment') this.#checkOverride(exposure);
    this.ledger.remember(exposure);
    this.#own.expose(exposure);
    this.observations.exposed(exposure);
    return exposure;
  }

  /** The flag was stopped after this exposure of the treatment: awaits an outcome of the control instead. */
  toControl(exposure: Exposure): Exposure {
    this.#own.withdraw(exposure);
    this.observations.withdrawn();
    return this.#expose({ ...exposure, arm: 'control', reason: 'DISABLED', chance: undefined });
  }

  record(outcome: Outcome): void {
    const { records } = this.#context;
    this.observations.reported();
    try {
      this.#own.record(outcome);
      this.observations.recorded(outcome);
      this.#log?.record(outcome);
    } catch (error) {
      records.fault('recording an outcome', error);
    }
    // An error that may end the process does not wait for the next flush.
    if (outcome.critical && outcome.exposure.arm === 'treatment') this.#fleet.flushSoon();
    records.outcome(outcome);
    this.#loop.onOutcome(!isPlainSuccess(outcome));
  }

  /** Repairs what a crash left of the log, and reads what earlier runs counted. */
  async open(left: JournalEntry | undefined, epoch: number, folder: OpenFolder | undefined): Promise<void> {
    if (folder === undefined) {
      this.#log = undefined;
      return;
    }
    this.#counted = await this.#log?.open({
      folder: folder.path,
      mode: folder.mode,
      permit: folder.permit,
      epoch: left?.epoch ?? epoch,
      epochStartedAt: left?.epochStartedAt,
      oldestEpoch: left?.oldestEpoch,
      emptyStore: (startedAt) => storeFor(this.#context, startedAt),
      now: this.#context.clock.now(),
    });
  }

  #checkOverride({ flagKey }: Exposure): void {
    const { flags, records } = this.#context;
    if (!flags.isOverridden(flagKey)) return;
    this.#undone++;
    if (this.#undone < UNDONE_TO_REPORT) return;
    records.fault(
      'evaluations in spite of the override',
      `${flagKey} is stopped in this process and is still evaluated as on: a MultiProvider prefers the answer of another ` +
        'provider. Wrap it in a GuardedProvider, and give the guard that one as "flags".',
    );
  }

  /** Gives the store what earlier runs counted, and begins to write; in the turn in which the epoch was restored. */
  start(epoch: number): void {
    if (this.#counted !== undefined) this.#own.restore(this.#counted, this.#context.clock.now());
    this.#counted = undefined;
    this.#log?.rollout(epoch, this.#percentage());
    this.#log?.start();
  }

  /** Resolves when everything recorded so far has been written, or could not be. */
  async flush(): Promise<void> {
    await this.#log?.flush();
  }

  async close(): Promise<void> {
    await this.#log?.close();
  }

  /** What Unleash shows, 0–100, on or off; undefined when that is not known, or there is no single one. */
  #percentage(): number | undefined {
    return this.#context.flagFacts()?.rolloutPercentage;
  }
}

/** A provider that a `GuardedProvider` wraps has reasons of its own, which need not be how the flag was drawn. */
function withKnownReason(evaluation: Evaluation): Evaluation {
  const reason = evaluation.flagMetadata?.unleashReason;
  return typeof reason === 'string' ? { ...evaluation, reason } : evaluation;
}
