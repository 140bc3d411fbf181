import type { RolloutView, TriggerView } from '../../../model/rollout-view.js';
import type { Verdict, VerdictEvidence } from '../../../model/shapes.js';
import { formatEvidence, verdictFigures } from '../../../support/wording.js';
import { ControlButton } from '../controls/control-host.js';
import { Empty, Section, Table } from '../parts/layout.js';
import { Ago, At, Since } from '../parts/moments.js';
import { Bar, Chip, Foreign } from '../parts/signs.js';
import { countText, NONE } from '../words/numbers.js';
import { type Mood, triggerStanding } from '../words/standing.js';
import { lengthText } from '../words/times.js';

/** Every trigger: what it observed, how far it is from its threshold, and since when; the nearest to a breach first. */
export function TriggerSection({ view }: { view: RolloutView }) {
  const { triggers, controls } = view;
  const rank = ({ verdict, evidence }: TriggerView) => (verdict?.status === 'breach' ? 2 : (evidence ?? 0));
  const sorted = [...triggers].sort((a, b) => rank(b) - rank(a));
  return (
    <Section
      id="triggers"
      title="Triggers"
      note="A rollback trigger turns the flag off; a review trigger asks an operator; one in dry run only says what it would have done. Evidence is drawn on a logarithmic scale: a full bar is a breach."
    >
      {sorted.length === 0 ? (
        <Empty>This guard has no triggers.</Empty>
      ) : (
        <Table
          class="triggers"
          caption="Triggers"
          head={[
            'Trigger',
            'Observed',
            'Evidence',
            'In words',
            <span key="controls" class="hidden">
              Controls
            </span>,
          ]}
        >
          {sorted.map((trigger) => (
            <TriggerRow
              key={trigger.name}
              trigger={trigger}
              mute={controls.mutes.find((mute) => mute.trigger === trigger.name)}
            />
          ))}
        </Table>
      )}
    </Section>
  );
}

type Mute = RolloutView['controls']['mutes'][number];

function TriggerRow({ trigger, mute }: { trigger: TriggerView; mute: Mute | undefined }) {
  const { name, severity, dryRun, verdict, since, evidence } = trigger;
  const { mood, word } = triggerStanding(trigger, mute);
  return (
    <tr data-trigger={name}>
      <th scope="row">
        <Foreign text={name} max={80} />
        <span class="chips">
          <Chip mood={mood}>{word}</Chip>
          <small>
            {severity}
            {dryRun && ', dry run'}
            {since !== undefined && (
              <>
                , for <Since at={since} />
              </>
            )}
          </small>
        </span>
        {mute !== undefined && (
          <small class="mute">
            Muted until <At at={mute.until} /> by <Foreign text={mute.by} max={60} />:{' '}
            <Foreign text={mute.reason} />
          </small>
        )}
      </th>
      <td>
        <span class="label">Observed</span>
        {verdict === undefined ? NONE : <Observed verdict={verdict} />}
      </td>
      <td class="evidence">
        <span class="label">Evidence</span>
        {evidence === undefined ? (
          <small>compared directly</small>
        ) : (
          <>
            <Bar fraction={evidence} label={`Evidence of ${name}`} mood={barMood(mood, evidence)} />
            <small>
              {evidence >= 1 ? 'threshold reached' : `${Math.floor(evidence * 100)} % of the way`}
            </small>
          </>
        )}
      </td>
      <td class="prose">
        <span class="label">In words</span>
        {verdict === undefined ? 'Not evaluated yet.' : <Foreign text={verdict.message} max={700} />}
        {verdict !== undefined && <Figures verdict={verdict} />}
      </td>
      <td class="actions">
        {mute === undefined ? (
          <ControlButton type="mute" trigger={name} label="Mute…" about={name} />
        ) : (
          <ControlButton type="unmute" trigger={name} label="Unmute…" about={name} />
        )}
      </td>
    </tr>
  );
}

function barMood(mood: Mood, evidence: number): Mood {
  if (mood === 'bad' || mood === 'warn') return mood;
  return evidence >= 0.6 ? 'warn' : 'busy';
}

/** `2.10 %, threshold 5 %` */
export function Observed({ verdict }: { verdict: Verdict }) {
  const { observed = NONE, threshold } = verdictFigures(verdict);
  return (
    <>
      <strong>{observed}</strong>
      <small class="below">threshold {threshold}</small>
    </>
  );
}

/** What the verdict rests on. */
function Figures({ verdict }: { verdict: Verdict }) {
  const { sampleSize, windowMs, freshnessMs, evidence } = verdict;
  return (
    <details class="figures">
      <summary>Figures</summary>
      <dl class="facts">
        <div>
          <dt>Sample</dt>
          <dd>
            {countText(sampleSize.treatment)} treatment, {countText(sampleSize.control)} control
          </dd>
        </div>
        {windowMs > 0 && (
          <div>
            <dt>Window</dt>
            <dd>{lengthText(windowMs)}</dd>
          </div>
        )}
        {freshnessMs !== undefined && (
          <div>
            <dt>Newest data</dt>
            <dd>{lengthText(freshnessMs)} old</dd>
          </div>
        )}
        {evidence !== undefined && <EvidenceFigures evidence={evidence} />}
      </dl>
    </details>
  );
}

export function EvidenceFigures({ evidence }: { evidence: VerdictEvidence }) {
  const { e, threshold, alpha, treatment, control, basis, events, since, frozenAt, excluded, repeated } =
    evidence;
  return (
    <>
      <div>
        <dt>Evidence E</dt>
        <dd>
          {formatEvidence(e)}, limit {formatEvidence(threshold)} (alpha {Number((alpha * 100).toPrecision(2))}{' '}
          %)
        </dd>
      </div>
      <div>
        <dt>{basis === 'units' ? 'Units with an event' : 'Outcomes with the event'}</dt>
        <dd>{countText(events)}</dd>
      </div>
      <div>
        <dt>Since</dt>
        <dd>{since === undefined ? 'the rollout began' : <Ago at={since} />}</dd>
      </div>
      <div>
        <dt>Treatment, control</dt>
        <dd>
          {countText(treatment.failures)} of {countText(treatment.trials)}, {countText(control.failures)} of{' '}
          {countText(control.trials)}
        </dd>
      </div>
      {frozenAt !== undefined && (
        <div>
          <dt>Compared with</dt>
          <dd>
            the control as it was <Ago at={frozenAt} />
          </dd>
        </div>
      )}
      {excluded + repeated > 0 && (
        <div>
          <dt>Left out</dt>
          <dd>
            {countText(excluded)} without a known chance, {countText(repeated)} repeated
          </dd>
        </div>
      )}
    </>
  );
}
