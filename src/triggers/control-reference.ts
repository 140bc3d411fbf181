import type { ControlReference } from '../model/shapes.js';
import { countOf, formatAgo } from '../support/wording.js';

/** Names a control of an earlier time, with its age and size: what a verdict rests on must be in its message. */
export function describeReference({ during, until }: ControlReference, size: number, now: number): string {
  const when = during === 'flag-off' ? 'while the flag was off' : 'beside the treatment';
  return `${countOf(size, 'outcome')} of the control ${when}, the last ${formatAgo(now - until)}`;
}
