import { formatDuration, formatRate, formatThreshold } from '../support/wording.js';
import { decisionSection } from './decision-section.js';
import {
  formatCount,
  formatImprovement,
  formatLatency,
  formatPoints,
  formatShare,
  formatSpan,
  formatTime,
} from './format.js';
import { stageSentence } from './headline.js';
import type { RolloutReport } from './rollout-report.js';
import { type Section, section } from './section.js';

/** The parts of the Markdown and HTML report, in order. */
export function sectionsOf(report: RolloutReport): readonly Section[] {
  return [
    comparison(report),
    executionTypes(report),
    stages(report),
    decisionSection(report),
    reviews(report),
    errorTypes(report),
    rollout(report),
    notes(report),
    sources(report),
  ].filter((section) => section !== undefined);
}

function comparison({ arms, comparison, complaints, period }: RolloutReport): Section {
  const { treatment, control } = arms;
  const row = (
    name: string,
    format: (value: number | undefined) => string,
    pick: (arm: typeof treatment) => number | undefined,
    difference = '',
  ) => [name, format(pick(treatment)), format(pick(control)), difference];
  const count = (value: number | undefined) => formatCount(value ?? 0);
  const faster = comparison.latencyImprovement;
  const rows = [
    row('Counted outcomes', count, ({ counted }) => counted),
    row(
      'Success rate',
      formatShare,
      ({ successRate }) => successRate,
      formatPoints(comparison.successRateDifference),
    ),
    row('Users served, fallback included', formatShare, ({ userSuccessRate }) => userSuccessRate),
    row('Failures', count, ({ failures }) => failures),
    row('Critical errors', count, ({ critical }) => critical),
    row('Fallbacks', count, ({ fallbacks }) => fallbacks),
    row('Succeeded after a retry', count, ({ retried }) => retried),
    ['Complaints', formatCount(complaints.treatment), formatCount(complaints.control), ''],
    row('Mean duration', formatLatency, ({ latency }) => latency?.meanMs, formatImprovement(faster.mean)),
    row('Median (p50)', formatLatency, ({ latency }) => latency?.p50Ms, formatImprovement(faster.p50)),
    row('p95', formatLatency, ({ latency }) => latency?.p95Ms, formatImprovement(faster.p95)),
    row('p99', formatLatency, ({ latency }) => latency?.p99Ms, formatImprovement(faster.p99)),
    row("Not counted: users' own mistakes, aborts", count, ({ expected, aborted }) => expected + aborted),
  ];
  const when =
    period === undefined
      ? 'No outcome has been logged.'
      : `Outcomes from ${formatTime(period.from)} to ${formatTime(period.to)} (${formatSpan(period.to - period.from)}). Durations are those of successes.`;
  return {
    ...section('comparison', 'Treatment against control', [when]),
    tables: [
      {
        caption: 'Treatment against control',
        head: ['', 'Treatment', 'Control', 'Treatment is'],
        rows,
      },
    ],
  };
}

function executionTypes({ executionTypes }: RolloutReport): Section | undefined {
  if (executionTypes.length === 0) return undefined;
  const rows = executionTypes.map((type) => [
    type.executionType,
    formatCount(type.count),
    formatShare(type.successRate),
    ...[type.meanMs, type.p50Ms, type.p95Ms, type.p99Ms].map(formatLatency),
  ]);
  const head = ['Path', 'Operations', 'Users served', 'Mean', 'p50', 'p95', 'p99'];
  return {
    ...section('paths', 'By execution type', []),
    tables: [{ caption: 'By execution type', head, rows }],
  };
}

function stages({ stages }: RolloutReport): Section | undefined {
  if (stages.length === 0) return undefined;
  const rows = stages.map(({ progress, startedAt, history, outcomes, successRate, epoch }) => {
    const { stage } = progress;
    const minutes =
      stage.minDurationMs === undefined ? '' : ` over at least ${formatDuration(stage.minDurationMs)}`;
    return [
      formatThreshold(stage.percentage / 100),
      String(epoch),
      formatTime(startedAt),
      `${formatThreshold(stage.minSuccessRate)} of ${formatCount(stage.minOutcomes)}${minutes}`,
      successRate === undefined
        ? '–'
        : `${formatRate(successRate, stage.minSuccessRate)} of ${formatCount(outcomes)}`,
      [...new Set(history.map(({ status }) => status))].join(' → '),
    ];
  });
  const last = stages.at(-1)!;
  return {
    ...section('stages', 'Stages', [stageSentence(last)]),
    tables: [
      {
        caption: 'Stages: criteria and result',
        head: ['Stage', 'Epoch', 'Began', 'Needed', 'Found', 'Result'],
        rows,
      },
    ],
  };
}

function reviews({ reviews }: RolloutReport): Section | undefined {
  if (reviews.length === 0) return undefined;
  const rows = reviews.map(({ openedAt, closedAt, verdict }) => [
    verdict.trigger,
    formatTime(openedAt),
    closedAt === undefined ? 'open' : formatTime(closedAt),
    verdict.message,
  ]);
  return {
    ...section('reviews', 'Reviews', []),
    tables: [{ caption: 'Reviews', head: ['Trigger', 'Opened', 'Closed', 'Why'], rows }],
  };
}

function errorTypes({ errorTypes, arms }: RolloutReport): Section | undefined {
  if (errorTypes.length === 0) return undefined;
  const share = (count: number, counted: number) =>
    counted === 0 ? '–' : `${formatCount(count)} (${formatShare(count / counted)})`;
  const rows = errorTypes
    .slice(0, 20)
    .map(({ errorType, treatment, control }) => [
      errorType,
      share(treatment, arms.treatment.counted),
      share(control, arms.control.counted),
    ]);
  const more = errorTypes.length > 20 ? [`And ${errorTypes.length - 20} more types.`] : [];
  return {
    ...section('errors', 'Error types', more),
    tables: [
      {
        caption: "Failures by error type, with their share of the arm's counted outcomes",
        head: ['Error type', 'Treatment', 'Control'],
        rows,
      },
    ],
  };
}

function rollout({ rollout }: RolloutReport): Section | undefined {
  if (rollout.length === 0) return undefined;
  const rows = rollout.map(({ at, epoch, enabled, percentage }) => [
    formatTime(at),
    enabled
      ? percentage === undefined
        ? 'on, no single percentage'
        : formatThreshold(percentage / 100)
      : 'off',
    String(epoch),
  ]);
  return {
    ...section('rollout', 'Rollout in Unleash', []),
    tables: [{ caption: 'Changes of the rollout', head: ['When', 'Rollout', 'Epoch'], rows }],
  };
}

function notes({ notes }: RolloutReport): Section | undefined {
  if (notes.length === 0) return undefined;
  const rows = notes.slice(-30).map(({ at, text }) => [formatTime(at), text]);
  return {
    ...section('notes', 'Other events', []),
    tables: [{ caption: 'Starts, faults and other events', head: ['When', 'What'], rows }],
  };
}

function sources({ sources }: RolloutReport): Section {
  const {
    outcomes,
    outcomeLinesLeftOut,
    outcomesOfOtherFlags,
    outcomeLinesOutOfOrder,
    outcomeProblems,
    events,
    eventLinesLeftOut,
    eventProblems,
  } = sources;
  const problems = [
    ...outcomeProblems.map(({ file, line, reason }) => [fileName(file), String(line), reason]),
    ...eventProblems.map(({ line, reason }) => ['audit.jsonl', String(line), reason]),
  ];
  const tables =
    problems.length === 0
      ? []
      : [
          {
            caption: 'Lines with problems (the first of them)',
            head: ['File', 'Line', 'Why'],
            rows: problems,
          },
        ];
  const text = [
    `${formatCount(outcomes)} outcomes and ${formatCount(events)} events were read.`,
    `Unreadable and left out: ${formatCount(outcomeLinesLeftOut)} lines of outcomes, ${formatCount(eventLinesLeftOut)} of events.`,
    ...(outcomesOfOtherFlags === 0
      ? []
      : [`Left out, because they are of other flags: ${formatCount(outcomesOfOtherFlags)}.`]),
    `Out of order, but used: ${formatCount(outcomeLinesOutOfOrder)}.`,
  ].join(' ');
  return { ...section('sources', 'Sources of this report', [text]), tables };
}

function fileName(path: string): string {
  return path.split(/[\\/]/).at(-1) ?? path;
}
