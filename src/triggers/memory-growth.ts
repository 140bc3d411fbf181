import { z } from 'zod';
import type { MemoryReference } from '../model/baseline.js';
import type { WindowSnapshot } from '../model/snapshot.js';
import { parseConfig } from '../support/config-error.js';
import { durationMsSchema } from '../support/config-schemas.js';
import { formatAgo, formatBytes, formatDuration, formatQuantity, inLast } from '../support/wording.js';
import type { ThresholdTrigger, TriggerOptions } from './trigger.js';
import { type Finding, noVerdict, triggerFields, windowTrigger } from './window-rule.js';

/** Options of {@link memoryGrowth}. */
export interface MemoryGrowthOptions extends TriggerOptions {
  /**
   * Growth by fewer bytes is no breach, whatever the ratio: a small process grows by 20 % without a leak.
   * @default 67_108_864 (64 MiB)
   */
  readonly minGrowthBytes?: number | undefined;
  /** For how long the memory must not have come down, in milliseconds. @default 60_000 */
  readonly windowMs?: number | undefined;
}

const RATIO = 'a ratio above 1, at most 10 (1.2 is 20 % above the baseline)';

const configSchema = z.strictObject({
  ratio: z.number({ error: RATIO }).superRefine((ratio, context) => {
    if (ratio > 1 && ratio <= 10) return;
    const meant =
      ratio > 0 && ratio < 1 ? 1 + ratio : ratio > 10 && ratio <= 100 ? 1 + ratio / 100 : undefined;
    const hint = meant === undefined ? undefined : `did you mean ${Number(meant.toPrecision(6))}?`;
    context.addIssue({ code: 'custom', message: RATIO, params: { hint } });
  }),
  options: z.strictObject({
    minGrowthBytes: z
      .number({ error: 'a number of bytes, 0 or more' })
      .min(0, { error: 'a number of bytes, 0 or more' })
      .default(64 * 2 ** 20),
    windowMs: durationMsSchema.default(60_000),
    ...triggerFields('memory-growth'),
  }),
});

/**
 * Breaches when this process's memory has stayed above `ratio` times its baseline for the whole window. The lowest
 * sample of the window is what counts, so a peak before a garbage collection does not count. It evaluates the process,
 * whichever arm was running. The baseline is what was recorded while the flag was off; without such a record, the median of
 * this process's first minute of work.
 *
 * @param ratio - For example `1.2`: more than 20 % above the baseline; exactly that is no breach.
 * @throws ConfigError that lists everything that is wrong.
 */
export function memoryGrowth(ratio: number, options: MemoryGrowthOptions = {}): ThresholdTrigger {
  const config = parseConfig(configSchema, { ratio, options }, 'memoryGrowth');
  const { minGrowthBytes, windowMs, name, dryRun } = config.options;
  const threshold = config.ratio;
  const rule = {
    name,
    windowMs,
    threshold,
    unit: 'ratio',
    scope: 'instance',
    dryRun,
    minGrowthBytes,
  } as const;
  return windowTrigger(rule, (window, snapshot, now) =>
    examine(window, threshold, minGrowthBytes, measured(snapshot.baseline?.memory, now)),
  );
}

/** When a baseline that outlives the process was measured: it may be of another version. */
function measured(baseline: MemoryReference | undefined, now: number): string {
  return baseline === undefined
    ? ''
    : `, measured while the flag was off, ${formatAgo(now - baseline.until)}`;
}

function examine(
  { memory, windowMs }: WindowSnapshot,
  ratio: number,
  minGrowthBytes: number,
  measuredWhen: string,
): Finding {
  if (memory?.baselineBytes === undefined) return noVerdict('memory growth', 'no baseline has been measured');
  if (memory.spanMs < windowMs) {
    const span = `the samples span ${formatDuration(memory.spanMs)}, ${formatDuration(windowMs)} needed`;
    return noVerdict('memory growth', span);
  }
  const { baselineBytes, lowestBytes } = memory;
  const observed = lowestBytes / baselineBytes;
  const tooHigh = observed > ratio;
  const breached = tooHigh && lowestBytes - baselineBytes >= minGrowthBytes;
  const found = `Memory did not fall below ${formatBytes(lowestBytes)} ${inLast(windowMs)}`;
  const share = `${formatQuantity(observed, 'ratio', ratio)} the baseline of ${formatBytes(baselineBytes)}${measuredWhen}`;
  const limit = `above ${formatQuantity(ratio, 'ratio')}`;
  const relation = tooHigh
    ? `${limit}${breached ? '' : `, but grown by less than ${formatBytes(minGrowthBytes)}`}`
    : `not ${limit}`;
  return { status: breached ? 'breach' : 'ok', observed, message: `${found}: ${share}, ${relation}.` };
}
