import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_MARKS, UnitMarks } from '../../src/statistics/unit-marks.js';

const hash = fc.integer({ min: 1, max: 0xffff_ffff });
/** Hashes that share their lowest bits, and so their slots. */
const colliding = fc.nat(0xffff).map((n) => ((n << 16) | 5) >>> 0);

describe('UnitMarks', () => {
  it('is a set of numbers, collisions or not, while it grows', () => {
    const run = fc.property(fc.array(fc.oneof(hash, colliding), { maxLength: 500 }), (units) => {
      const marks = new UnitMarks();
      const known = new Set<number>();
      for (const unit of units) {
        expect(marks.has(unit)).toBe(known.has(unit));
        expect(marks.add(unit)).toBe(!known.has(unit));
        known.add(unit);
        expect(marks.has(unit)).toBe(true);
      }
      expect(marks.size).toBe(known.size);
      expect(new Set(marks)).toEqual(known);
    });
    fc.assert(run);
  });

  it('never marks 0, which is no unit', () => {
    const marks = new UnitMarks();
    expect([marks.add(0), marks.add(0), marks.has(0), marks.size]).toEqual([true, true, false, 0]);
  });

  it('holds 98,304 units and no more, and still knows them', () => {
    const marks = new UnitMarks();
    for (let i = 1; i <= MAX_MARKS; i++) marks.add(Math.imul(i, 0x9e37_79b9) >>> 0);
    expect([marks.size, marks.isFull]).toEqual([MAX_MARKS, true]);
    const unknown = Math.imul(MAX_MARKS + 1, 0x9e37_79b9) >>> 0;
    expect([marks.add(unknown), marks.has(unknown), marks.size]).toEqual([true, false, MAX_MARKS]);
    expect([marks.has(0x9e37_79b9), marks.add(0x9e37_79b9)]).toEqual([true, false]);
    const again = new UnitMarks();
    again.restore(marks.toText());
    expect(again.size).toBe(MAX_MARKS);
    marks.retain((unit) => unit % 2 === 0);
    expect(marks.size).toBe([...again].filter((unit) => unit % 2 === 0).length);
    marks.clear();
    expect([marks.size, marks.has(0x9e37_79b9)]).toEqual([0, false]);
  });

  it('survives its text', () => {
    const run = fc.property(fc.uniqueArray(hash, { maxLength: 300 }), (units) => {
      const marks = new UnitMarks();
      for (const unit of units) marks.add(unit);
      const restored = new UnitMarks();
      restored.add(77);
      restored.restore(marks.toText());
      expect(new Set(restored)).toEqual(new Set(units));
    });
    fc.assert(run);
  });

  it.each(['!', 'AAA=', 'AAAAAA==', 'AQAAAA', ' AQAAAA==', 'AQAAAA==\n'])(
    'refuses the text %j, which is none of its own',
    (text) => {
      expect(() => new UnitMarks().restore(text)).toThrow(RangeError);
    },
  );

  it('refuses the text of more units than it holds', () => {
    const text = Buffer.alloc(4 * MAX_MARKS + 4, 1).toString('base64');
    expect(() => new UnitMarks().restore(text)).toThrow(RangeError);
  });
});
