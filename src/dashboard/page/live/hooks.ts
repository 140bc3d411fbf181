import { createContext } from 'preact';
import { useContext, useEffect, useState } from 'preact/hooks';
import { ApiError, serverNow } from './api-client.js';
import type { LiveState, LiveStore } from './live-store.js';
import { type Route, routeOf } from './router.js';

export const Live = createContext<LiveStore>(undefined as unknown as LiveStore);

/** What the page knows, drawn again whenever it changes. */
export function useLive(): LiveState {
  const store = useContext(Live);
  const [state, setState] = useState(store.state);
  useEffect(() => {
    setState(store.state);
    return store.subscribe(() => setState(store.state));
  }, [store]);
  return state;
}

const tickers = new Set<() => void>();
setInterval(() => {
  if (document.visibilityState === 'visible') for (const tick of tickers) tick();
}, 1_000);

/** The server's time, each second: relative times stay right while nothing else changes. */
export function useNow(): number {
  const [now, setNow] = useState(serverNow);
  useEffect(() => {
    const tick = () => setNow(serverNow());
    tickers.add(tick);
    document.addEventListener('visibilitychange', tick);
    return () => {
      tickers.delete(tick);
      document.removeEventListener('visibilitychange', tick);
    };
  }, []);
  return now;
}

/** What a request brought; the last answer stays while the next is under way. */
export interface Loaded<Value> {
  readonly value?: Value;
  readonly error?: ApiError;
}

/** Asks anew whenever a dependency changes. */
export function useLoaded<Value>(
  load: () => Promise<Value>,
  dependencies: readonly unknown[],
): Loaded<Value> {
  const [loaded, setLoaded] = useState<Loaded<Value>>({});
  useEffect(() => {
    let isCurrent = true;
    load().then(
      (value) => isCurrent && setLoaded({ value }),
      (error: unknown) =>
        isCurrent &&
        setLoaded((last) => ({
          ...last,
          error: error instanceof ApiError ? error : new ApiError(0, 'The dashboard cannot be reached.'),
        })),
    );
    return () => {
      isCurrent = false;
    };
  }, dependencies);
  return loaded;
}

export function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const onChange = () => setMatches(list.matches);
    list.addEventListener('change', onChange);
    return () => list.removeEventListener('change', onChange);
  }, [query]);
  return matches;
}

/** Where the reader is. */
export function useRoute(): Route {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const onChange = () => setHash(location.hash);
    window.addEventListener('hashchange', onChange);
    return () => window.removeEventListener('hashchange', onChange);
  }, []);
  return routeOf(hash);
}
