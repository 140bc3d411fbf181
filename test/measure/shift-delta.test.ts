import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MemoryOutcomeStore } from '../../src/measure/memory-outcome-store.js';
import type { OutcomeDelta } from '../../src/measure/outcome-delta.js';
import { shiftDelta } from '../../src/measure/outcome-delta.js';
import { outcomeOf, START } from './outcomes.js';

const MINUTE = 60_000;
const WINDOWS_MS = [MINUTE, 5 * MINUTE];
/** Of 1 s (the short window), 5 s (the long one) and 6 s (exposures) alike. */
const WHOLE_BUCKETS_MS = 30_000;

/** The delta of a process whose clock shows `clockMs` more than the true time. */
function deltaOf(ages: readonly number[], clockMs = 0): OutcomeDelta {
  const store = new MemoryOutcomeStore({ flagKey: 'async-upload', windowsMs: WINDOWS_MS, now: START });
  store.beginEpoch(1, START, { keepWindows: false });
  for (const [index, age] of ages.entries()) {
    const outcome = outcomeOf({
      at: START + clockMs - age,
      arm: index % 3 === 0 ? 'control' : 'treatment',
      result: index % 2 === 0 ? 'failure' : 'success',
      critical: index % 2 === 0,
    });
    store.expose(outcome.exposure);
    store.record(outcome);
  }
  return store.takeDelta(START + clockMs)!;
}

/** Of each ring, the bucket numbers that have counts, and all counts. */
function ringsOf({ windows, exposures }: OutcomeDelta) {
  return [...windows, exposures].map(({ buckets }) => ({
    buckets: buckets.map(({ bucket }) => bucket),
    counts: buckets.map(({ counts }) => counts),
  }));
}

const ages = fc.array(fc.integer({ min: 0, max: 50_000 }), { minLength: 1, maxLength: 20 });
const anHour = { min: -60 * MINUTE, max: 60 * MINUTE };

describe('shiftDelta', () => {
  it('is undone by the opposite offset, when that is a multiple of all buckets', () => {
    const run = fc.property(ages, fc.integer({ min: -200, max: 200 }), (given, steps) => {
      const delta = deltaOf(given);
      const there = shiftDelta(delta, steps * WHOLE_BUCKETS_MS);
      expect(shiftDelta(there, -steps * WHOLE_BUCKETS_MS)).toEqual(delta);
      if (steps !== 0) expect(ringsOf(there)[0]!.buckets).not.toEqual(ringsOf(delta)[0]!.buckets);
    });
    fc.assert(run);
  });

  it('puts an outcome within a bucket of where a process with the right clock has it', () => {
    const run = fc.property(fc.integer({ min: 0, max: 50_000 }), fc.integer(anHour), (age, clockMs) => {
      const [right, shifted] = [deltaOf([age]), shiftDelta(deltaOf([age], clockMs), -clockMs)];
      for (const [index, ring] of ringsOf(right).entries()) {
        const found = ringsOf(shifted)[index]!;
        expect(found.counts).toEqual(ring.counts);
        expect(Math.abs(found.buckets[0]! - ring.buckets[0]!)).toBeLessThanOrEqual(1);
      }
      expect(shifted.lastOutcomeAt).toEqual(right.lastOutcomeAt);
      expect(shifted.lastCritical).toEqual(right.lastCritical);
    });
    fc.assert(run);
  });

  it('moves times and nothing else, and not what it was given', () => {
    const delta = deltaOf([0, 1_000, 20_000]);
    const before = structuredClone(delta);
    const shifted = shiftDelta(delta, 3 * MINUTE);
    expect(delta).toEqual(before);
    const { windows: _, exposures: __, lastOutcomeAt, lastCritical, ...others } = shifted;
    const { recent, details, evidence, ...rest } = others;
    expect(before).toMatchObject(rest);
    expect(lastOutcomeAt.treatment! - before.lastOutcomeAt.treatment!).toBe(3 * MINUTE);
    expect(recent.outcomes.map(Math.abs)).toEqual(
      before.recent.outcomes.map((at) => Math.abs(at) + 3 * MINUTE),
    );
    expect(recent.units.map(([, at]) => at)).toEqual(before.recent.units.map(([, at]) => at + 3 * MINUTE));
    expect(details.failures.map(({ at }) => at)).toEqual(
      before.details.failures.map(({ at }) => at + 3 * MINUTE),
    );
    expect(evidence!.settled.map(([, at]) => at)).toEqual(
      before.evidence!.settled.map(([, at]) => at + 3 * MINUTE),
    );
    expect(lastCritical).toEqual({ ...before.lastCritical, at: before.lastCritical!.at + 3 * MINUTE });
  });

  it('leaves out what the delta does not have', () => {
    const { lastCritical: _, ...quiet } = deltaOf([0]);
    const shifted = shiftDelta({ ...quiet, lastOutcomeAt: {} }, MINUTE);
    expect(shifted.lastCritical).toBeUndefined();
    expect(shifted.lastOutcomeAt).toEqual({ treatment: undefined, control: undefined });
  });

  it('gives a receiver the windows that it would have seen itself', () => {
    const clockMs = 7 * MINUTE;
    const receiver = new MemoryOutcomeStore({ flagKey: 'async-upload', windowsMs: WINDOWS_MS, now: START });
    receiver.beginEpoch(1, START, { keepWindows: false });
    receiver.merge(shiftDelta(deltaOf([0, 0, 30_000], clockMs), -clockMs), START);
    const countsAt = (now: number) =>
      receiver
        .snapshot(now)
        .windows.map(({ treatment, control }) => treatment.successes + treatment.failures + control.failures);
    expect(countsAt(START)).toEqual([3, 3]);
    // One is 30 seconds old: it leaves the short window before the others do.
    expect(countsAt(START + 45_000)).toEqual([2, 3]);
    expect(countsAt(START + 70_000)).toEqual([0, 3]);
  });
});
