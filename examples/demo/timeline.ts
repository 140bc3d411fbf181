import { type Claim, eventOf } from './claims.js';
import type { Evidence } from './scenario.js';

/** What happened when, in milliseconds from the moment the provider broke. */
export function timeline(evidence: Evidence): string {
  const { brokenAt, faults } = evidence;
  const moments: readonly (readonly [string, number | undefined])[] = [
    ["the provider's streaming path breaks", brokenAt],
    ['first failing upload', faults?.firstAt],
    ['detected', eventOf(evidence, 'decided')?.at],
    ['stopped here: this process serves the control only', eventOf(evidence, 'stopped-here')?.at],
    ['last failing upload', faults?.lastAt],
    ['off in Unleash, read back', eventOf(evidence, 'stopped')?.at],
  ];
  const lines = moments
    .toSorted(([, a], [, b]) => (a ?? Number.POSITIVE_INFINITY) - (b ?? Number.POSITIVE_INFINITY))
    .map(([what, at]) => `  ${(at === undefined ? 'never' : `${at - brokenAt} ms`).padStart(8)}  ${what}`);
  return ['Timeline', ...lines].join('\n');
}

/** Every claim with a tick or a cross. */
export function verdictLines(claims: readonly Claim[]): string {
  return claims.map(({ text, seen }) => `  ${seen ? '✔' : '✘'} ${text}`).join('\n');
}
