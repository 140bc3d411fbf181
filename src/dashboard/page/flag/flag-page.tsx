import type { RolloutView } from '../../../model/rollout-view.js';
import { RolloutSection } from '../charts/rollout-section.js';
import { useSeries } from '../charts/use-series.js';
import { ControlBar } from '../controls/control-bar.js';
import { ControlHost } from '../controls/control-host.js';
import { fetchDecisions } from '../live/api-client.js';
import { useLoaded } from '../live/hooks.js';
import type { LiveState } from '../live/live-store.js';
import { Notice } from '../parts/layout.js';
import { Chip, Foreign } from '../parts/signs.js';
import { standingOf } from '../words/standing.js';
import { FailingSection } from './failing-section.js';
import { HappeningsSection } from './happenings-section.js';
import { Headline } from './headline.js';
import { MetricSection } from './metric-section.js';
import { ProcessSection } from './process-section.js';
import { StandingSection } from './standing-section.js';
import { TriggerSection } from './trigger-section.js';

/** One rollout, from where it stands to every detail. */
export function FlagPage({ view, live }: { view: RolloutView; live: LiveState }) {
  const { flagKey, state } = view;
  // What happens is marked in the chart, also where no outcome comes any more.
  const change = `${live.points.get(flagKey) ?? 0} ${state.status} ${state.since} ${view.epoch} ${view.openReviews.length}`;
  const series = useSeries(flagKey, change, live.loads);
  const problem = live.problems.find((each) => each.flagKey === flagKey);
  const decisionId = standingOf(view).decisionId;
  const decisions = useLoaded(
    () => fetchDecisions(flagKey),
    [flagKey, live.loads, decisionId, state.status, state.since],
  );
  return (
    <ControlHost flagKey={flagKey} view={view} live={live}>
      <div class="page-head">
        <h1>
          <Foreign text={flagKey} />
        </h1>
        {view.dryRun && <Chip mood="busy">Dry run</Chip>}
        <p class="note">
          {view.project} · {view.environment} ·{' '}
          {isWebAddress(view.flagUrl) && (
            <a href={view.flagUrl} target="_blank" rel="noreferrer">
              Open in Unleash
            </a>
          )}
        </p>
        <ControlBar view={view} />
      </div>
      {problem !== undefined && (
        <Notice mood="warn" title="Not up to date">
          {problem.message}
        </Notice>
      )}
      <Headline view={view} />
      <StandingSection view={view} />
      <RolloutSection view={view} series={series} />
      <MetricSection series={series} />
      <TriggerSection view={view} />
      <FailingSection view={view} />
      <HappeningsSection view={view} decisions={decisions} annotations={series.whole?.annotations ?? []} />
      {view.fleet !== undefined && <ProcessSection fleet={view.fleet} />}
    </ControlHost>
  );
}

/** An address from outside may be code. */
function isWebAddress(url: string): boolean {
  return /^https?:\/\//i.test(url);
}
