import type { GuardFigures } from '../model/observer.js';
import type { RolloutView } from '../model/rollout-view.js';
import { ARMS } from '../model/shapes.js';

type Labels = Readonly<Record<string, string | number | boolean>>;
type Sample = readonly [labels: Labels, value: number | undefined];

/** One metric, of which each flag has some samples. */
export interface Metric {
  /** As in OpenTelemetry, without the namespace that all have. */
  readonly name: string;
  readonly kind: 'counter' | 'gauge';
  readonly unit?: 's' | undefined;
  readonly help: string;
  /** With their labels beside flag, environment and project, which all samples have. */
  readonly samples: (figures: GuardFigures) => readonly Sample[];
  /** OpenTelemetry has it under this name as it happens, with more attributes than a view has. */
  readonly isRecorded?: true | undefined;
}

/** What every name begins with. */
export const NAMESPACE = 'rollout_guard';

const STATES = ['armed', 'stopping', 'stopped', 'closed'] as const;
const RESULTS = ['successes', 'failures', 'expected', 'aborted'] as const;
const RESULT_NAMES = {
  successes: 'success',
  failures: 'failure',
  expected: 'expected',
  aborted: 'aborted',
} as const;
const QUANTILES = [
  ['0.5', 'p50Ms'],
  ['0.95', 'p95Ms'],
  ['0.99', 'p99Ms'],
] as const;

const one = (value: boolean | number | undefined): readonly Sample[] => [
  [{}, value === undefined ? undefined : Number(value)],
];

/** A gauge for each trigger, which has no sample where there is no number. */
const perTrigger = (
  name: string,
  help: string,
  read: (trigger: RolloutView['triggers'][number]) => number | undefined,
): Metric => ({
  name: `trigger.${name}`,
  kind: 'gauge',
  help,
  samples: ({ view }) =>
    view.triggers.map((trigger) => [
      { trigger: trigger.name, severity: trigger.severity, dry_run: trigger.dryRun === true },
      read(trigger),
    ]),
});

const perArm = (
  name: string,
  help: string,
  read: (arm: RolloutView['arms']['treatment']) => number,
  isRecorded?: true,
): Metric => ({
  name,
  kind: 'counter',
  isRecorded,
  help,
  samples: ({ view }) => ARMS.map((arm) => [{ arm }, read(view.arms[arm])]),
});

/**
 * All that a guard shows of itself, in Prometheus and in OpenTelemetry. Labels are bounded: flags, environments, projects, arms, results, states, and the names
 * of configured triggers. What is not known has no sample.
 */
export const METRICS: readonly Metric[] = [
  {
    name: 'info',
    kind: 'gauge',
    help: 'The guard, by its version.',
    samples: ({ view }) => [[{ version: view.guardVersion, dry_run: view.dryRun }, 1]],
  },
  {
    name: 'state',
    kind: 'gauge',
    help: '1 for the state of the guard, 0 for the others.',
    samples: ({ view }) => {
      const now = view.isClosed ? 'closed' : view.state.status;
      return STATES.map((state) => [{ state }, Number(state === now)]);
    },
  },
  {
    name: 'blind',
    isRecorded: true,
    kind: 'gauge',
    help: '1 while the guard cannot do its work.',
    samples: ({ view }) => one(view.health.status === 'blind'),
  },
  {
    name: 'leader',
    kind: 'gauge',
    help: '1 where the process decides for its fleet, or is alone.',
    samples: ({ leads }) => one(leads),
  },
  {
    name: 'token.expiry',
    unit: 's',
    kind: 'gauge',
    help: 'When the admin token expires, in seconds since 1970; absent when it does not, or it is not known.',
    samples: ({ view }) => one(view.tokenExpiresAt === undefined ? undefined : view.tokenExpiresAt / 1_000),
  },
  {
    name: 'flag.enabled',
    kind: 'gauge',
    help: '1 while the flag is on in Unleash.',
    samples: ({ view }) => one(view.flag?.enabled),
  },
  {
    name: 'rollout.percentage',
    kind: 'gauge',
    help: 'Percentage of the gradual rollout in Unleash, 0 to 100.',
    samples: ({ view }) => one(view.flag?.percentage),
  },
  {
    name: 'epoch',
    kind: 'gauge',
    help: 'Number of the current epoch: an operator turned the flag on, or the percentage changed.',
    samples: ({ view }) => one(view.epoch),
  },
  {
    name: 'stage.percentage',
    kind: 'gauge',
    help: 'Percentage of the current stage.',
    samples: ({ view }) => one(view.stage?.stage.percentage),
  },
  {
    name: 'stage.met',
    kind: 'gauge',
    help: '1 when the current stage is met.',
    samples: ({ view }) => one(view.stage && view.stage.status === 'met'),
  },
  {
    name: 'outcomes',
    isRecorded: true,
    kind: 'counter',
    help: 'Outcomes of the epoch by arm and result.',
    samples: ({ view }) =>
      ARMS.flatMap((arm) =>
        RESULTS.map(
          (result) => [{ arm, result: RESULT_NAMES[result] }, view.arms[arm].counts[result]] as const,
        ),
      ),
  },
  perArm(
    'fallbacks',
    'Treatments of the epoch that failed and were replaced by the control.',
    ({ counts }) => counts.fallbacks,
  ),
  perArm('critical_errors', 'Critical errors of the epoch.', ({ counts }) => counts.critical),
  perArm(
    'complaints',
    'Complaints of users in the epoch, by the arm that they got.',
    ({ counts }) => counts.complaints,
    true,
  ),
  {
    name: 'duration',
    unit: 's',
    isRecorded: true,
    kind: 'gauge',
    help: 'Quantiles of the durations of successes in the epoch.',
    samples: ({ view }) =>
      ARMS.flatMap((arm) =>
        QUANTILES.map(([quantile, field]) => {
          const ms = view.arms[arm][field];
          return [{ arm, quantile }, ms === undefined ? undefined : ms / 1_000] as const;
        }),
      ),
  },
  perTrigger(
    'observed',
    'Value that the trigger compares, in its own unit.',
    ({ verdict }) => verdict?.observed,
  ),
  perTrigger(
    'threshold',
    'Threshold of the trigger, in the unit of the observed value.',
    ({ verdict }) => verdict?.threshold,
  ),
  perTrigger(
    'breached',
    '1 while the trigger breaches.',
    ({ verdict }) => verdict && Number(verdict.status === 'breach'),
  ),
  perTrigger(
    'evidence',
    'Evidence for a regression (e), of triggers that test for one.',
    ({ verdict }) => verdict?.evidence?.e,
  ),
  perTrigger(
    'evidence_threshold',
    'Evidence at which the trigger breaches.',
    ({ verdict }) => verdict?.evidence?.threshold,
  ),
  perTrigger(
    'evidence_ratio',
    'How far the evidence is from its threshold, 0 to 1, by logarithms.',
    ({ evidence }) => evidence,
  ),
  {
    name: 'open_reviews',
    kind: 'gauge',
    help: 'Reviews that wait for an operator.',
    samples: ({ view }) => one(view.openReviews.filter(({ acknowledged }) => acknowledged !== true).length),
  },
  {
    name: 'alerts_firing',
    kind: 'gauge',
    help: 'Alerts of monitoring systems that fire.',
    samples: ({ firingAlerts }) => one(firingAlerts),
  },
  {
    name: 'on_hold',
    kind: 'gauge',
    help: '1 while automatic advance is on hold.',
    samples: ({ view }) => one(view.controls.hold !== undefined),
  },
  {
    name: 'muted_triggers',
    kind: 'gauge',
    help: 'Triggers that are muted.',
    samples: ({ view }) => one(view.controls.mutes.length),
  },
  {
    name: 'decisions',
    isRecorded: true,
    kind: 'counter',
    help: 'Decisions to stop the flag or to step back that this process made.',
    samples: ({ decisions }) =>
      decisions.map(({ action, dryRun, by, count }) => [{ action, dry_run: dryRun, by }, count]),
  },
  {
    name: 'prevented_incidents',
    kind: 'counter',
    help: 'Rollouts that triggers stopped or stepped back, decided by this process; no dry runs.',
    samples: ({ decisions }) => {
      const prevented = decisions.filter(({ dryRun, by }) => !dryRun && by === 'triggers');
      return one(prevented.reduce((sum, { count }) => sum + count, 0));
    },
  },
  {
    name: 'faults',
    isRecorded: true,
    kind: 'counter',
    help: 'Failures of anything but a stop itself, in this process.',
    samples: ({ faults }) => one(faults),
  },
];
