import type { ComponentChildren } from 'preact';
import type { RolloutView } from '../../../model/rollout-view.js';
import { formatSpan, STILL_ON, shownArms } from '../../../support/wording.js';
import { ArmsTable } from '../parts/arms-table.js';
import { Card, Section } from '../parts/layout.js';
import { Ago, Since } from '../parts/moments.js';
import { Bar, Chip, Foreign, Sign } from '../parts/signs.js';
import { countText, latencyText, NONE, percentageText, rateOf, rateText } from '../words/numbers.js';
import { lengthText } from '../words/times.js';
import { GuardCard } from './guard-card.js';

/** The percentage, the stage, both arms since the last step, and the guard itself. */
export function StandingSection({ view }: { view: RolloutView }) {
  return (
    <Section id="stands" title="Where it stands">
      <div class="cards">
        <div class="column">
          <RolloutCard view={view} />
          <StageCard view={view} />
        </div>
        <ArmsCard view={view} />
        <GuardCard view={view} />
      </div>
    </Section>
  );
}

function RolloutCard({ view }: { view: RolloutView }) {
  const { flag, stages, stage, isComplete } = view;
  const isOn = flag?.enabled === true;
  const now = isOn ? flag.percentage : undefined;
  const words =
    flag === undefined ? 'no flag' : !isOn ? 'off' : now === undefined ? 'on' : percentageText(now);
  return (
    <Card title="Rollout">
      <p class="big" data-testid="percentage">
        {words}
      </p>
      <p class="note">
        {isOn && view.state.status === 'stopping' ? (
          STILL_ON
        ) : isOn ? (
          <>
            {now === undefined ? 'with no single percentage, ' : 'of users get the treatment, '}
            since <Ago at={view.epochStartedAt} />
          </>
        ) : (
          'all users get the control'
        )}
      </p>
      {stages.length > 0 && (
        <ol class="plan" aria-label="Stages">
          {stages.map(({ percentage }, index) => {
            const isPassed =
              isOn && (isComplete || (now !== undefined && percentage < now) || (stage?.index ?? -1) > index);
            const isNow = isOn && stage?.index === index && !isComplete;
            const word = isPassed ? 'passed' : isNow ? 'now' : 'to come';
            return (
              <li
                key={percentage}
                class={isPassed ? 'passed' : isNow ? 'now' : 'next'}
                aria-current={isNow ? 'step' : undefined}
              >
                <span class="knot">{isPassed && <Sign mood="good" />}</span>
                {percentageText(percentage)} <span class="hidden">{word}</span>
              </li>
            );
          })}
        </ol>
      )}
    </Card>
  );
}

const STAGE_MOOD = { collecting: 'busy', met: 'good', missed: 'warn', blocked: 'warn' } as const;

function StageCard({ view }: { view: RolloutView }) {
  const { stage: progress, stages, stageRemainingMs, flag } = view;
  if (progress === undefined) {
    const why =
      stages.length === 0
        ? 'The plan has no stages.'
        : view.state.status === 'stopping'
          ? 'No stage is evaluated: the flag is being turned off.'
          : flag?.enabled
            ? 'The percentage in Unleash belongs to no stage of the plan.'
            : 'A stage begins when the flag is turned on.';
    return (
      <Card title="Stage">
        <p class="note">{why}</p>
      </Card>
    );
  }
  const { stage, index, status, outcomes, successRate, elapsedMs } = progress;
  const needsTime = stage.minDurationMs !== undefined && stage.minDurationMs > 0;
  const hasEnough = outcomes >= stage.minOutcomes;
  const isRateMet = successRate !== undefined && successRate >= stage.minSuccessRate;
  return (
    <Card title={`Stage ${index + 1} of ${stages.length}: ${percentageText(stage.percentage)}`}>
      <p class="chips">
        <Chip mood={view.isComplete ? 'good' : STAGE_MOOD[status]}>
          {view.isComplete ? 'rollout complete' : status}
        </Chip>
        <span class="note">{advanceWords(view)}</span>
      </p>
      <dl class="needs" data-testid="stage">
        <div>
          <dt>Outcomes</dt>
          <dd>
            {countText(outcomes)} of {countText(stage.minOutcomes)} outcomes
            <Bar
              fraction={outcomes / stage.minOutcomes}
              label="Outcomes of the stage"
              mood={hasEnough ? 'good' : 'busy'}
            />
          </dd>
        </div>
        <div>
          <dt>Success rate</dt>
          <dd>
            {rateText(successRate)}, at least {percentageText(stage.minSuccessRate * 100)}{' '}
            <Sign mood={successRate === undefined ? 'off' : isRateMet ? 'good' : 'warn'} />
            <span class="hidden">
              {successRate === undefined ? 'no data' : isRateMet ? 'met' : 'not met'}
            </span>
          </dd>
        </div>
        {needsTime && (
          <div>
            <dt>Time</dt>
            <dd>
              {lengthText(Math.min(elapsedMs, stage.minDurationMs!))} of {lengthText(stage.minDurationMs!)}
              <Bar
                fraction={elapsedMs / stage.minDurationMs!}
                label="Time of the stage"
                mood={elapsedMs >= stage.minDurationMs! ? 'good' : 'busy'}
              />
            </dd>
          </div>
        )}
        {status === 'collecting' && stageRemainingMs !== undefined && (
          <div>
            <dt>Ready</dt>
            <dd>in about {formatSpan(stageRemainingMs)} at this rate</dd>
          </div>
        )}
      </dl>
      <p class="note">
        <Foreign text={progress.message} />
      </p>
    </Card>
  );
}

function advanceWords({ advance, controls }: RolloutView): string {
  if (controls.hold !== undefined) return 'on hold: no automatic advance';
  return advance === 'automatic' ? 'advances by itself' : 'an operator advances';
}

/** One arm's figures; a decision has its counts alone. */
type ShownArm = ReturnType<typeof shownArms<ArmView>>['arms']['control'];
type ArmView = RolloutView['arms']['control'];
type ArmRow = readonly [name: string, of: (arm: ShownArm) => ComponentChildren];

const LATENCY_ROWS: readonly ArmRow[] = [
  ['p50', ({ p50Ms }) => latencyText(p50Ms)],
  ['p95', ({ p95Ms }) => latencyText(p95Ms)],
  ['p99', ({ p99Ms }) => latencyText(p99Ms)],
];
const LAST_ROW: ArmRow = [
  'Last outcome',
  ({ lastOutcomeAt }) => (lastOutcomeAt === undefined ? NONE : <Ago at={lastOutcomeAt} />),
];

/** Both arms since the percentage last changed: what stages count. A stop begins anew too; then, as they were when it was decided. */
function ArmsCard({ view }: { view: RolloutView }) {
  const trials = ({ counts }: ShownArm) => counts.successes + counts.failures;
  const { arms, decidedAt } = shownArms(view);
  const isOfDecision = decidedAt !== undefined;
  const rows: ArmRow[] = [
    ['Outcomes', (arm) => countText(trials(arm))],
    ['Failures', (arm) => countText(arm.counts.failures)],
    ['Error rate', (arm) => <strong>{rateText(rateOf(arm.counts.failures, trials(arm)))}</strong>],
    ...(isOfDecision ? [] : LATENCY_ROWS),
    ['Fallbacks', ({ counts }) => countText(counts.fallbacks)],
    ['Critical errors', ({ counts }) => countText(counts.critical)],
    ['Complaints', ({ counts }) => countText(counts.complaints)],
    ...(isOfDecision ? [] : [LAST_ROW]),
  ];
  return (
    <Card title={isOfDecision ? 'Both arms when it was decided' : 'Both arms since the last step'}>
      <ArmsTable
        corner={<small>{isOfDecision ? <Ago at={decidedAt} /> : <Since at={view.epochStartedAt} />}</small>}
        rows={rows}
        arms={arms}
      />
    </Card>
  );
}
