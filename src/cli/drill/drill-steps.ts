/** The steps of a drill, in their order. */
export const DRILL_STEPS = [
  'client token',
  'flag',
  'turn on',
  'delivery',
  'failure',
  'decision',
  'off',
  'seen',
  'clean-up',
] as const;

/** One of {@link DRILL_STEPS}. */
export type DrillStepName = (typeof DRILL_STEPS)[number];

/** One step, and how it ended. */
export interface DrillStep {
  readonly step: DrillStepName;
  readonly status: 'ok' | 'failed';
  /** What was proven, or what is wrong and what to do. */
  readonly message: string;
  readonly tookMs: number;
}

/** The times after the first failing call, in milliseconds. */
export interface DrillTimes {
  /** The guard had decided, and this process served the control. */
  readonly decidedMs: number;
  /** Unleash had accepted `off`, and showed it when it was read back. */
  readonly offMs: number;
  /** The provider had seen the definition that is off. It polls each second. */
  readonly seenMs: number;
}

/** What a drill found. */
export interface DrillResult {
  /** The whole path works, and nothing was left behind. */
  readonly ok: boolean;
  readonly wasInterrupted: boolean;
  readonly flagKey: string;
  readonly steps: readonly DrillStep[];
  /** Undefined when a step failed. */
  readonly times: DrillTimes | undefined;
}

/** What is shown while a drill runs. */
export interface DrillListener {
  readonly onBegin?: ((step: DrillStepName) => void) | undefined;
  readonly onEnd?: ((step: DrillStep) => void) | undefined;
}
