import { describe, expect, it } from 'vitest';
import { ExposureRing } from '../../src/measure/exposure-ring.js';
import type { Arm, Exposure } from '../../src/model/shapes.js';

const MINUTE = 60_000;
/** A multiple of every bucket length used here. */
const START = 1_700_000_040_000;

function exposureAt(at: number, arm: Arm = 'treatment'): Exposure {
  return {
    flagKey: 'async-upload',
    arm,
    variant: undefined,
    reason: 'SPLIT',
    errorCode: undefined,
    targetingKey: 'user-1',
    epoch: 1,
    at,
  };
}

const treatmentOf = (ring: ExposureRing, now: number, windowMs = 5 * MINUTE) =>
  ring.counts(windowMs, now).treatment;

describe('ExposureRing', () => {
  it('counts a bucket as due when its newest exposure is as old as the timeout', () => {
    const ring = new ExposureRing(MINUTE, 5 * MINUTE);
    ring.open(exposureAt(START));
    ring.open(exposureAt(START + 5_999));
    expect(treatmentOf(ring, START + 6_000 + MINUTE - 1)).toEqual({ due: 0, unreported: 0 });
    expect(treatmentOf(ring, START + 6_000 + MINUTE)).toEqual({ due: 2, unreported: 2 });
  });

  it('keeps each exposure for the whole of the longest window', () => {
    const ring = new ExposureRing(MINUTE, 5 * MINUTE);
    ring.open(exposureAt(START));
    expect(treatmentOf(ring, START + 6 * MINUTE + 5_999).due).toBe(1);
    expect(treatmentOf(ring, START + 6 * MINUTE + 6_000).due).toBe(0);
  });

  it('corrects its counts when an outcome comes late, however often they were read', () => {
    const ring = new ExposureRing(MINUTE, 5 * MINUTE);
    const exposures = [0, 1, 2].map((index) => exposureAt(START + index));
    for (const exposure of exposures) ring.open(exposure);
    const now = START + 2 * MINUTE;
    for (const [index, exposure] of exposures.entries()) {
      expect(treatmentOf(ring, now)).toEqual({ due: 3, unreported: 3 - index });
      expect(treatmentOf(ring, now)).toEqual({ due: 3, unreported: 3 - index });
      ring.complete(exposure);
    }
    expect(treatmentOf(ring, now)).toEqual({ due: 3, unreported: 0 });
  });

  it('lets an exposure that was completed twice hide no more than one of its own bucket', () => {
    const ring = new ExposureRing(MINUTE, 5 * MINUTE);
    const [first, other] = [exposureAt(START), exposureAt(START + 30_000)];
    ring.open(first);
    for (let i = 0; i < 5; i++) ring.complete(first);
    ring.open(other);
    expect(treatmentOf(ring, START + 2 * MINUTE)).toEqual({ due: 2, unreported: 1 });
  });

  it('keeps the arms apart', () => {
    const ring = new ExposureRing(MINUTE, 5 * MINUTE);
    ring.open(exposureAt(START, 'control'));
    ring.complete(exposureAt(START, 'treatment'));
    expect(ring.counts(5 * MINUTE, START + 2 * MINUTE)).toEqual({
      treatment: { due: 0, unreported: 0 },
      control: { due: 1, unreported: 1 },
    });
  });

  it.each([
    [1_000, 24 * 60 * MINUTE],
    [1, 1_000],
    [60 * MINUTE, 1_000],
    [7_777, 0],
  ])('stays small and right with a timeout of %d ms and a window of %d ms', (timeoutMs, windowMs) => {
    const ring = new ExposureRing(timeoutMs, windowMs);
    ring.open(exposureAt(START));
    ring.advance(START);
    expect(ring.windowMs / ring.bucketMs).toBeLessThanOrEqual(2_001);
    expect(treatmentOf(ring, START + timeoutMs - 1, windowMs).due).toBe(0);
    if (windowMs < ring.bucketMs) return;
    expect(treatmentOf(ring, START + timeoutMs + ring.bucketMs, windowMs)).toEqual({ due: 1, unreported: 1 });
    expect(treatmentOf(ring, START + timeoutMs + windowMs + 2 * ring.bucketMs, windowMs).due).toBe(0);
  });

  it('leaves out what is older than it reaches, and invalid times', () => {
    const ring = new ExposureRing(MINUTE, 5 * MINUTE);
    ring.advance(START);
    for (const at of [START - 60 * MINUTE, Number.NaN]) ring.open(exposureAt(at));
    expect(treatmentOf(ring, START + 2 * MINUTE)).toEqual({ due: 0, unreported: 0 });
  });

  it('keeps nothing for its next run that is not due: a process that ends loses its unfinished work', () => {
    const ring = new ExposureRing(MINUTE, 5 * MINUTE);
    expect(ring.dueBuckets(START)).toEqual([]);
    ring.open(exposureAt(START));
    ring.open(exposureAt(START + MINUTE));
    expect(ring.dueBuckets(START + 2 * MINUTE)).toMatchObject([{ counts: [1, 0, 0, 0] }]);
  });
});
