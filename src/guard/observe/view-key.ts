import type { RolloutView } from '../../model/rollout-view.js';

/** A text that differs between two views when something worth showing has changed, and not because time has passed. Pure. */
export function changeKeyOf(view: RolloutView): string {
  const { state, isClosed, health, problems, flag, epoch, stage, arms, triggers, failing } = view;
  return JSON.stringify([
    [state.status, state.since, isClosed, flag, epoch, view.isComplete, view.tokenExpiresAt],
    [health.status, health.reasons.map(({ code }) => code), problems.map(({ code }) => code)],
    stage && [stage.index, stage.status],
    arms,
    triggers.map(({ verdict, since, evidence }) => [
      verdict?.status,
      since,
      rounded(verdict?.observed),
      rounded(evidence),
    ]),
    failing,
    view.openReviews.map(({ trigger, openedAt, okSince }) => [trigger, openedAt, okSince]),
    view.controls,
    view.fleet && [view.fleet.processes.map(({ lastHeardAt: _, ...process }) => process), view.fleet.groups],
  ]);
}

/** A memory or a latency differs in its last digits each time. */
function rounded(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Number(value.toPrecision(3));
}
