import type { HealthReason } from '../../../model/health.js';
import type { RolloutView } from '../../../model/rollout-view.js';
import { decisionHref } from '../live/router.js';
import { Notice } from '../parts/layout.js';
import { Ago, At, Since } from '../parts/moments.js';
import { Foreign, Sign } from '../parts/signs.js';
import { standingOf } from '../words/standing.js';

/** The first sentence, and below it whatever needs an operator. */
export function Headline({ view }: { view: RolloutView }) {
  const { mood, word, sentence, decisionId } = standingOf(view);
  const { state, dryRun } = view;
  const isStop = state.status !== 'armed';
  return (
    <>
      <div class={`headline ${mood}`} data-testid="headline">
        <Sign mood={mood} />
        <p>
          <strong>{word}</strong>
          {isStop && (
            <>
              {' '}
              <Ago at={state.since} />
            </>
          )}
          {': '}
          <Foreign text={sentence} max={1_200} />{' '}
          {decisionId !== undefined && <a href={decisionHref(view.flagKey, decisionId)}>Why: the decision</a>}
        </p>
      </div>
      {dryRun && (
        <Notice mood="busy" title="Dry run">
          The guard records every decision and changes nothing in Unleash.
        </Notice>
      )}
      {reasonsOf(view).map((reason) => (
        <Notice key={`${reason.code} ${reason.since}`} mood="bad" title={reason.code}>
          <Foreign text={reason.message} max={1_000} />{' '}
          <small>
            For <Since at={reason.since} />.
          </small>
        </Notice>
      ))}
      {view.controls.hold !== undefined && (
        <Notice mood="warn" title="On hold">
          No automatic advance since <At at={view.controls.hold.since} />, by{' '}
          <Foreign text={view.controls.hold.by} max={80} />: <Foreign text={view.controls.hold.reason} />
        </Notice>
      )}
    </>
  );
}

/** What makes the guard blind, and what is wrong in Unleash: often the same. */
function reasonsOf({ health, problems }: RolloutView): HealthReason[] {
  const byCode = new Map(
    [...health.reasons, ...problems].map((reason) => [`${reason.code} ${reason.message}`, reason]),
  );
  return [...byCode.values()];
}
