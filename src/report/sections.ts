import { basename } from 'node:path';
import { formatDuration, formatRate, formatSpan, formatThreshold } from '../support/wording.js';
import { decisionSection } from './decision-section.js';
import {
  formatCount,
  formatImprovement,
  formatLatency,
  formatPercentage,
  formatPoints,
  formatShare,
  formatTime,
  rolloutWord,
} from './format.js';
import { stageSentence } from './headline.js';
import type { RolloutReport } from './rollout-report.js';
import type { Section, Table } from './section.js';

/** The parts of the Markdown and HTML report, in order. */
export function sectionsOf(report: RolloutReport): readonly Section[] {
  return [
    comparison(report),
    ...[executionTypes(report), stages(report)].filter(hasRows),
    decisionSection(report),
    ...[reviews(report), errorTypes(report), rollout(report), notes(report)].filter(hasRows),
    sources(report),
  ];
}

/** A section with one table. */
interface TableSection extends Section {
  readonly tables: readonly [Table];
}

function hasRows({ tables: [table] }: TableSection): boolean {
  return table.rows.length > 0;
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
  const points = formatPoints(comparison.successRateDifference);
  const faster = comparison.latencyImprovement;
  const rows = [
    row('Counted outcomes', count, ({ counted }) => counted),
    row('Success rate', formatShare, ({ successRate }) => successRate, points),
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
  const title = 'Treatment against control';
  const head = ['', 'Treatment', 'Control', 'Treatment is'];
  return { id: 'comparison', title, paragraphs: [when], tables: [{ caption: title, head, rows }] };
}

function executionTypes({ executionTypes }: RolloutReport): TableSection {
  const rows = executionTypes.map((type) => [
    type.executionType,
    formatCount(type.count),
    formatShare(type.successRate),
    ...[type.meanMs, type.p50Ms, type.p95Ms, type.p99Ms].map(formatLatency),
  ]);
  const title = 'By execution type';
  const head = ['Path', 'Operations', 'Users served', 'Mean', 'p50', 'p95', 'p99'];
  return { id: 'paths', title, tables: [{ caption: title, head, rows }] };
}

function stages({ stages }: RolloutReport): TableSection {
  const rows = stages.map(({ progress: { stage }, startedAt, history, outcomes, successRate, epoch }) => {
    const minutes =
      stage.minDurationMs === undefined ? '' : ` over at least ${formatDuration(stage.minDurationMs)}`;
    return [
      formatPercentage(stage.percentage),
      String(epoch),
      formatTime(startedAt),
      `${formatThreshold(stage.minSuccessRate)} of ${formatCount(stage.minOutcomes)}${minutes}`,
      successRate === undefined
        ? '–'
        : `${formatRate(successRate, stage.minSuccessRate)} of ${formatCount(outcomes)}`,
      [...new Set(history.map(({ status }) => status))].join(' → '),
    ];
  });
  const head = ['Stage', 'Epoch', 'Began', 'Needed', 'Found', 'Result'];
  return {
    id: 'stages',
    title: 'Stages',
    paragraphs: stages.slice(-1).map(stageSentence),
    tables: [{ caption: 'Stages: criteria and result', head, rows }],
  };
}

function reviews({ reviews }: RolloutReport): TableSection {
  const rows = reviews.map(({ openedAt, closedAt, verdict }) => [
    verdict.trigger,
    formatTime(openedAt),
    closedAt === undefined ? 'open' : formatTime(closedAt),
    verdict.message,
  ]);
  const title = 'Reviews';
  return {
    id: 'reviews',
    title,
    tables: [{ caption: title, head: ['Trigger', 'Opened', 'Closed', 'Why'], rows }],
  };
}

function errorTypes({ errorTypes, arms }: RolloutReport): TableSection {
  const share = (count: number, counted: number) =>
    counted === 0 ? '–' : `${formatCount(count)} (${formatShare(count / counted)})`;
  const rows = errorTypes
    .slice(0, 20)
    .map(({ errorType, treatment, control }) => [
      errorType,
      share(treatment, arms.treatment.counted),
      share(control, arms.control.counted),
    ]);
  const caption = "Failures by error type, with their share of the arm's counted outcomes";
  return {
    id: 'errors',
    title: 'Error types',
    paragraphs: errorTypes.length > 20 ? [`And ${errorTypes.length - 20} more types.`] : [],
    tables: [{ caption, head: ['Error type', 'Treatment', 'Control'], rows }],
  };
}

function rollout({ rollout }: RolloutReport): TableSection {
  const rows = rollout.map((change) => [
    formatTime(change.at),
    rolloutWord(change, 'on, no single percentage'),
    String(change.epoch),
  ]);
  return {
    id: 'rollout',
    title: 'Rollout in Unleash',
    tables: [{ caption: 'Changes of the rollout', head: ['When', 'Rollout', 'Epoch'], rows }],
  };
}

function notes({ notes }: RolloutReport): TableSection {
  const rows = notes.slice(-30).map(({ at, text }) => [formatTime(at), text]);
  return {
    id: 'notes',
    title: 'Other events',
    tables: [{ caption: 'Starts, faults and other events', head: ['When', 'What'], rows }],
  };
}

function sources({ sources }: RolloutReport): Section {
  const { outcomesOfOtherFlags, outcomeProblems, eventProblems } = sources;
  const rows = [
    ...outcomeProblems.map(({ file, line, reason }) => [basename(file), String(line), reason]),
    ...eventProblems.map(({ file, line, reason }) => [basename(file), String(line), reason]),
  ];
  const text = [
    `${formatCount(sources.outcomes)} outcomes and ${formatCount(sources.events)} events were read.`,
    `Unreadable and left out: ${formatCount(sources.outcomeLinesLeftOut)} lines of outcomes, ${formatCount(sources.eventLinesLeftOut)} of events.`,
    ...(outcomesOfOtherFlags === 0
      ? []
      : [`Left out, because they are of other flags: ${formatCount(outcomesOfOtherFlags)}.`]),
    `Out of order, but used: ${formatCount(sources.outcomeLinesOutOfOrder)}.`,
  ].join(' ');
  const problems = {
    caption: 'Lines with problems (the first of them)',
    head: ['File', 'Line', 'Why'],
    rows,
  };
  return {
    id: 'sources',
    title: 'Sources of this report',
    paragraphs: [text],
    tables: rows.length === 0 ? [] : [problems],
  };
}
