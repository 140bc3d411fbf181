import { useNow } from '../live/hooks.js';
import { agoText, fullTimeText, lengthText, timeText } from '../words/times.js';

/** A time by the reader's clock; pointing at it shows all of it. */
export function At({ at }: { at: number }) {
  return (
    <time dateTime={isoText(at)} title={fullTimeText(at)}>
      {timeText(at, useNow())}
    </time>
  );
}

/** `3 h ago`, which stays right. */
export function Ago({ at }: { at: number }) {
  return (
    <time dateTime={isoText(at)} title={fullTimeText(at)}>
      {agoText(at, useNow())}
    </time>
  );
}

/** How long something has lasted, up to now. */
export function Since({ at }: { at: number }) {
  return (
    <time dateTime={isoText(at)} title={`since ${fullTimeText(at)}`}>
      {lengthText(Math.max(0, useNow() - at))}
    </time>
  );
}

function isoText(at: number): string | undefined {
  return Math.abs(at) <= 8.64e15 ? new Date(at).toISOString() : undefined;
}
