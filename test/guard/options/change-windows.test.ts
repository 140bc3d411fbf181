import { describe, expect, it } from 'vitest';
import {
  type ChangeWindow,
  changeWindowsSchema,
  describeChangeWindows,
  isChangeWindowOpen,
} from '../../../src/guard/options/change-windows.js';
import { parseConfig } from '../../../src/support/config-error.js';

const BERLIN = 'Europe/Berlin';
const OFFICE: ChangeWindow = {
  days: ['mon', 'tue', 'wed', 'thu'],
  from: '09:00',
  to: '16:00',
  timeZone: BERLIN,
};
const NIGHT: ChangeWindow = { days: ['fri'], from: '22:00', to: '02:00', timeZone: BERLIN };
/** Berlin skips this hour on 29 March 2026, and repeats it on 25 October 2026. */
const SKIPPED: ChangeWindow = { from: '02:00', to: '03:00', timeZone: BERLIN };

describe('isChangeWindowOpen', () => {
  it.each<[what: string, window: ChangeWindow, at: string, isOpen: boolean]>([
    ['on a Monday in winter, an hour ahead of UTC', OFFICE, '2026-01-12T08:00:00Z', true],
    ['a millisecond before it begins', OFFICE, '2026-01-12T07:59:59.999Z', false],
    ['in its last minute', OFFICE, '2026-01-12T14:59:59Z', true],
    ['when it ends', OFFICE, '2026-01-12T15:00:00Z', false],
    ['in summer, two hours ahead of UTC', OFFICE, '2026-07-13T07:00:00Z', true],
    ['in summer, at what is the hour in winter', OFFICE, '2026-07-13T14:30:00Z', false],
    ['on a Friday', OFFICE, '2026-01-16T10:00:00Z', false],
    ['on the day after clocks were set forward', OFFICE, '2026-03-30T07:00:00Z', true],
    ['on the day after they were set back', OFFICE, '2026-10-26T07:30:00Z', false],
    ['before midnight of its day', NIGHT, '2026-01-16T22:30:00Z', true],
    ['after midnight, on the next day', NIGHT, '2026-01-17T00:59:59Z', true],
    ['at the end of the night', NIGHT, '2026-01-17T01:00:00Z', false],
    ['after midnight of the day before', NIGHT, '2026-01-16T00:30:00Z', false],
    ['on Sunday after a window of Sunday night', { ...NIGHT, days: ['sun'] }, '2026-01-19T00:30:00Z', true],
    ['just before the hour that is skipped', SKIPPED, '2026-03-29T00:59:59Z', false],
    ['just after the hour that is skipped', SKIPPED, '2026-03-29T01:00:00Z', false],
    ['in that hour on the day before', SKIPPED, '2026-03-28T01:30:00Z', true],
    ['in the hour that is repeated, the first time', SKIPPED, '2026-10-25T00:30:00Z', true],
    ['in the hour that is repeated, the second time', SKIPPED, '2026-10-25T01:30:00Z', true],
    ['after both', SKIPPED, '2026-10-25T02:00:00Z', false],
    ['of every day at any time', {}, '2026-10-25T02:00:00Z', true],
    ['of a whole day, in its first minute', { days: ['tue'] }, '2026-01-13T00:00:00Z', true],
    ['of a whole day, in its last minute', { days: ['tue'] }, '2026-01-13T23:59:59.999Z', true],
    ['of a whole day, after it', { days: ['tue'] }, '2026-01-14T00:00:00Z', false],
    [
      'far ahead of UTC, where it is the next day',
      { days: ['tue'], from: '08:00', to: '09:00', timeZone: 'Pacific/Kiritimati' },
      '2026-01-12T18:30:00Z',
      true,
    ],
    [
      'in a zone of half hours',
      { from: '09:00', to: '09:30', timeZone: 'Asia/Kolkata' },
      '2026-01-12T03:45:00Z',
      true,
    ],
    [
      'in the south, whose summer is in January',
      { from: '09:00', to: '10:00', timeZone: 'Australia/Sydney' },
      '2026-01-12T22:30:00Z',
      true,
    ],
  ])('is right %s', (_what, window, at, isOpen) => {
    expect(isChangeWindowOpen([window], Date.parse(at))).toBe(isOpen);
  });

  it('is always open without windows, and open when one of several is', () => {
    const at = Date.parse('2026-01-16T22:30:00Z');
    expect(isChangeWindowOpen([], at)).toBe(true);
    expect(isChangeWindowOpen([OFFICE, NIGHT], at)).toBe(true);
  });
});

describe('change windows', () => {
  it('are described in words', () => {
    expect(describeChangeWindows([OFFICE, {}])).toBe(
      'mon, tue, wed, thu 09:00–16:00 (Europe/Berlin); every day 00:00–24:00 (UTC)',
    );
  });

  it.each([
    ['no window', [], 'at least one'],
    ['a day in full', [{ days: ['monday'] }], '[0].days[0]'],
    ['no day', [{ days: [] }], '[0].days'],
    ['an hour of one digit', [{ from: '9:00' }], '[0].from'],
    ['24:00 as the beginning', [{ from: '24:00' }], '[0].from'],
    ['a minute too many', [{ to: '12:60' }], '[0].to'],
    ['a zone that is not there', [{ timeZone: 'Europe/Atlantis' }], '[0].timeZone'],
    ['a field too many', [{ until: '12:00' }], 'until'],
  ])('refuse %s', (_what, windows, expected) => {
    expect(() => parseConfig(changeWindowsSchema, windows, 'changeWindows')).toThrow(expected);
  });
});
