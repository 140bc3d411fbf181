import { type ArmCounts, NO_COUNTS } from '../../src/model/shapes.js';
import type {
  Evidence,
  ExposureCounts,
  MemorySnapshot,
  Snapshot,
  WindowSnapshot,
} from '../../src/model/snapshot.js';

export const NOW = 1_700_000_000_000;
export const FIVE_MINUTES = 300_000;

export function armCounts(over: Partial<ArmCounts> = {}): ArmCounts {
  return { ...NO_COUNTS, ...over };
}

const NO_EXPOSURES: ExposureCounts = { due: 0, unreported: 0 };

interface Facts {
  readonly windowMs?: number;
  readonly treatment?: Partial<ArmCounts>;
  readonly control?: Partial<ArmCounts>;
  readonly exposures?: { readonly treatment?: ExposureCounts; readonly control?: ExposureCounts };
  readonly memory?: MemorySnapshot;
  readonly lastCritical?: Snapshot['lastCritical'];
  readonly lastOutcomeAt?: number;
  /** By the time of exposure; the window's counts unless given. */
  readonly settled?: WindowSnapshot['settled'];
  /** Distinct units of the treatment, up to 8. @default 8 */
  readonly units?: number;
  readonly blame?: Snapshot['blame'];
  readonly recent?: Snapshot['recent'];
  readonly evidence?: readonly Evidence[];
  readonly details?: Snapshot['details'];
}

/** A snapshot at `NOW` with one window; the totals are those of the window. */
export function snapshotOf(facts: Facts = {}): Snapshot {
  const treatment = armCounts(facts.treatment);
  const control = armCounts(facts.control);
  const window: WindowSnapshot = {
    windowMs: facts.windowMs ?? FIVE_MINUTES,
    treatment,
    control,
    exposures: {
      treatment: facts.exposures?.treatment ?? NO_EXPOSURES,
      control: facts.exposures?.control ?? NO_EXPOSURES,
    },
    settled: facts.settled ?? {
      treatment: { trials: treatment.successes + treatment.failures, failures: treatment.failures },
      control: { trials: control.successes + control.failures, failures: control.failures },
      randomised: treatment.successes + treatment.failures,
    },
    units: facts.units ?? 8,
    memory: facts.memory,
  };
  const rest = { latency: undefined, errorTypes: [] };
  return {
    flagKey: 'async-upload',
    at: NOW,
    epoch: 1,
    epochStartedAt: NOW - 600_000,
    windows: [window],
    total: {
      treatment: { ...treatment, ...rest, lastOutcomeAt: facts.lastOutcomeAt },
      control: { ...control, ...rest, lastOutcomeAt: undefined },
    },
    lastCritical: facts.lastCritical,
    invalidDurations: 0,
    blame: facts.blame ?? { logE: 0, logThreshold: Math.log(20) },
    recent: facts.recent ?? { trials: 0, failures: 0, since: undefined },
    evidence: facts.evidence,
    details: facts.details,
  };
}
