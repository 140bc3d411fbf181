import { describe, expect, it } from 'vitest';
import { EventStream } from '../../src/statistics/event-stream.js';
import { Random } from '../../src/what-if/simulate/random.js';

const REQUEST = { alpha: 0.05, ratio: 1, minDifference: 0 };

function streamOf(over: Partial<typeof REQUEST> = {}): EventStream {
  return new EventStream([{ ...REQUEST, ...over }]);
}

/** Hashes that differ. */
const hash = (unit: number) => Math.imul(unit + 1, 0x9e37_79b1) >>> 0;

interface Traffic {
  readonly outcomes: number;
  readonly share?: number;
  readonly treatment: number;
  readonly control: number;
  readonly seed?: number;
  readonly from?: number;
}

/** Outcomes of new units, of which such shares fail. @returns after how many outcomes of the treatment it was breached. */
function feed(
  stream: EventStream,
  { outcomes, share = 0.5, treatment, control, seed = 1, from = 0 }: Traffic,
) {
  const random = new Random(seed);
  let treated = 0;
  for (let i = 0; i < outcomes; i++) {
    const isTreated = random.chance(share);
    if (isTreated) treated += 1;
    const failed = random.chance(isTreated ? treatment : control);
    stream.outcome(hash(from + i), isTreated, share, failed, from + i, 1);
    if (failed && stream.evidence(0).breached) return treated;
  }
  return undefined;
}

describe('EventStream', () => {
  it('lets each unit speak once, and keeps those without an event at risk', () => {
    const stream = streamOf();
    for (let i = 0; i < 10; i++) stream.outcome(7, true, 0.1, true, i, 1);
    for (let i = 0; i < 10; i++) stream.outcome(8, false, 0.1, i === 9, i, 1);
    expect(stream.evidence(0)).toMatchObject({
      events: 2,
      repeated: 9,
      counts: { treatment: { trials: 10, failures: 10 }, control: { trials: 10, failures: 1 } },
    });
  });

  it('takes each outcome without a unit for one of its own', () => {
    const stream = streamOf();
    for (let i = 0; i < 10; i++) stream.outcome(0, true, 0.1, true, i, 1);
    expect(stream.evidence(0)).toMatchObject({ events: 10, repeated: 0, breached: true });
  });

  it('has the threshold g(g + 1)/(0.8 alpha), whatever ends a generation', () => {
    const stream = streamOf();
    expect(stream.evidence(0).logThreshold).toBeCloseTo(Math.log(2 / 0.04), 12);
    // 2,000 units that fail once.
    for (let i = 0; i < 2_000; i++) stream.outcome(hash(i), i % 2 === 0, 0.5, true, i, 1);
    expect(stream.evidence(0)).toMatchObject({ generation: 2, events: 0, logE: 0 });
    expect(stream.evidence(0).logThreshold).toBeCloseTo(Math.log(6 / 0.04), 12);
    // Ten units, half of whose outcomes fail: nearly all outcomes come from marked ones.
    for (let i = 0; i < 2_000; i++) stream.outcome(1 + (i % 10), i % 2 === 0, 0.5, i % 4 < 2, i, 1);
    expect(stream.evidence(0).generation).toBe(3);
    expect(stream.evidence(0).logThreshold).toBeCloseTo(Math.log(12 / 0.04), 12);
    // They may speak again.
    stream.outcome(1, true, 0.5, true, 0, 1);
    expect(stream.evidence(0).events).toBe(1);
  });

  it('begins no generation while 30 % of the outcomes at most come from units with an event', () => {
    const stream = streamOf();
    stream.outcome(1, true, 0.5, true, 0, 1);
    for (let i = 0; i < 20_000; i++) {
      const marked = i % 10 < 3;
      stream.outcome(marked ? 1 : hash(i), i % 2 === 0, 0.5, false, i, 1);
    }
    expect(stream.generation).toBe(1);
  });

  it('measures a generation’s effect within it', () => {
    const stream = streamOf({ minDifference: 0.02 });
    const healthy = { outcomes: 230_000, treatment: 0.01, control: 0.01 };
    expect(feed(stream, healthy)).toBeUndefined();
    expect(stream.generation).toBe(2);
    const found = feed(stream, { outcomes: 5_000, treatment: 0.1, control: 0.01, from: 1_000_000 });
    expect(found).toBeLessThan(500);
  });

  it('goes on through percentages: the chance comes with each event', () => {
    const [whole, one] = [streamOf(), streamOf()];
    for (const stream of [whole, one]) {
      for (let i = 0; i < 3; i++) stream.outcome(hash(i), true, 0.1, true, i, 1);
    }
    const before = whole.evidence(0).logE;
    whole.beginEpoch(10);
    expect(whole.evidence(0).logE).toBe(before);
    for (const stream of [whole, one]) stream.outcome(hash(9), true, 0.5, true, 11, 1);
    expect(whole.evidence(0).logE).toBe(one.evidence(0).logE);
  });

  it('finds a breach anew in each epoch', () => {
    const stream = streamOf();
    for (let i = 0; i < 10; i++) stream.outcome(hash(i), true, 0.1, true, i, 1);
    expect(stream.evidence(0).breached).toBe(true);
    stream.beginEpoch(20);
    expect(stream.evidence(0).breached).toBe(false);
    stream.outcome(hash(11), true, 0.1, true, 21, 1);
    expect(stream.evidence(0).breached).toBe(true);
  });

  it('says since when, and how large the effect has been since then (medians of 15 runs)', () => {
    const found = Array.from({ length: 15 }, (_, seed) => {
      const stream = streamOf({ minDifference: 0.02 });
      expect(feed(stream, { outcomes: 40_000, treatment: 0.002, control: 0.002, seed })).toBeUndefined();
      feed(stream, { outcomes: 5_000, treatment: 0.1, control: 0.002, seed: seed + 100, from: 40_000 });
      const { at, counts } = stream.evidence(0).since;
      expect(stream.evidence(0).breached).toBe(true);
      const { trials, failures } = counts.treatment;
      // No verdict says less than what is tolerated.
      expect(failures / trials).toBeGreaterThan(0.02);
      return { at: at!, rate: failures / trials };
    });
    const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[7]!;
    // Events come every 500 outcomes while all is well: two of them.
    expect(Math.abs(median(found.map(({ at }) => at)) - 40_000)).toBeLessThan(1_000);
    expect(median(found.map(({ rate }) => rate))).toBeGreaterThan(0.03);
    expect(median(found.map(({ rate }) => rate))).toBeLessThan(0.13);
  });

  it.each([0.5, 0.1])('stops nothing at %d for a difference that is too small to matter', (share) => {
    const small = { outcomes: 60_000, share, treatment: 0.012, control: 0.004 };
    const [tolerant, strict] = [streamOf({ minDifference: 0.02 }), streamOf()];
    expect(feed(tolerant, small)).toBeUndefined();
    expect(feed(strict, small)).toBeDefined();
    expect(tolerant.evidence(0).logE).toBeGreaterThan(tolerant.evidence(0).logThreshold);
  });

  it('stops a treatment that fails more, however much a few units of the control always fail', () => {
    const stream = streamOf({ minDifference: 0.02 });
    const random = new Random(5);
    let failing = 0;
    for (let i = 0; !stream.evidence(0).breached && i < 20_000; i++) {
      // A third of the control's calls come from one unit that always fails.
      if (random.chance(1 / 4)) stream.outcome(1, false, 0.5, true, i, 1);
      const treated = random.chance(0.5);
      const failed = treated && random.chance(0.1);
      if (failed) failing += 1;
      stream.outcome(hash(i + 10), treated, 0.5, failed, i, 1);
    }
    expect(failing).toBeLessThan(20);
  });

  it('holds back a treatment whose units come more often, and fail no more often than the control’s per call', () => {
    const stream = streamOf({ minDifference: 0.02 });
    const random = new Random(6);
    for (let i = 0; i < 30_000; i++) {
      // Of 400 units, those of the treatment come three times as often.
      const unit = random.chance(0.75)
        ? 200 + Math.floor(random.next() * 200)
        : Math.floor(random.next() * 200);
      stream.outcome(hash(unit), unit >= 200, 0.5, random.chance(0.01), i, 1);
    }
    expect(stream.evidence(0).breached).toBe(false);
  });

  it('counts an outcome that stands for others as so many, and an event as itself', () => {
    const stream = streamOf();
    for (let i = 0; i < 50; i++) stream.outcome(hash(i), true, 0.1, false, i, 8);
    stream.outcome(hash(60), true, 0.1, true, 1, 8);
    stream.outcome(hash(61), false, 0.1, true, 1, 0);
    stream.outcome(hash(62), false, 0.1, false, 1, 0);
    expect(stream.evidence(0).counts).toEqual({
      treatment: { trials: 401, failures: 1 },
      control: { trials: 1, failures: 1 },
    });
  });

  it('compares complaints with the outcomes of their arm, and at 100 % with the control as it was', () => {
    const stream = streamOf();
    for (let i = 0; i < 4_000; i++) stream.outcome(hash(i), i % 2 === 0, 0.5, false, i, 1);
    for (let i = 0; i < 20; i++) stream.event(hash(i), i % 2 === 0, 0.5, 4_000);
    expect(stream.evidence(0).counts).toMatchObject({
      treatment: { failures: 10 },
      control: { failures: 10 },
    });
    stream.beginEpoch(5_000);
    for (let i = 5_000; i < 6_000; i++) {
      stream.outcome(hash(i), true, 1, false, i, 1);
      if (i % 10 === 0) stream.event(hash(i), true, 1, i);
    }
    expect(stream.evidence(0)).toMatchObject({
      breached: true,
      frozen: { counts: { trials: 2_010, failures: 10 } },
      counts: { treatment: { trials: 1_000, failures: 100 } },
    });
  });

  it('continues from its JSON, bit for bit', () => {
    const original = new EventStream([REQUEST, { alpha: 0.01, ratio: 1.5, minDifference: 0.02 }]);
    const restored = new EventStream([REQUEST, { alpha: 0.01, ratio: 1.5, minDifference: 0.02 }]);
    const random = new Random(9);
    const outcomes = Array.from({ length: 9_000 }, (_, i) => {
      const chance = i < 6_000 ? 0.5 : 1;
      return [
        hash(random.bits() % 500),
        chance === 1 || random.chance(0.5),
        chance,
        random.chance(0.01),
        i,
        1,
      ] as const;
    });
    for (const [i, outcome] of outcomes.entries()) {
      if (i === 6_000) original.beginEpoch(i);
      original.outcome(...outcome);
      if (i === 7_000) restored.restore(JSON.parse(JSON.stringify(original)));
      if (i > 7_000) restored.outcome(...outcome);
    }
    for (const index of [0, 1]) expect(restored.evidence(index)).toEqual(original.evidence(index));
    // Marks are a set: their order is none.
    const unordered = (stream: EventStream) => ({ ...stream.toJSON(), marks: stream.toJSON().marks.length });
    expect(unordered(restored)).toEqual(unordered(original));
    expect(restored.evidence(0).frozen).toBeDefined();
    expect(() => streamOf().restore(original.toJSON())).toThrow(RangeError);
  });
});
