import { useContext, useEffect, useRef, useState } from 'preact/hooks';
import { DecisionPage } from './decision/decision-page.js';
import { FlagPage } from './flag/flag-page.js';
import { Live, useLive, useNow, useRoute } from './live/hooks.js';
import type { LiveState } from './live/live-store.js';
import { flagHref, OVERVIEW, type Route } from './live/router.js';
import { OverviewPage } from './overview/overview-page.js';
import { Empty } from './parts/layout.js';
import { Foreign } from './parts/signs.js';
import { standingOf } from './words/standing.js';
import { agoText, zoneName } from './words/times.js';

export function App() {
  const route = useRoute();
  const live = useLive();
  const main = useRef<HTMLElement>(null);
  const store = useContext(Live);
  const followed = 'flagKey' in route ? route.flagKey : undefined;
  useEffect(() => store.follow(followed), [store, followed]);
  useTitle(route);
  useFocusOnRoute(route, main);
  return (
    <>
      {/* An address of its own would be taken for a route. */}
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to content
      </button>
      <header class="top">
        <nav aria-label="Pages">
          <a class="brand" href={OVERVIEW}>
            <Logo /> Rollouts
          </a>
          <Crumbs route={route} />
        </nav>
        <Connection live={live} />
      </header>
      <main ref={main} tabIndex={-1}>
        <Page route={route} live={live} />
      </main>
      <footer>Times are in your time zone, {zoneName()}.</footer>
      <Announcer route={route} live={live} />
    </>
  );
}

function Page({ route, live }: { route: Route; live: LiveState }) {
  if (live.loads === 0) {
    return live.connection === 'failed' ? (
      <Empty>Nothing to show yet: {live.problem} The page keeps trying.</Empty>
    ) : (
      <Empty>Loading…</Empty>
    );
  }
  if (route.page === 'overview') return <OverviewPage live={live} />;
  if (route.page === 'unknown') {
    return (
      <>
        <h1>There is no such page</h1>
        <p>
          <a href={OVERVIEW}>All rollouts</a>
        </p>
      </>
    );
  }
  const view = live.views.get(route.flagKey);
  if (route.page === 'decision') {
    return (
      <DecisionPage key={`${route.flagKey}/${route.id}`} flagKey={route.flagKey} id={route.id} live={live} />
    );
  }
  if (view === undefined) {
    return (
      <>
        <h1>
          No flag <Foreign text={route.flagKey} />
        </h1>
        <p>
          No guard of this dashboard guards a flag of this name. <a href={OVERVIEW}>All rollouts</a>
        </p>
      </>
    );
  }
  return <FlagPage key={route.flagKey} view={view} live={live} />;
}

function Crumbs({ route }: { route: Route }) {
  if (route.page !== 'flag' && route.page !== 'decision') return null;
  return (
    <>
      <span aria-hidden="true">/</span>
      <a href={flagHref(route.flagKey)} aria-current={route.page === 'flag' ? 'page' : undefined}>
        <Foreign text={route.flagKey} max={60} />
      </a>
      {route.page === 'decision' && (
        <>
          <span aria-hidden="true">/</span>
          <span>decision</span>
        </>
      )}
    </>
  );
}

/** Whether the numbers are alive, and how old they are. */
function Connection({ live }: { live: LiveState }) {
  const now = useNow();
  const ago = live.updatedAt === undefined ? '' : `last update ${agoText(live.updatedAt, now)}`;
  if (live.connection === 'live') {
    return (
      <p class="connection live">
        <span class="dot" aria-hidden="true" /> Live<span class="wide">, {ago}</span>
      </p>
    );
  }
  if (live.connection === 'loading') return <p class="connection">Connecting…</p>;
  return (
    <p class="connection lost" title={live.problem}>
      <span class="dot" aria-hidden="true" /> Connection lost{ago === '' ? '' : `, ${ago}`}
    </p>
  );
}

/** Says what changes of a rollout's state and of the connection: not each number. */
function Announcer({ route, live }: { route: Route; live: LiveState }) {
  const [text, setText] = useState('');
  const last = useRef<{ about: string; says: string }>(undefined);
  const view = 'flagKey' in route ? live.views.get(route.flagKey) : undefined;
  const about = view?.flagKey ?? '';
  const connection = live.connection === 'lost' ? `Connection lost. ${live.problem ?? ''}` : '';
  const says = connection || (view === undefined ? '' : `${view.flagKey}: ${standingOf(view).word}`);
  useEffect(() => {
    // What a page shows when it is opened is read anyway.
    if (last.current !== undefined && last.current.about === about && last.current.says !== says)
      setText(says);
    last.current = { about, says };
  }, [about, says]);
  return (
    <div class="hidden" role="status">
      {text}
    </div>
  );
}

function useTitle(route: Route): void {
  const title = 'flagKey' in route ? `${route.flagKey} · rollout` : 'Rollouts';
  useEffect(() => {
    document.title = title;
  }, [title]);
}

/** A route is a page of its own: reading starts at its top. */
function useFocusOnRoute(route: Route, main: { current: HTMLElement | null }): void {
  const address = JSON.stringify(route);
  const isFirst = useRef(true);
  useEffect(() => {
    if (!isFirst.current) {
      main.current?.focus();
      window.scrollTo(0, 0);
    }
    isFirst.current = false;
  }, [address]);
}

function Logo() {
  return (
    <svg viewBox="0 0 16 16" width="20" height="20" aria-hidden="true">
      <rect class="logo" width="16" height="16" rx="4" />
      <path class="logo-line" d="M3 11h3V8h3V5h4" />
    </svg>
  );
}
