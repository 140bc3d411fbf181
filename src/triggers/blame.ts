import { MAX_UNITS } from '../measure/recent-treatment.js';
import type { Verdict } from '../model/shapes.js';
import type { SettledCounts, Snapshot, WindowSnapshot } from '../model/snapshot.js';
import { fisherTail } from '../statistics/confidence.js';

/** Fewer outcomes of the control are nothing to compare with. */
const MIN_CONTROL = 20;
/** The chance below which a difference of outcomes is no accident. */
const MAX_TAIL = 0.001;

/** Whose fault a broken limit is, and in what it was counted. */
export interface Fault {
  readonly blame: NonNullable<Verdict['blame']>;
  readonly basis: 'units' | 'outcomes';
}

/**
 * Whether a limit that the treatment breaks is its own fault. Where a control runs, it must fail less in the same minutes by more than
 * chance: by the first failures of units, where the treatment has at least 8 of them in the window and their chances are known;
 * by outcomes otherwise, since no draw of two units proves anything. Both by the time of exposure.
 *
 * @param maxFailureRate - The limit, as a failure rate.
 */
export function faultOf(
  window: Pick<WindowSnapshot, 'settled' | 'units'>,
  { blame }: Pick<Snapshot, 'blame'>,
  maxFailureRate: number,
): Fault {
  const basis = basisOf(window);
  const { control } = window.settled;
  if (control.trials < MIN_CONTROL) return { blame: 'treatment', basis };
  const isWorse = basis === 'units' ? blame.logE >= blame.logThreshold : tailOf(window.settled) < MAX_TAIL;
  if (isWorse) return { blame: 'treatment', basis };
  const isShared = control.failures > maxFailureRate * control.trials;
  return { blame: isShared ? 'shared' : 'unproven', basis };
}

/** In what the treatment's failures count: by units where there are enough of them. */
export function basisOf({ settled, units }: Pick<WindowSnapshot, 'settled' | 'units'>): Fault['basis'] {
  const isKnown = 2 * settled.randomised >= settled.treatment.trials;
  return units >= MAX_UNITS && isKnown ? 'units' : 'outcomes';
}

function tailOf({ treatment, control }: SettledCounts): number {
  return fisherTail(treatment, control);
}
