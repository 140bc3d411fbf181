import type { Snapshot } from '../../model/snapshot.js';
import type { StageProgress } from '../../model/stage.js';
import { formatCount, formatRate, formatSpan, formatThreshold } from '../../support/wording.js';

/** Fewer outcomes, in a shorter time, are no rate. */
const MIN_OUTCOMES = 5;
const MIN_RATE_MS = 10_000;
/** The window that shows the present rate is at least so long, where there is one. */
const PRESENT_MS = 300_000;
/** So many times longer than usual without an outcome: they have stopped coming. */
const SILENT_GAPS = 5;

/** When a stage will have what it needs. */
interface StageForecast {
  /** In milliseconds; undefined when it is not known, or nothing is missing. */
  readonly remainingMs: number | undefined;
  /** `312 of 500 outcomes, about 40 min at this rate`, or else the stage's own message. */
  readonly text: string;
}

/** Forecasts when a stage has its outcomes and its time, if they go on as they do. Pure. */
export function forecastStage(progress: StageProgress, snapshot: Snapshot): StageForecast {
  const { stage, status, outcomes, elapsedMs, message } = progress;
  const { minOutcomes, minDurationMs = 0 } = stage;
  const outcomesLeft = Math.max(0, Math.max(minOutcomes, 1) - outcomes);
  const timeLeftMs = Math.max(0, minDurationMs - elapsedMs);
  if (status !== 'collecting' || (outcomesLeft === 0 && timeLeftMs === 0)) {
    return { remainingMs: undefined, text: message };
  }
  const { successRate = 1 } = progress;
  const isFailing = successRate < stage.minSuccessRate;
  const perMs = outcomesLeft === 0 ? 1 : presentRate(snapshot, outcomes, elapsedMs);
  // As it is now, more outcomes would not meet the stage, however soon they come.
  const isKnown = typeof perMs === 'number' && !isFailing;
  const remainingMs = isKnown ? Math.max(outcomesLeft / perMs, timeLeftMs) : undefined;
  const isSlower = isKnown && outcomesLeft / perMs > timeLeftMs;
  const parts = [
    ...(outcomesLeft > 0
      ? [`${formatCount(outcomes)} of ${formatCount(Math.max(minOutcomes, 1))} outcomes`]
      : []),
    ...(timeLeftMs > 0 ? [`${formatSpan(elapsedMs)} of ${formatSpan(minDurationMs)}`] : []),
    ...(isFailing
      ? [
          `${formatRate(successRate, stage.minSuccessRate)} succeed, ${formatThreshold(stage.minSuccessRate)} needed`,
        ]
      : []),
    ...(perMs === 'none' ? ['no outcomes at present'] : []),
    ...(remainingMs === undefined
      ? []
      : [`about ${formatSpan(remainingMs)} ${isSlower ? 'at this rate' : 'left'}`]),
  ];
  return { remainingMs, text: parts.join(', ') };
}

/** The treatment's counted outcomes per millisecond; `unknown` when it is too early to say. */
function presentRate(snapshot: Snapshot, outcomes: number, elapsedMs: number): number | 'none' | 'unknown' {
  const { windows, total, at } = snapshot;
  const window = windows.find(({ windowMs }) => windowMs >= PRESENT_MS) ?? windows.at(-1);
  // A window may contain outcomes of the percentage before.
  if (window !== undefined && window.windowMs <= elapsedMs) {
    const counted = window.treatment.successes + window.treatment.failures;
    if (counted >= MIN_OUTCOMES) return counted / window.windowMs;
  }
  if (outcomes === 0) return 'none';
  if (elapsedMs < MIN_RATE_MS) return 'unknown';
  const silentMs = at - (total.treatment.lastOutcomeAt ?? at);
  const usualGapMs = elapsedMs / outcomes;
  const mayBeSilentMs = Math.max(window?.windowMs ?? PRESENT_MS, SILENT_GAPS * usualGapMs);
  return silentMs > mayBeSilentMs ? 'none' : outcomes / elapsedMs;
}
