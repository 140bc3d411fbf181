import { useState } from 'preact/hooks';
import type { RolloutView } from '../../../model/rollout-view.js';
import type { OpenReview } from '../../../model/state.js';
import type { Annotation } from '../../../rollups/rollup.js';
import type { DecisionView } from '../../api.js';
import { ControlButton } from '../controls/control-host.js';
import type { Loaded } from '../live/hooks.js';
import { decisionHref } from '../live/router.js';
import { Empty, Section, Table } from '../parts/layout.js';
import { Ago, At } from '../parts/moments.js';
import { Chip, Foreign } from '../parts/signs.js';
import { outcomeOf } from '../words/decided.js';
import { countText, percentageText, rateText } from '../words/numbers.js';
import { lengthText } from '../words/times.js';
import { Observed } from './trigger-section.js';

interface Props {
  readonly view: RolloutView;
  readonly decisions: Loaded<readonly DecisionView[]>;
  readonly annotations: readonly Annotation[];
}

/** Stages, open reviews, decisions, and everything else that happened. */
export function HappeningsSection({ view, decisions, annotations }: Props) {
  return (
    <Section id="happened" title="Stages, reviews, decisions">
      {view.openReviews.length > 0 && <Reviews reviews={view.openReviews} />}
      <Decisions flagKey={view.flagKey} decisions={decisions} />
      {view.stages.length > 0 && <Stages view={view} />}
      <Timeline flagKey={view.flagKey} annotations={annotations} />
    </Section>
  );
}

function Reviews({ reviews }: { reviews: readonly OpenReview[] }) {
  return (
    <>
      <h3>Open reviews</h3>
      <Table
        caption="Open reviews"
        class="triggers"
        head={[
          'Trigger',
          'Observed',
          'In words',
          <span key="controls" class="hidden">
            Controls
          </span>,
        ]}
      >
        {reviews.map(({ trigger, openedAt, percentage, verdict, okSince }) => (
          <tr key={trigger} data-review={trigger}>
            <th scope="row">
              <Foreign text={trigger} max={80} />
              <span class="chips">
                <Chip mood="warn">review</Chip>
                <small>
                  opened <Ago at={openedAt} />
                  {percentage !== undefined && ` at ${percentageText(percentage)}`}
                </small>
              </span>
            </th>
            <td>
              <span class="label">Observed</span>
              <Observed verdict={verdict} />
            </td>
            <td class="prose">
              <Foreign text={verdict.message} max={700} />
              {okSince !== undefined && (
                <small class="below">
                  Ok again since <At at={okSince} />.
                </small>
              )}
            </td>
            <td class="actions">
              <ControlButton type="acknowledge" trigger={trigger} label="Acknowledge…" about={trigger} />
            </td>
          </tr>
        ))}
      </Table>
    </>
  );
}

function Decisions({ flagKey, decisions }: { flagKey: string; decisions: Props['decisions'] }) {
  const { value, error } = decisions;
  return (
    <>
      <h3>Decisions</h3>
      {value === undefined ? (
        <Empty>{error === undefined ? 'Loading…' : `The decisions are missing: ${error.message}`}</Empty>
      ) : value.length === 0 ? (
        <Empty>None: the guard has not stopped this flag.</Empty>
      ) : (
        <ol class="decisions">
          {value.map((each) => {
            const { mood, word, sentence } = outcomeOf(each);
            const { id, at, reason, rolloutPercentage } = each.decision;
            return (
              <li key={id}>
                <Chip mood={mood}>{word}</Chip>{' '}
                <a href={decisionHref(flagKey, id)}>
                  <At at={at} />
                  {rolloutPercentage !== undefined && `, at ${percentageText(rolloutPercentage)}`}
                </a>
                <p>
                  <Foreign text={reason} /> <small>{sentence}</small>
                </p>
              </li>
            );
          })}
        </ol>
      )}
    </>
  );
}

function Stages({ view }: { view: RolloutView }) {
  const { stages, stage: progress, flag, isComplete } = view;
  const now = flag?.enabled ? flag.percentage : undefined;
  return (
    <>
      <h3>Stages</h3>
      <Table caption="Stages of the plan" head={['Stage', 'Needs', 'State']}>
        {stages.map((stage, index) => {
          const isNow = progress?.index === index;
          const isPassed = isComplete || (now !== undefined && stage.percentage < now);
          return (
            <tr key={stage.percentage} aria-current={isNow ? 'step' : undefined}>
              <th scope="row">{percentageText(stage.percentage)}</th>
              <td>
                <span class="label">Needs</span>
                {countText(stage.minOutcomes)} outcomes, {percentageText(stage.minSuccessRate * 100)} success
                {(stage.minDurationMs ?? 0) > 0 && `, ${lengthText(stage.minDurationMs!)}`}
              </td>
              <td>
                <span class="label">State</span>
                {isNow ? (
                  <>
                    <Chip
                      mood={
                        progress.status === 'met'
                          ? 'good'
                          : progress.status === 'collecting'
                            ? 'busy'
                            : 'warn'
                      }
                    >
                      {progress.status}
                    </Chip>{' '}
                    <small>
                      {countText(progress.outcomes)} outcomes, {rateText(progress.successRate)}
                    </small>
                  </>
                ) : (
                  <Chip mood={isPassed ? 'good' : 'off'}>{isPassed ? 'passed' : 'to come'}</Chip>
                )}
              </td>
            </tr>
          );
        })}
      </Table>
    </>
  );
}

const FEW = 12;
const MOST = 300;

function Timeline({ flagKey, annotations }: { flagKey: string; annotations: readonly Annotation[] }) {
  const [shown, setShown] = useState(FEW);
  const newest = annotations.slice(-MOST).reverse();
  return (
    <>
      <h3>Everything that happened</h3>
      {newest.length === 0 ? (
        <Empty>Nothing yet.</Empty>
      ) : (
        <ol class="timeline">
          {newest.slice(0, shown).map(({ at, type, title, text, by, decisionId }, index) => (
            <li key={`${at} ${type} ${title} ${index}`}>
              <At at={at} />
              <span class={`mark ${type}`} aria-hidden="true" />
              <div>
                <strong>
                  {decisionId === undefined ? (
                    <Foreign text={title} max={120} />
                  ) : (
                    <a href={decisionHref(flagKey, decisionId)}>
                      <Foreign text={title} max={120} />
                    </a>
                  )}
                </strong>{' '}
                <small>{type}</small>
                <p>
                  <Foreign text={text} max={700} />
                  {by !== undefined && !text.includes(by) && (
                    <small>
                      {' '}
                      By <Foreign text={by} max={80} />.
                    </small>
                  )}
                </p>
              </div>
            </li>
          ))}
        </ol>
      )}
      {newest.length > shown && (
        <button type="button" class="plain" onClick={() => setShown(shown + 50)}>
          Show {Math.min(50, newest.length - shown)} more
        </button>
      )}
    </>
  );
}
