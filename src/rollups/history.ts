import { parseJson } from '../support/json.js';
import { SERIES, type SeriesName } from './book-state.js';
import type { Annotation, RolloutHistory, Rollup, TimeRange } from './rollup.js';
import { annotationSchema, ROLLUP_LENGTHS_MS } from './rollup.js';
import { isWithin, rollupOfLine } from './rollup-line.js';
import { RollupSum } from './rollup-sum.js';

/** What is kept of one list. */
export interface KeptSeries {
  readonly lines: readonly string[];
  /** The latest end of what was removed from its beginning; undefined when nothing was. */
  readonly removedUpTo: number | undefined;
}

/** What is kept of a rollout. */
export interface KeptHistory {
  readonly series: Readonly<Record<SeriesName, KeptSeries>>;
  /** The rollups that are not over yet, as lines. */
  readonly running: readonly string[];
}

/**
 * A rollout in the finest rollups that are kept: each moment is in one rollup. Lines that are no rollups are left out. Pure.
 */
export function historyOf({ series, running }: KeptHistory, range: TimeRange = {}): RolloutHistory {
  const wanted = new Map<string, Rollup[]>();
  const extra = running.flatMap((line) => rollupOfLine(line, range) ?? []);
  // What is before it is in longer rollups only.
  let before = Number.POSITIVE_INFINITY;
  SERIES.forEach(({ name, durationMs }, index) => {
    if (name === 'annotations') return;
    const { lines, removedUpTo } = series[name];
    const longer = ROLLUP_LENGTHS_MS[index + 1];
    const from =
      removedUpTo === undefined || longer === undefined
        ? Number.NEGATIVE_INFINITY
        : Math.ceil(removedUpTo / longer) * longer;
    const isIn = ({ at }: Rollup) => at >= from && at < before;
    const to = Math.min(range.to ?? before, before);
    const found = lines.flatMap((line) => rollupOfLine(line, { from: range.from, to }) ?? []);
    for (const rollup of [...found, ...extra.filter((each) => each.durationMs === durationMs)]) {
      if (isIn(rollup)) partsOf(wanted, rollup).push(rollup);
    }
    before = from;
  });
  return { rollups: sumsOf(wanted), annotations: annotationsOf(series.annotations.lines, range) };
}

/** Several histories as one, for example of processes that each kept their own: what overlaps adds up. Pure. */
export function mergeHistories(histories: readonly RolloutHistory[]): RolloutHistory {
  const [only, ...others] = histories;
  if (only !== undefined && others.length === 0) return only;
  const all = histories.flatMap(({ rollups }) => rollups);
  const longer = ROLLUP_LENGTHS_MS.slice(1)
    .reverse()
    .map((durationMs) => {
      const begins = all.filter((rollup) => rollup.durationMs === durationMs).map(({ at }) => at);
      return { durationMs, begins: new Set(begins) };
    });
  const wanted = new Map<string, Rollup[]>();
  for (const rollup of all) {
    // One that another history has only as part of a longer one becomes part of that.
    const found = longer.find(({ durationMs, begins }) => begins.has(beginOf(rollup.at, durationMs)));
    const durationMs = Math.max(found?.durationMs ?? 0, rollup.durationMs);
    partsOf(wanted, { at: beginOf(rollup.at, durationMs), durationMs }).push(rollup);
  }
  const annotations = histories.flatMap((history) => history.annotations);
  return { rollups: sumsOf(wanted), annotations: inOrder(annotations) };
}

function beginOf(at: number, durationMs: number): number {
  return Math.floor(at / durationMs) * durationMs;
}

function partsOf(
  wanted: Map<string, Rollup[]>,
  { at, durationMs }: Pick<Rollup, 'at' | 'durationMs'>,
): Rollup[] {
  const key = `${at} ${durationMs}`;
  const parts = wanted.get(key) ?? [];
  if (parts.length === 0) wanted.set(key, parts);
  return parts;
}

function sumsOf(wanted: ReadonlyMap<string, readonly Rollup[]>): Rollup[] {
  const sum = new RollupSum();
  const sums = Array.from(wanted, ([key, parts]) => {
    const [at, durationMs] = key.split(' ').map(Number) as [number, number];
    const [only] = parts;
    if (parts.length === 1 && only?.durationMs === durationMs) return only;
    sum.clear();
    for (const part of parts.toSorted((a, b) => a.at - b.at)) sum.add(part);
    return sum.toRollup(at, durationMs);
  });
  return sums.sort((a, b) => a.at - b.at);
}

function annotationsOf(lines: readonly string[], { from, to }: TimeRange): Annotation[] {
  const found = lines.flatMap((line) => annotationSchema.safeParse(parseJson(line)).data ?? []);
  return inOrder(found.filter(({ at }) => isWithin({ at, durationMs: 1 }, { from, to })));
}

/** Ascending, and each once: several processes report the same change. */
function inOrder(annotations: readonly Annotation[]): Annotation[] {
  const seen = new Map(annotations.map((annotation) => [JSON.stringify(annotation), annotation]));
  return [...seen.values()].sort((a, b) => a.at - b.at);
}
