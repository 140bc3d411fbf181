import type { ControlsInForce } from '../../model/control.js';
import type { FlagFacts } from '../../model/flags.js';
import type { Health } from '../../model/health.js';
import {
  type FleetView,
  type ProcessView,
  type RolloutView,
  type TriggerView,
  VIEW_VERSION,
} from '../../model/rollout-view.js';
import { type Arm, type Concentration, countsOf, type Verdict } from '../../model/shapes.js';
import type { Evidence, Snapshot } from '../../model/snapshot.js';
import type { Stage, StageProgress } from '../../model/stage.js';
import type { GuardState, OpenReview } from '../../model/state.js';
import type { Trigger } from '../../triggers/trigger.js';
import { whereItFails } from '../../triggers/where-it-fails.js';
import type { GuardProblem } from '../guard-status.js';
import { forecastStage } from './stage-forecast.js';

/** Everything that a view is made of, at one moment. */
export interface ViewFacts {
  readonly flagKey: string;
  readonly project: string;
  readonly environment: string;
  readonly flagUrl: string;
  readonly dryRun: boolean;
  readonly state: GuardState;
  readonly isClosed: boolean;
  readonly health: Health;
  readonly problems: readonly GuardProblem[];
  readonly tokenExpiresAt: number | undefined;
  readonly flag: FlagFacts | undefined;
  readonly stages: readonly Stage[];
  /** Undefined when the percentage belongs to none, or nothing is evaluated. */
  readonly stage: StageProgress | undefined;
  readonly advance: 'manual' | 'automatic';
  readonly rollback: readonly ViewedTrigger[];
  readonly review: readonly ViewedTrigger[];
  readonly verdicts: readonly Verdict[];
  readonly statuses: TriggerStatuses;
  /** See {@link failingOf}. */
  readonly failing: readonly Concentration[];
  readonly openReviews: readonly OpenReview[];
  readonly controls: ControlsInForce;
  /** Undefined when the process is alone. */
  readonly fleet: FleetView | undefined;
  readonly snapshot: Snapshot;
  readonly guardVersion: string;
  readonly serviceVersion: string | undefined;
}

type ViewedTrigger = Pick<Trigger, 'name' | 'quantiles' | 'dryRun'>;

/** Since when each trigger's verdict has its status. */
export type TriggerStatuses = ReadonlyMap<string, Pick<Verdict, 'status'> & { readonly since: number }>;

/** The statuses after these verdicts. Pure. */
export function stepStatuses(
  before: TriggerStatuses,
  verdicts: readonly Verdict[],
  now: number,
): TriggerStatuses {
  return new Map(
    verdicts.map(({ trigger, status }) => {
      const known = before.get(trigger);
      return [trigger, known?.status === status ? known : { status, since: now }];
    }),
  );
}

/** Where a rollout stands, as one document. Pure. */
export function buildView(facts: ViewFacts): RolloutView {
  const { flag, stage, stages, snapshot, fleet } = facts;
  const forecast = stage && forecastStage(stage, snapshot);
  return {
    version: VIEW_VERSION,
    at: snapshot.at,
    flagKey: facts.flagKey,
    project: facts.project,
    environment: facts.environment,
    flagUrl: facts.flagUrl,
    dryRun: facts.dryRun,
    state: facts.state,
    isClosed: facts.isClosed,
    health: facts.health,
    problems: facts.problems,
    tokenExpiresAt: facts.tokenExpiresAt,
    flag: flag && { enabled: flag.enabled, percentage: flag.rolloutPercentage },
    epoch: snapshot.epoch,
    epochStartedAt: snapshot.epochStartedAt,
    stages,
    stage,
    stageRemainingMs: forecast?.remainingMs,
    stageText: forecast?.text,
    advance: facts.advance,
    isComplete: stage?.status === 'met' && stage.blind === undefined && stage.index === stages.length - 1,
    arms: { treatment: armOf('treatment', snapshot), control: armOf('control', snapshot) },
    triggers: [
      ...facts.rollback.map((trigger) => triggerOf(trigger, 'rollback', facts)),
      ...facts.review.map((trigger) => triggerOf(trigger, 'review', facts)),
    ],
    failing: facts.failing,
    openReviews: facts.openReviews,
    controls: facts.controls,
    fleet: fleet && { ...fleet, processes: fleet.processes.toSorted(leaderFirst) },
    guardVersion: facts.guardVersion,
    serviceVersion: facts.serviceVersion,
  };
}

/** Error types that are shown of each arm. */
const MAX_ERROR_TYPES = 20;

function armOf(arm: Arm, { total }: Snapshot): RolloutView['arms'][Arm] {
  const { latency, errorTypes, lastOutcomeAt } = total[arm];
  return {
    counts: countsOf(total[arm]),
    p50Ms: latency?.p50Ms,
    p95Ms: latency?.p95Ms,
    p99Ms: latency?.p99Ms,
    errorTypes: errorTypes.slice(0, MAX_ERROR_TYPES),
    lastOutcomeAt,
  };
}

function triggerOf(
  { name, quantiles, dryRun }: ViewedTrigger,
  severity: TriggerView['severity'],
  facts: ViewFacts,
): TriggerView {
  const verdict = facts.verdicts.find(({ trigger }) => trigger === name);
  const gathered = facts.snapshot.evidence?.find(({ trigger }) => trigger === name);
  const since = verdict && facts.statuses.get(name)?.since;
  const evidence = evidenceShare(verdict, gathered);
  const marked = dryRun === true ? ({ dryRun } as const) : {};
  return { name, severity, ...marked, verdict, since, quantiles, evidence };
}

/** How far the evidence has come towards its threshold, by logarithms: 0 for none, 1 at the threshold. */
function evidenceShare(verdict: Verdict | undefined, gathered: Evidence | undefined): number | undefined {
  const figures = verdict?.evidence;
  if (figures === undefined && gathered === undefined) return undefined;
  // It may have fallen again since it reached its threshold.
  if (verdict?.status === 'breach') return 1;
  const share =
    figures === undefined
      ? gathered!.logE / gathered!.logThreshold
      : Math.log(figures.e) / Math.log(figures.threshold);
  return Number.isNaN(share) ? undefined : Math.min(1, Math.max(0, share));
}

/** Where the treatment fails; after a stop, where it failed then. The most costly part of a view. Pure. */
export function failingOf({
  state,
  verdicts,
  snapshot,
}: Pick<ViewFacts, 'state' | 'verdicts' | 'snapshot'>): readonly Concentration[] {
  const breached = state.status === 'armed' ? verdicts : state.decision.verdicts;
  const found = breached.find(({ failing }) => failing !== undefined && failing.length > 0)?.failing;
  return found ?? (snapshot.details === undefined ? [] : whereItFails(snapshot.details));
}

function leaderFirst(a: ProcessView, b: ProcessView): number {
  const rank = ({ role }: ProcessView) => (role === 'leader' ? 0 : 1);
  return rank(a) - rank(b) || a.instance.localeCompare(b.instance);
}

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
