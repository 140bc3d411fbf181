/** Times as the reader's clock shows them. The zone is named once on each page, by {@link zoneName}. */
const DAY_MS = 86_400_000;

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const clockWithSeconds = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const dayOfYear = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
const full = new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeStyle: 'long' });

/** A `Date` holds no other times, and formatting one beyond throws. */
const isTime = (at: number) => Math.abs(at) <= 8.64e15;

/** `14:05` today, `12 Nov 14:05` in this year, `12 Nov 2025 14:05` otherwise. */
export function timeText(at: number, now: number): string {
  if (!isTime(at)) return 'unknown';
  const date = new Date(at);
  const today = new Date(now);
  const time = clock.format(date);
  if (date.toDateString() === today.toDateString()) return time;
  const isThisYear = date.getFullYear() === today.getFullYear();
  return `${(isThisYear ? day : dayOfYear).format(date)} ${time}`;
}

/** The day alone: `3 Jan 2027`. */
export function dayText(at: number): string {
  return isTime(at) ? dayOfYear.format(at) : 'unknown';
}

/** With all that is known, for a tooltip: `Thursday, 12 November 2026 at 14:05:09 CET`. */
export function fullTimeText(at: number): string {
  return isTime(at) ? full.format(at) : 'unknown';
}

/** From when to when a point lasts: `12 Nov 14:00–15:00`; with the second day where there are two. */
export function spanText(from: number, to: number): string {
  if (!isTime(from) || !isTime(to)) return 'unknown';
  const time = to - from < 60_000 ? clockWithSeconds : clock;
  const [first, last] = [new Date(from), new Date(to)];
  const isOneDay = first.toDateString() === last.toDateString() || to - from <= DAY_MS / 24;
  return isOneDay
    ? `${day.format(first)} ${time.format(first)}–${time.format(last)}`
    : `${day.format(first)} ${time.format(first)} – ${day.format(last)} ${time.format(last)}`;
}

/** A short text for a tick: the day at midnight, the time otherwise, with seconds where the axis shows only minutes. */
export function axisTimeText(at: number, spanMs: number): string {
  const date = new Date(at);
  if (date.getHours() + date.getMinutes() + date.getSeconds() === 0) return day.format(date);
  return (spanMs < 300_000 ? clockWithSeconds : clock).format(date);
}

/** `Europe/Berlin (GMT+1)` */
export function zoneName(): string {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const parts = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'short' }).formatToParts();
  const short = parts.find(({ type }) => type === 'timeZoneName')?.value;
  return short === undefined || short === timeZone ? timeZone : `${timeZone} (${short})`;
}

const UNITS = [
  ['d', DAY_MS],
  ['h', 3_600_000],
  ['min', 60_000],
] as const;

/** About how long, in two units at most: `3 d 4 h`, `2 h 5 min`, `40 s`. */
export function lengthText(lengthMs: number): string {
  if (!Number.isFinite(lengthMs)) return 'unknown';
  for (const [index, [unit, unitMs]] of UNITS.entries()) {
    if (lengthMs < unitMs) continue;
    const next = UNITS[index + 1];
    const rest = next === undefined ? 0 : Math.floor((lengthMs % unitMs) / next[1]);
    return `${Math.floor(lengthMs / unitMs)} ${unit}${rest === 0 ? '' : ` ${rest} ${next![0]}`}`;
  }
  return lengthMs < 1_000 ? '< 1 s' : `${Math.floor(lengthMs / 1_000)} s`;
}

/** `just now`, `12 s ago`, `3 h ago`; `in 4 d` for what is to come. */
export function agoText(at: number, now: number): string {
  const age = now - at;
  if (age < -1_500) return `in ${roughly(-age)}`;
  return age < 1_500 ? 'just now' : `${roughly(age)} ago`;
}

/** In the largest unit of which there are two: a moment's distance needs no more. */
function roughly(lengthMs: number): string {
  for (const [unit, unitMs] of UNITS) {
    if (lengthMs >= 2 * unitMs) return `${Math.floor(lengthMs / unitMs)} ${unit}`;
  }
  return `${Math.floor(lengthMs / 1_000)} s`;
}
