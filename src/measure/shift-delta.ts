import type { OutcomeDelta } from './outcome-delta.js';
import { BUCKETS_PER_WINDOW } from './time-ring.js';

/**
 * A delta as a process would have made it whose clock is `offsetMs` ahead: clocks of processes may differ by minutes, and a
 * receiver's windows know one time. Buckets move as a whole, so an offset below half a bucket changes nothing. Pure.
 */
export function shiftDelta(delta: OutcomeDelta, offsetMs: number): OutcomeDelta {
  if (offsetMs === 0) return delta;
  const { windows, exposures, lastOutcomeAt, lastCritical } = delta;
  const later = (at: number | undefined) => (at === undefined ? undefined : at + offsetMs);
  return {
    ...delta,
    windows: windows.map(({ windowMs, buckets }) => ({
      windowMs,
      buckets: moved(buckets, Math.round(offsetMs / (windowMs / BUCKETS_PER_WINDOW))),
    })),
    exposures: { ...exposures, buckets: moved(exposures.buckets, Math.round(offsetMs / exposures.bucketMs)) },
    lastOutcomeAt: { treatment: later(lastOutcomeAt.treatment), control: later(lastOutcomeAt.control) },
    lastCritical: lastCritical && { ...lastCritical, at: lastCritical.at + offsetMs },
  };
}

function moved<Bucket extends { readonly bucket: number }>(buckets: readonly Bucket[], by: number): Bucket[] {
  return buckets.map((bucket) => ({ ...bucket, bucket: bucket.bucket + by }));
}
