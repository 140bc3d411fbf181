import type { RolloutView } from '../model/rollout-view.js';
import { ARMS } from '../model/shapes.js';

/** What `Content-Type` to serve it with. */
export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** What a process has decided since it began, which a view does not have. */
export interface DecisionCount {
  readonly action: 'stop' | 'step-back';
  readonly dryRun: boolean;
  /** Who: triggers, or an operator or an alert. */
  readonly by: 'triggers' | 'request';
  count: number;
}

/** One flag's figures. */
export interface Metered {
  readonly view: RolloutView;
  readonly decisions: readonly DecisionCount[];
  readonly faults: number;
  readonly firingAlerts: number;
}

type Labels = Readonly<Record<string, string | number | boolean>>;
type Sample = readonly [labels: Labels, value: number | undefined];

interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly samples: (metered: Metered) => readonly Sample[];
}

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
): Family => ({
  name: `trigger_${name}`,
  type: 'gauge',
  help,
  samples: ({ view }) =>
    view.triggers.map((trigger) => {
      const { name, severity, dryRun = false } = trigger;
      return [{ trigger: name, severity, dry_run: dryRun }, read(trigger)];
    }),
});

const perArm = (
  name: string,
  help: string,
  read: (arm: RolloutView['arms']['treatment']) => number,
): Family => ({
  name,
  type: 'counter',
  help,
  samples: ({ view }) => ARMS.map((arm) => [{ arm }, read(view.arms[arm])]),
});

/** All of it. Labels are bounded: flags, arms, results, states, and the names of configured triggers. */
const FAMILIES: readonly Family[] = [
  {
    name: 'info',
    type: 'gauge',
    help: 'The guard, by its version.',
    samples: ({ view }) => [
      [
        {
          version: view.guardVersion,
          project: view.project,
          environment: view.environment,
          dry_run: view.dryRun,
        },
        1,
      ],
    ],
  },
  {
    name: 'state',
    type: 'gauge',
    help: '1 for the state of the guard, 0 for the others.',
    samples: ({ view }) => {
      const now = view.isClosed ? 'closed' : view.state.status;
      return STATES.map((state) => [{ state }, Number(state === now)]);
    },
  },
  {
    name: 'blind',
    type: 'gauge',
    help: '1 while the guard cannot do its work.',
    samples: ({ view }) => one(view.health.status === 'blind'),
  },
  {
    name: 'flag_enabled',
    type: 'gauge',
    help: '1 while the flag is on in Unleash.',
    samples: ({ view }) => one(view.flag?.enabled),
  },
  {
    name: 'rollout_percentage',
    type: 'gauge',
    help: 'Percentage of the gradual rollout in Unleash, 0 to 100.',
    samples: ({ view }) => one(view.flag?.percentage),
  },
  {
    name: 'epoch',
    type: 'gauge',
    help: 'Number of the current epoch: an operator turned the flag on, or the percentage changed.',
    samples: ({ view }) => one(view.epoch),
  },
  {
    name: 'stage_percentage',
    type: 'gauge',
    help: 'Percentage of the current stage.',
    samples: ({ view }) => one(view.stage?.stage.percentage),
  },
  {
    name: 'stage_met',
    type: 'gauge',
    help: '1 when the current stage is met.',
    samples: ({ view }) => one(view.stage && view.stage.status === 'met'),
  },
  {
    name: 'outcomes_total',
    type: 'counter',
    help: 'Outcomes of the epoch by arm and result.',
    samples: ({ view }) =>
      ARMS.flatMap((arm) =>
        RESULTS.map(
          (result) => [{ arm, result: RESULT_NAMES[result] }, view.arms[arm].counts[result]] as const,
        ),
      ),
  },
  perArm(
    'fallbacks_total',
    'Treatments of the epoch that failed and were replaced by the control.',
    ({ counts }) => counts.fallbacks,
  ),
  perArm('critical_errors_total', 'Critical errors of the epoch.', ({ counts }) => counts.critical),
  perArm(
    'complaints_total',
    'Complaints of users in the epoch, by the arm that they got.',
    ({ counts }) => counts.complaints,
  ),
  {
    name: 'duration_seconds',
    type: 'gauge',
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
    type: 'gauge',
    help: 'Reviews that wait for an operator.',
    samples: ({ view }) => one(view.openReviews.filter(({ acknowledged }) => acknowledged !== true).length),
  },
  {
    name: 'alerts_firing',
    type: 'gauge',
    help: 'Alerts of monitoring systems that fire.',
    samples: ({ firingAlerts }) => one(firingAlerts),
  },
  {
    name: 'on_hold',
    type: 'gauge',
    help: '1 while automatic advance is on hold.',
    samples: ({ view }) => one(view.controls.hold !== undefined),
  },
  {
    name: 'muted_triggers',
    type: 'gauge',
    help: 'Triggers that are muted.',
    samples: ({ view }) => one(view.controls.mutes.length),
  },
  {
    name: 'decisions_total',
    type: 'counter',
    help: 'Decisions to stop the flag or to step back that this process made.',
    samples: ({ decisions }) =>
      decisions.map(({ action, dryRun, by, count }) => [{ action, dry_run: dryRun, by }, count]),
  },
  {
    name: 'prevented_incidents_total',
    type: 'counter',
    help: 'Rollouts that triggers stopped or stepped back, decided by this process; no dry runs.',
    samples: ({ decisions }) => {
      const prevented = decisions.filter(({ dryRun, by }) => !dryRun && by === 'triggers');
      return one(prevented.reduce((sum, { count }) => sum + count, 0));
    },
  },
  {
    name: 'faults_total',
    type: 'counter',
    help: 'Failures of anything but a stop itself, in this process.',
    samples: ({ faults }) => one(faults),
  },
];

/** The figures of these flags in Prometheus' text format. Pure. */
export function prometheusText(flags: readonly Metered[]): string {
  const lines = FAMILIES.flatMap(({ name, type, help, samples }) => {
    const full = `rollout_guard_${name}`;
    const found = flags.flatMap((metered) =>
      samples(metered).flatMap(([labels, value]) =>
        value === undefined
          ? []
          : [`${full}${labelsOf({ flag: metered.view.flagKey, ...labels })} ${numberOf(value)}`],
      ),
    );
    return found.length === 0 ? [] : [`# HELP ${full} ${help}`, `# TYPE ${full} ${type}`, ...found];
  });
  return `${lines.join('\n')}\n`;
}

function labelsOf(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(String(value))}"`);
  return `{${pairs.join(',')}}`;
}

/** https://prometheus.io/docs/instrumenting/exposition_formats/#comments-help-text-and-type-information */
function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}

function numberOf(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}
