import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { Series } from '../../api.js';
import { ApiError, fetchSeries } from '../live/api-client.js';
import { endOf, since, withNewer } from './series-points.js';

/** What of the rollout is shown: all, the latest so many milliseconds (which moves on), or from one time to another. */
export type Range =
  | { readonly type: 'all' }
  | { readonly type: 'latest'; readonly lengthMs: number }
  | { readonly type: 'fixed'; readonly from: number; readonly to: number };

export interface SeriesInRange {
  readonly range: Range;
  readonly setRange: (range: Range) => void;
  /** All of the rollout; undefined before the first answer. */
  readonly whole: Series | undefined;
  /** Of the range, in finer points; `whole` until they are there. */
  readonly shown: Series | undefined;
  readonly error: ApiError | undefined;
}

/** A wide chart has so many points, and a zoomed one too. */
const POINTS = 400;
/** New points of a series are asked for together. */
const PACE_MS = 1_000;
/** A range that is being dragged is asked for once it rests. */
const REST_MS = 250;

/**
 * A flag's series, kept up to date.
 *
 * @param change - Changes when the series has another point.
 * @param loads - Changes when the page was away: everything is asked for again.
 */
export function useSeries(flagKey: string, change: string, loads: number): SeriesInRange {
  const [range, setRange] = useState<Range>({ type: 'all' });
  const [whole, setWhole] = useState<Series>();
  const [fine, setFine] = useState<Series>();
  const [error, setError] = useState<ApiError>();
  const latest = useRef({ whole, fine, range });
  latest.current = { whole, fine, range };

  const loadWhole = useCallback(
    () =>
      fetchSeries(flagKey, { points: POINTS })
        .then(setWhole)
        .then(() => setError(undefined)),
    [flagKey],
  );
  const loadFine = useCallback(async () => {
    const asked = latest.current.range;
    const { whole } = latest.current;
    const limits = whole === undefined ? undefined : limitsOf(asked, whole);
    if (asked.type === 'all' || limits === undefined) return setFine(undefined);
    const series = await fetchSeries(flagKey, { ...limits, points: POINTS });
    if (latest.current.range === asked) setFine(series);
  }, [flagKey]);

  useEffect(() => {
    loadWhole().then(loadFine).catch(setErrorOf(setError));
  }, [loadWhole, loadFine, loads]);

  useEffect(() => {
    if (range.type === 'all') return setFine(undefined);
    const timer = setTimeout(() => loadFine().catch(setErrorOf(setError)), REST_MS);
    return () => clearTimeout(timer);
  }, [range, loadFine]);

  const pace = useRef<{ timer?: ReturnType<typeof setTimeout>; at: number }>({ at: 0 });
  useEffect(() => {
    if (pace.current.timer !== undefined) return;
    const refresh = async () => {
      pace.current = { at: Date.now() };
      const { whole, fine, range } = latest.current;
      if (whole === undefined || document.visibilityState === 'hidden') return;
      setWhole(await extended(flagKey, whole));
      setError(undefined);
      if (fine === undefined || range.type === 'all') return;
      const end = fine.at.at(-1);
      // A range in the past does not change.
      if (range.type === 'fixed' && end !== undefined && end + fine.stepMs >= range.to) return;
      const longer = await extended(flagKey, fine);
      if (latest.current.range !== range) return;
      setFine(range.type === 'latest' ? since(longer, endOf(longer) - range.lengthMs) : longer);
    };
    const waitMs = Math.max(0, PACE_MS - (Date.now() - pace.current.at));
    pace.current.timer = setTimeout(() => refresh().catch(setErrorOf(setError)), waitMs);
  }, [change, flagKey]);
  useEffect(() => () => clearTimeout(pace.current.timer), []);

  // A hidden page asks for nothing; once it is seen, for what it missed.
  useEffect(() => {
    const onChange = () => {
      if (document.visibilityState === 'visible') loadWhole().then(loadFine).catch(setErrorOf(setError));
    };
    document.addEventListener('visibilitychange', onChange);
    return () => document.removeEventListener('visibilitychange', onChange);
  }, [loadWhole, loadFine]);

  return { range, setRange, whole, shown: range.type === 'all' ? whole : (fine ?? whole), error };
}

/** What is new of a series; all of it anew when it has become much longer than a chart needs. */
async function extended(flagKey: string, series: Series): Promise<Series> {
  const from = series.at.at(-1);
  if (from === undefined || series.at.length > 2 * POINTS) {
    return fetchSeries(
      flagKey,
      from === undefined ? { points: POINTS } : { from: series.at[0]!, points: POINTS },
    );
  }
  return withNewer(series, await fetchSeries(flagKey, { from, stepMs: series.stepMs }));
}

/** From when to when a range is. */
export function limitsOf(range: Range, series: Series): { from: number; to: number } {
  const { first } = series;
  const last = endOf(series);
  switch (range.type) {
    case 'all':
      return { from: first, to: last };
    case 'latest':
      return { from: Math.max(first, last - range.lengthMs), to: last };
    case 'fixed':
      return { from: range.from, to: range.to };
  }
}

const setErrorOf = (set: (error: ApiError) => void) => (error: unknown) =>
  set(error instanceof ApiError ? error : new ApiError(0, 'The dashboard cannot be reached.'));
