import type { ComponentChildren } from 'preact';
import type { RolloutView } from '../../../model/rollout-view.js';
import type { ArmCounts, Concentration, Decision } from '../../../model/shapes.js';
import { Empty, Section, Table } from '../parts/layout.js';
import { ArmName, Bar, Foreign } from '../parts/signs.js';
import { countText, NONE, rateText } from '../words/numbers.js';

const MOST_TYPES = 15;

/** Values that stand out among the failing users, and all error types with both arms' shares. */
export function FailingSection({ view }: { view: RolloutView }) {
  const { failing, state } = view;
  // After a stop nobody gets the treatment: what failed is of the time before.
  const decided = state.status === 'armed' ? undefined : state.decision;
  return (
    <Section id="failing" title="Where it fails">
      {failing.length > 0 && (
        <FailingTable
          class="failing"
          caption="What failing users of the treatment have in common"
          what="What stands out"
          failing={failing}
          share={(share, label, arm) => <Share label={label} share={share} arm={arm} />}
        />
      )}
      <ErrorTypes
        arms={decided === undefined ? view.arms : armsOf(decided)}
        when={decided === undefined ? 'since the last step' : 'when it was decided'}
      />
    </Section>
  );
}

/** What failing users of the treatment have in common, a row each, with the shares of both arms and of other outcomes. */
export function FailingTable(props: {
  class?: string;
  caption: string;
  /** The head of the first column. */
  what: string;
  failing: readonly Concentration[];
  /** What a cell shows under its label. */
  share: (share: Concentration['treatment'], label: string, arm: ShareProps['arm']) => ComponentChildren;
}) {
  const cell = (share: Concentration['treatment'], label: string, arm: ShareProps['arm']) => (
    <td>
      <span class="label">{label}</span>
      {share.of === 0 ? NONE : props.share(share, label, arm)}
    </td>
  );
  return (
    <Table
      class={props.class ?? ''}
      caption={props.caption}
      head={[
        props.what,
        <ArmName key="t" arm="treatment" />,
        <ArmName key="c" arm="control" />,
        'Other outcomes',
      ]}
    >
      {props.failing.map((each) => (
        <tr key={`${each.attribute} ${each.value}`}>
          <th scope="row">
            <small>
              {each.attribute === 'errorType' ? 'error type' : <Foreign text={each.attribute} max={80} />}
            </small>
            <Foreign text={each.value} max={120} />
          </th>
          {cell(each.treatment, 'treatment', 'treatment')}
          {cell(each.control, 'control', 'control')}
          {cell(each.others, 'Other outcomes', 'off')}
        </tr>
      ))}
    </Table>
  );
}

interface Failures {
  readonly counts: Pick<ArmCounts, 'successes' | 'failures'>;
  readonly errorTypes: RolloutView['arms']['control']['errorTypes'];
}

type BothArms = Readonly<Record<'treatment' | 'control', Failures>>;

/** Both arms when it was decided. */
export function armsOf({ counts, errorTypes }: Decision): BothArms {
  const of = (arm: 'treatment' | 'control') => ({ counts: counts[arm], errorTypes: errorTypes?.[arm] ?? [] });
  return { treatment: of('treatment'), control: of('control') };
}

/** All error types, with their share of each arm's outcomes. */
export function ErrorTypes({ arms, when }: { arms: BothArms; when: string }) {
  const types = errorTypesOf(arms);
  if (types.length === 0) {
    const { treatment, control } = arms;
    const none = treatment.counts.failures + control.counts.failures === 0;
    return (
      <Empty>{none ? `No failure of either arm ${when}.` : `The error types ${when} are not known.`}</Empty>
    );
  }
  return (
    <>
      <Table
        class="types"
        caption={`Error types ${when}: failures, and their share of the arm's outcomes`}
        head={['Error type', <ArmName key="t" arm="treatment" />, <ArmName key="c" arm="control" />]}
      >
        {types.slice(0, MOST_TYPES).map(({ errorType, treatment, control }) => (
          <tr key={errorType}>
            <th scope="row">
              <Foreign text={errorType} max={120} />
            </th>
            <TypeCell label="treatment" {...treatment} arm="treatment" highest={highestOf(types)} />
            <TypeCell label="control" {...control} arm="control" highest={highestOf(types)} />
          </tr>
        ))}
      </Table>
      {types.length > MOST_TYPES && <p class="note">And {types.length - MOST_TYPES} rarer error types.</p>}
    </>
  );
}

interface ShareProps {
  readonly label: string;
  readonly share: Concentration['treatment'];
  readonly arm: 'treatment' | 'control' | 'off';
}

function Share({ label, share: { count, of }, arm }: ShareProps) {
  return (
    <>
      <strong>{Math.round((count / of) * 100)} %</strong>{' '}
      <small>
        {countText(count)} of {countText(of)}
      </small>
      <Bar fraction={count / of} label={`Share, ${label}`} mood={arm} />
    </>
  );
}

interface TypeShare {
  readonly count: number;
  readonly share: number;
}

function TypeCell(props: TypeShare & { label: string; arm: 'treatment' | 'control'; highest: number }) {
  const { count, share, arm, highest, label } = props;
  return (
    <td>
      <span class="label">{label}</span>
      <strong>{countText(count)}</strong> <small>{count === 0 ? '' : rateText(share)}</small>
      <Bar
        fraction={highest === 0 ? 0 : share / highest}
        label={`Share of the ${arm}'s outcomes`}
        mood={arm}
      />
    </td>
  );
}

function errorTypesOf(arms: BothArms) {
  const of = (arm: Failures) => {
    const trials = arm.counts.successes + arm.counts.failures;
    const counts = new Map(arm.errorTypes.map(({ errorType, count }) => [errorType, count]));
    return (errorType: string): TypeShare => {
      const count = counts.get(errorType) ?? 0;
      return { count, share: trials === 0 ? 0 : count / trials };
    };
  };
  const [treatment, control] = [of(arms.treatment), of(arms.control)];
  const names = new Set(
    [...arms.treatment.errorTypes, ...arms.control.errorTypes].map(({ errorType }) => errorType),
  );
  return [...names]
    .map((errorType) => ({ errorType, treatment: treatment(errorType), control: control(errorType) }))
    .sort((a, b) => b.treatment.share - a.treatment.share || b.control.share - a.control.share);
}

function highestOf(types: readonly { treatment: TypeShare; control: TypeShare }[]): number {
  return types.reduce((most, { treatment, control }) => Math.max(most, treatment.share, control.share), 0);
}
