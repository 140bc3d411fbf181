import { useState } from 'preact/hooks';
import type { RolloutView } from '../../../model/rollout-view.js';
import { shownArms } from '../../../support/wording.js';
import type { LiveState } from '../live/live-store.js';
import { flagHref } from '../live/router.js';
import { Empty, Notice, Table } from '../parts/layout.js';
import { Ago } from '../parts/moments.js';
import { ArmName, Bar, Chip, Foreign } from '../parts/signs.js';
import { countText, latencyText, percentageText, rateOf, rateText } from '../words/numbers.js';
import { type Mood, stageNeedText, standingOf } from '../words/standing.js';

/** From here on, a reader looks for a flag by its name. */
const FEW = 8;
/** So many flags are shown at once: a browser needs a second for a thousand. */
const AT_ONCE = 100;
const URGENCY: readonly Mood[] = ['bad', 'warn', 'busy', 'good', 'off'];

/** All flags, those that need an operator first. */
export function OverviewPage({ live }: { live: LiveState }) {
  const [wanted, setWanted] = useState('');
  const [most, setMost] = useState(AT_ONCE);
  const rows = [...live.views.values()].map((view) => ({ view, standing: standingOf(view) }));
  const shown = rows
    .filter(({ view }) => view.flagKey.toLowerCase().includes(wanted.trim().toLowerCase()))
    .sort(
      (a, b) =>
        URGENCY.indexOf(a.standing.mood) - URGENCY.indexOf(b.standing.mood) ||
        a.view.flagKey.localeCompare(b.view.flagKey),
    );
  if (rows.length === 0) {
    return (
      <>
        <h1>Rollouts</h1>
        <Empty>No guard runs here yet. A flag appears as soon as its guard has started.</Empty>
      </>
    );
  }
  const urgent = rows.filter(({ standing }) => standing.mood === 'bad' || standing.mood === 'warn').length;
  return (
    <>
      <div class="page-head">
        <h1>Rollouts</h1>
        <p class="note">
          {countText(rows.length)} guarded {rows.length === 1 ? 'flag' : 'flags'},{' '}
          {urgent === 0
            ? 'none needs an operator'
            : `${countText(urgent)} ${urgent === 1 ? 'needs' : 'need'} an operator`}
        </p>
        <p class="note legend">
          <ArmName arm="treatment" /> <ArmName arm="control" />
        </p>
        {rows.length > FEW && (
          <label class="search">
            <span>Find a flag</span>
            <input type="search" value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} />
          </label>
        )}
      </div>
      {live.problems.map(({ flagKey, message }) => (
        <Notice key={flagKey} mood="warn" title={flagKey}>
          Not up to date: {message}
        </Notice>
      ))}
      {shown.length === 0 ? (
        <Empty>No flag has this in its name.</Empty>
      ) : (
        <Table
          class="overview"
          caption="All guarded flags"
          head={['Flag', 'State', 'Rollout', 'Stage', 'Error rate', 'p95', 'Updated']}
        >
          {shown.slice(0, most).map(({ view, standing }) => (
            <FlagRow key={view.flagKey} view={view} mood={standing.mood} word={standing.word} />
          ))}
        </Table>
      )}
      {shown.length > most && (
        <p class="note">
          {countText(shown.length - most)} more: find one by its name, or{' '}
          <button type="button" class="plain" onClick={() => setMost(most + AT_ONCE)}>
            show {countText(Math.min(AT_ONCE, shown.length - most))} more
          </button>
        </p>
      )}
    </>
  );
}

function FlagRow({ view, mood, word }: { view: RolloutView; mood: Mood; word: string }) {
  const { flag, dryRun } = view;
  const percentage = flag?.enabled ? flag.percentage : undefined;
  return (
    <tr>
      <th scope="row">
        <a href={flagHref(view.flagKey)}>
          <Foreign text={view.flagKey} max={80} />
        </a>
        <small>
          {view.project} · {view.environment}
        </small>
      </th>
      <td>
        <Chip mood={mood}>{word}</Chip>
        {dryRun && <small>dry run</small>}
        {view.controls.hold !== undefined && <small>on hold</small>}
      </td>
      <td class="rollout">
        <span class="label">Rollout</span>
        <strong>
          {flag?.enabled ? (percentage === undefined ? 'on' : percentageText(percentage)) : 'off'}
        </strong>
        {percentage !== undefined && (
          <Bar fraction={percentage / 100} label="Users who get the treatment" mood="treatment" />
        )}
      </td>
      <td class="stage">
        <span class="label">Stage</span>
        {stageNeedText(view) || (view.isComplete ? 'all stages are met' : '–')}
      </td>
      <td>
        <span class="label">Error rate</span>
        <Pair
          view={view}
          of={({ counts }) => rateText(rateOf(counts.failures, counts.failures + counts.successes))}
        />
      </td>
      <td>
        <span class="label">p95</span>
        <Pair view={view} of={({ p95Ms }) => latencyText(p95Ms)} />
      </td>
      <td>
        <span class="label">Updated</span>
        <Ago at={view.at} />
      </td>
    </tr>
  );
}

type Shown = ReturnType<typeof shownArms<RolloutView['arms']['control']>>['arms']['control'];

/** The same of both arms, one below the other. */
function Pair({ view, of }: { view: RolloutView; of: (arm: Shown) => string }) {
  const { arms } = shownArms(view);
  return (
    <dl class="pair">
      <div>
        <dt>
          <ArmName arm="treatment" />
        </dt>
        <dd>{of(arms.treatment)}</dd>
      </div>
      <div>
        <dt>
          <ArmName arm="control" />
        </dt>
        <dd>{of(arms.control)}</dd>
      </div>
    </dl>
  );
}
