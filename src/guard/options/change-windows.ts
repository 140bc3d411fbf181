import { z } from 'zod';

/** All of {@link ChangeWindow.days}, from Monday on. */
const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

type Day = (typeof DAYS)[number];

/** When the guard may raise the percentage by itself, by the clock on the wall in one time zone. */
export interface ChangeWindow {
  /** The days on which it begins. @default every day */
  readonly days?: readonly Day[] | undefined;
  /** `HH:MM`, included. @default '00:00' */
  readonly from?: string | undefined;
  /** `HH:MM`, excluded; `24:00` is the end of the day. At or before `from`: on the next day. @default '24:00' */
  readonly to?: string | undefined;
  /** An IANA name, for example `Europe/Berlin`. @default 'UTC' */
  readonly timeZone?: string | undefined;
}

const FROM = "a time of day, 'HH:MM' from '00:00' to '23:59'";
const TO = "a time of day, 'HH:MM' from '00:00' to '24:00'";
const ZONE = 'an IANA time zone, for example Europe/Berlin';

export const changeWindowsSchema = z.lazy(() =>
  z
    .array(
      z.strictObject({
        days: z
          .array(z.enum(DAYS, { error: `one of ${DAYS.join(', ')}` }), {
            error: "days, for example ['mon', 'tue']",
          })
          .min(1, { error: 'at least one day' })
          .optional(),
        from: z
          .string({ error: FROM })
          .regex(/^([01]\d|2[0-3]):[0-5]\d$/, { error: FROM })
          .optional(),
        to: z
          .string({ error: TO })
          .regex(/^(([01]\d|2[0-3]):[0-5]\d|24:00)$/, { error: TO })
          .optional(),
        timeZone: z.string({ error: ZONE }).refine(isTimeZone, { error: ZONE }).optional(),
      }),
      { error: 'a list of change windows' },
    )
    .min(1, { error: 'at least one change window, or none of the option' }),
);

function isTimeZone(name: string): boolean {
  try {
    clockOf(name);
    return true;
  } catch {
    return false;
  }
}

/** Making one takes a while, and asking it does not. */
const clocks = new Map<string, Intl.DateTimeFormat>();

function clockOf(timeZone: string): Intl.DateTimeFormat {
  const known = clocks.get(timeZone);
  if (known !== undefined) return known;
  const clock = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  clocks.set(timeZone, clock);
  return clock;
}

/** The day of the week, from 0 for Monday, and the minute of the day that a clock in the time zone shows. */
function wallTime(timeZone: string, at: number): { readonly day: number; readonly minute: number } {
  const parts = new Map(
    clockOf(timeZone)
      .formatToParts(at)
      .map(({ type, value }) => [type, value]),
  );
  const day = DAYS.indexOf(parts.get('weekday')!.toLowerCase().slice(0, 3) as Day);
  return { day, minute: Number(parts.get('hour')) * 60 + Number(parts.get('minute')) };
}

function minuteOf(time: string): number {
  const [hours, minutes] = time.split(':').map(Number);
  return hours! * 60 + minutes!;
}

function isOpen({ days = DAYS, from = '00:00', to = '24:00', timeZone = 'UTC' }: ChangeWindow, at: number) {
  const { day, minute } = wallTime(timeZone, at);
  const [first, end] = [minuteOf(from), minuteOf(to)];
  const beginsOn = (each: number) => days.includes(DAYS[(each + 7) % 7]!);
  if (first < end) return beginsOn(day) && first <= minute && minute < end;
  return (beginsOn(day) && first <= minute) || (beginsOn(day - 1) && minute < end);
}

/**
 * Whether any of the windows is open; without windows, always. A window is what the clock on the wall shows: one from 02:00 to 03:00 has no
 * time on the day on which clocks skip that hour, and two hours on the day on which they repeat it. Pure.
 *
 * @param at - Milliseconds since 1970.
 */
export function isChangeWindowOpen(windows: readonly ChangeWindow[], at: number): boolean {
  return windows.length === 0 || windows.some((window) => isOpen(window, at));
}

/** The windows in words: `mon, tue 09:00–16:00 (Europe/Berlin)`. */
export function describeChangeWindows(windows: readonly ChangeWindow[]): string {
  const each = ({ days, from = '00:00', to = '24:00', timeZone = 'UTC' }: ChangeWindow) =>
    `${days === undefined ? 'every day' : days.join(', ')} ${from}–${to} (${timeZone})`;
  return windows.map(each).join('; ');
}
