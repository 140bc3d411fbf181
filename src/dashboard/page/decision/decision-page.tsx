import type { ComponentChildren } from 'preact';
import type { Decision, Verdict } from '../../../model/shapes.js';
import { whySuperseded } from '../../../support/wording.js';
import type { DecisionView } from '../../api.js';
import { armsOf, ErrorTypes, FailingTable } from '../flag/failing-section.js';
import { EvidenceFigures, Observed } from '../flag/trigger-section.js';
import { fetchDecision } from '../live/api-client.js';
import { useLoaded } from '../live/hooks.js';
import type { LiveState } from '../live/live-store.js';
import { flagHref } from '../live/router.js';
import { ArmsTable } from '../parts/arms-table.js';
import { Empty, Notice, Section, Table } from '../parts/layout.js';
import { Ago, At } from '../parts/moments.js';
import { Bar, Chip, Foreign, Sign } from '../parts/signs.js';
import { nextStepOf, outcomeOf } from '../words/decided.js';
import { countText, percentageText, rateOf, rateText } from '../words/numbers.js';
import { fullTimeText, lengthText } from '../words/times.js';

/** Why the guard stopped a flag, on what evidence, and what became of it. */
export function DecisionPage({ flagKey, id, live }: { flagKey: string; id: string; live: LiveState }) {
  const state = live.views.get(flagKey)?.state;
  const { value, error } = useLoaded(
    () => fetchDecision(flagKey, id),
    [flagKey, id, live.loads, state?.status, state?.since],
  );
  const back = (
    <a href={flagHref(flagKey)}>
      The rollout of <Foreign text={flagKey} max={80} />
    </a>
  );
  if (error?.status === 404) {
    return (
      <>
        <h1>This decision is gone</h1>
        <p>Either there was no such decision, or the guard's files that contained it were removed. {back}</p>
      </>
    );
  }
  if (value === undefined) {
    return (
      <>
        <h1>Decision</h1>
        <Empty>{error === undefined ? 'Loading…' : `It is missing: ${error.message}`}</Empty>
        <p>{back}</p>
      </>
    );
  }
  return <Shown view={value} back={back} />;
}

function Shown({ view, back }: { view: DecisionView; back: ComponentChildren }) {
  const { decision } = view;
  const { mood, word, sentence } = outcomeOf(view);
  return (
    <>
      <div class="page-head">
        <h1>
          Why <Foreign text={decision.flagKey} /> {titleOf(decision)}
        </h1>
        <p class="note">
          {fullTimeText(decision.at)}, <Ago at={decision.at} /> · {back}
        </p>
      </div>
      <div class={`headline ${mood}`} data-testid="headline">
        <Sign mood={mood} />
        <p>
          <strong>{word}</strong>: <Foreign text={decision.reason} max={1_200} />{' '}
          {sentence !== view.actionRequired && sentence} {nextStepOf(view)}
        </p>
      </div>
      {view.actionRequired !== undefined && view.stoppedInUnleashAt === undefined && (
        <Notice mood="bad" title="An operator must act">
          <Foreign text={view.actionRequired} max={1_000} />
        </Notice>
      )}
      <Section id="evidence" title="Evidence">
        {decision.verdicts.length === 0 ? (
          <Empty>An operator asked for it: no trigger breached.</Empty>
        ) : (
          <Table
            class="triggers"
            caption="The triggers that breached"
            head={['Trigger', 'Observed', 'Evidence', 'In words']}
          >
            {decision.verdicts.map((verdict) => (
              <VerdictRow key={verdict.trigger} verdict={verdict} />
            ))}
          </Table>
        )}
      </Section>
      <Section id="failing" title="Where it failed">
        <Failing verdicts={decision.verdicts} />
        <ErrorTypes arms={armsOf(decision)} when="when it was decided" />
      </Section>
      <Section
        id="counts"
        title="Both arms when it was decided"
        note={`Since the percentage last changed${decision.rolloutPercentage === undefined ? '' : `, at ${percentageText(decision.rolloutPercentage)}`}.`}
      >
        <Counts counts={decision.counts} />
      </Section>
      <Section id="became" title="What became of it">
        <Progress view={view} />
      </Section>
    </>
  );
}

function titleOf({ action, toPercentage, dryRun }: Decision): string {
  const what = action === 'step-back' ? `taken back to ${percentageText(toPercentage)}` : 'stopped';
  return dryRun ? `would have been ${what}` : `was ${what}`;
}

function VerdictRow({ verdict }: { verdict: Verdict }) {
  const { trigger, message, sampleSize, windowMs, freshnessMs, evidence } = verdict;
  const share =
    evidence === undefined
      ? undefined
      : Math.log(Math.max(1, evidence.e)) / Math.log(Math.max(2, evidence.threshold));
  return (
    <tr data-trigger={trigger}>
      <th scope="row">
        <Foreign text={trigger} max={80} />
        <span class="chips">
          <Chip mood="bad">breach</Chip>
        </span>
      </th>
      <td>
        <span class="label">Observed</span>
        <Observed verdict={verdict} />
      </td>
      <td class="evidence">
        <span class="label">Evidence</span>
        {share === undefined ? (
          <small>compared directly</small>
        ) : (
          <Bar fraction={share} label={`Evidence of ${trigger}`} mood="bad" />
        )}
      </td>
      <td class="prose">
        <Foreign text={message} max={1_000} />
        <dl class="facts">
          <div>
            <dt>Sample</dt>
            <dd>
              {countText(sampleSize.treatment)} treatment, {countText(sampleSize.control)} control
              {windowMs > 0 && `, in ${lengthText(windowMs)}`}
              {freshnessMs !== undefined && `, the newest ${lengthText(freshnessMs)} old`}
            </dd>
          </div>
          {evidence !== undefined && <EvidenceFigures evidence={evidence} />}
        </dl>
      </td>
    </tr>
  );
}

function Failing({ verdicts }: { verdicts: readonly Verdict[] }) {
  const failing = verdicts.find((verdict) => (verdict.failing?.length ?? 0) > 0)?.failing ?? [];
  if (failing.length === 0) return null;
  return (
    <FailingTable
      caption="What failing users of the treatment had in common"
      what="What stood out"
      failing={failing}
      share={({ count, of }) =>
        `${Math.round((count / of) * 100)} % (${countText(count)} of ${countText(of)})`
      }
    />
  );
}

function Counts({ counts }: { counts: Decision['counts'] }) {
  const rows: [string, (arm: Decision['counts']['control']) => string][] = [
    ['Outcomes', ({ successes, failures }) => countText(successes + failures)],
    ['Failures', ({ failures }) => countText(failures)],
    ['Error rate', ({ successes, failures }) => rateText(rateOf(failures, successes + failures))],
    ['Fallbacks', ({ fallbacks }) => countText(fallbacks)],
    ['Critical errors', ({ critical }) => countText(critical)],
    ['Complaints', ({ complaints }) => countText(complaints)],
  ];
  return (
    <div class="card narrow">
      <ArmsTable rows={rows} arms={counts} />
    </div>
  );
}

function Progress({ view }: { view: DecisionView }) {
  const { at } = view.decision;
  const steps: [what: string, at: number | undefined, by?: string | undefined][] = [
    ['Decided', at],
    ['All calls get the control in the process that decided', view.stoppedHereAt],
    ['Off in Unleash, and read back', view.stoppedInUnleashAt],
    ['Back at the lower percentage in Unleash', view.steppedBackAt],
    [whySuperseded(view.replacedBy), view.supersededAt],
    [
      'Armed again: a new rollout',
      view.supersededAt === undefined ? view.reArmedAt : undefined,
      view.turnedOnBy,
    ],
  ];
  return (
    <ol class="timeline">
      {steps.map(([what, when, by]) =>
        when === undefined ? null : (
          <li key={what}>
            <At at={when} />
            <span class="mark stage" aria-hidden="true" />
            <div>
              <strong>{what}</strong>{' '}
              <small>
                {when > at &&
                  `${when - at < 1_000 ? `${Math.round(when - at)} ms` : lengthText(when - at)} later`}
                {by !== undefined && (
                  <>
                    {' '}
                    by <Foreign text={by} max={80} />
                  </>
                )}
              </small>
            </div>
          </li>
        ),
      )}
      {view.failures.map(({ at: failedAt, code, message }) => (
        <li key={`${failedAt} ${code}`}>
          <At at={failedAt} />
          <span class="mark review" aria-hidden="true" />
          <div>
            The flag was not off in Unleash yet: <Foreign text={message} max={1_000} /> <small>{code}</small>
          </div>
        </li>
      ))}
      {view.turnedOffBy !== undefined && (
        <li>
          <span />
          <span class="mark control" aria-hidden="true" />
          <div>
            Unleash's history says who turned it off: <Foreign text={view.turnedOffBy} max={80} />
          </div>
        </li>
      )}
    </ol>
  );
}
