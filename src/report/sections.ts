import type { Verdict } from '../model/shapes.js';
import {
  countOf,
  formatCount,
  formatDuration,
  formatRate,
  formatSpan,
  formatThreshold,
  verdictFigures,
  verdictWord,
} from '../support/wording.js';
import { concentrationTable, decisionSection } from './decision-section.js';
import {
  formatImprovement,
  formatLatency,
  formatPercentage,
  formatPoints,
  formatShare,
  formatTime,
  rolloutWord,
} from './format.js';
import { stageSentence } from './headline.js';
import { metricsSection } from './metrics/metrics-section.js';
import type { ReviewReport, RolloutReport } from './rollout-report.js';
import type { Section, Table } from './section.js';

/** The parts of the Markdown and HTML report, in order: what was decided, on what it rests, and how it came to that. */
export function sectionsOf(report: RolloutReport): readonly Section[] {
  return [
    decisionSection(report),
    ...[triggers(report)].filter(hasRows),
    comparison(report),
    ...[metricsSection(report)].filter(hasTables),
    ...[whereItFails(report), stages(report), reviews(report), timeline(report)].filter(hasTables),
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

function hasTables({ tables = [] }: Section): boolean {
  return tables.some(({ rows }) => rows.length > 0);
}

function figuresOf(verdict: Verdict): [observed: string, threshold: string] {
  const { observed = '–', threshold } = verdictFigures(verdict);
  return [observed, threshold];
}

/** What each trigger observed last: beside the decisions, all that did not breach. */
function triggers({ triggers }: RolloutReport): TableSection {
  const rows = triggers.map(({ name, severity, verdict, evidence, since }) => [
    name,
    severity === 'rollback' ? 'stops' : 'review',
    verdict === undefined ? 'not evaluated yet' : verdictWord(verdict),
    since === undefined ? '–' : formatTime(since),
    ...(verdict === undefined ? ['–', '–'] : figuresOf(verdict)),
    evidence === undefined ? '–' : `${Math.floor(evidence * 100)} %`,
  ]);
  const head = ['Trigger', 'Then', 'Is', 'Since', 'Observed', 'Threshold', 'Evidence'];
  return {
    id: 'triggers',
    title: 'Triggers',
    paragraphs: ['As evaluated last. Evidence: how far a sequential test has come towards its threshold.'],
    tables: [{ caption: 'What each trigger observed last', head, rows }],
  };
}

function comparison({ arms, comparison, period }: RolloutReport): Section {
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
    row('Without an outcome in time', count, ({ unfinished }) => unfinished),
    row('Complaints', count, ({ complaints }) => complaints),
    row('Mean duration', formatLatency, ({ latency }) => latency?.meanMs, formatImprovement(faster.mean)),
    row('Median (p50)', formatLatency, ({ latency }) => latency?.p50Ms, formatImprovement(faster.p50)),
    row('p95', formatLatency, ({ latency }) => latency?.p95Ms, formatImprovement(faster.p95)),
    row('p99', formatLatency, ({ latency }) => latency?.p99Ms, formatImprovement(faster.p99)),
    row("Not counted: users' own mistakes, aborts", count, ({ expected, aborted }) => expected + aborted),
  ];
  const when =
    period === undefined
      ? 'No outcome has been counted.'
      : `Outcomes from ${formatTime(period.from)} to ${formatTime(period.to)} (${formatSpan(period.to - period.from)}). Durations are those of successes.`;
  const title = 'Treatment against control';
  const head = ['', 'Treatment', 'Control', 'Treatment is'];
  return {
    id: 'comparison',
    title,
    charts: ['latency'],
    paragraphs: [when],
    tables: [{ caption: title, head, rows }],
  };
}

/** Error types, and what failing users have in common. */
function whereItFails({ failing, errorTypes, arms }: RolloutReport): Section {
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
    id: 'failures',
    title: 'Where it fails',
    paragraphs: errorTypes.length > 20 ? [`And ${errorTypes.length - 20} more error types.`] : [],
    tables: [
      ...(failing.length === 0 ? [] : [concentrationTable(failing)]),
      { caption, head: ['Error type', 'Treatment', 'Control'], rows },
    ].filter(({ rows }) => rows.length > 0),
  };
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
  const rows = reviews.map(({ openedAt, closedAt, acknowledged, verdict }) => [
    verdict.trigger,
    formatTime(openedAt),
    closedAt === undefined ? 'open' : `${formatTime(closedAt)}${byWord(acknowledged)}`,
    verdict.message,
  ]);
  const title = 'Reviews';
  return {
    id: 'reviews',
    title,
    tables: [{ caption: title, head: ['Trigger', 'Opened', 'Closed', 'Why'], rows }],
  };
}

/** `, acknowledged by ann: checked`; nothing for a review that ended by itself. */
function byWord(acknowledged: ReviewReport['acknowledged']): string {
  if (acknowledged === undefined) return '';
  const { by, reason } = acknowledged;
  return `, acknowledged by ${by}${reason === undefined ? '' : `: ${reason}`}`;
}

/** Everything that happened, in one list: what has a section of its own is there in detail. */
function timeline({ rollout, decisions, reviews, notes }: RolloutReport): TableSection {
  const entries = [
    ...rollout.map((change) => ({
      at: change.at,
      text: `Rollout: ${rolloutWord(change, 'on, no single percentage')} (epoch ${change.epoch})`,
    })),
    ...decisions.map(({ decision: { at, dryRun, action, reason } }) => ({
      at,
      text: `${dryRun ? 'Dry run: would have ' : ''}${action === 'stop' ? 'stopped' : 'stepped back'}: ${reason}`,
    })),
    ...reviews.flatMap(({ verdict: { trigger }, openedAt, closedAt, acknowledged }) => [
      { at: openedAt, text: `Review opened: ${trigger}` },
      ...(closedAt === undefined
        ? []
        : [{ at: closedAt, text: `Review closed: ${trigger}${byWord(acknowledged)}` }]),
    ]),
    ...notes,
  ].sort((a, b) => a.at - b.at);
  const rows = entries.slice(-MAX_ENTRIES).map(({ at, text }) => [formatTime(at), text]);
  const left = entries.length - rows.length;
  return {
    id: 'timeline',
    title: 'Timeline',
    paragraphs:
      left === 0 ? [] : [`The latest ${rows.length}; ${formatCount(left)} earlier ones are left out.`],
    tables: [{ caption: 'What happened', head: ['When', 'What'], rows }],
  };
}

/** More would be no page to hand on; all are in `audit.jsonl`. */
const MAX_ENTRIES = 60;

function sources({ sources, generatedAt }: RolloutReport): Section {
  const { guards, rollups, events, eventLinesLeftOut, problems } = sources;
  const from = guards === 1 ? '' : ` of ${guards} guards`;
  const text = [
    `Made on ${formatTime(generatedAt)} from ${countOf(rollups, 'rollup')} and ${countOf(events, 'event')}${from}; every outcome is counted.`,
    ...(eventLinesLeftOut === 0
      ? []
      : [
          `${countOf(eventLinesLeftOut, 'line')} of the audit log could not be read and ${eventLinesLeftOut === 1 ? 'is' : 'are'} left out.`,
        ]),
    ...(problems.length === 0 ? [] : [`Left out, because it cannot be read: ${problems.join('; ')}.`]),
  ].join(' ');
  return { id: 'sources', title: 'Sources', paragraphs: [text] };
}
