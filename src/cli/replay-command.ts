import type { Command } from 'commander';
import { z } from 'zod';
import type { RolloutRules } from '../guard/options/rules.js';
import type { GuardEvent } from '../model/event.js';
import { entryOf } from '../model/event-table.js';
import type { Decision } from '../model/shapes.js';
import { formatPercentage, formatTime } from '../report/format.js';
import { durationMsSchema } from '../support/config-schemas.js';
import { countOf, formatCount } from '../support/wording.js';
import type { Trigger } from '../triggers/trigger.js';
import { type ReplayResult, replayLog } from '../what-if/replay/replay-log.js';
import { TRIGGER_NAMES } from '../what-if/replay/rules-file.js';
import { complete, pathOption, rulesOf } from './command.js';

const HELP = `
The rules are a JSON file,

  { "rollback": [{ "successRateBelow": [0.97, { "minOutcomes": 50 }] }, { "criticalErrors": [] }],
    "review": [{ "successRateBetween": [0.97, 0.99] }],
    "stages": [{ "percentage": 10, "minOutcomes": 500, "minSuccessRate": 0.99 }] }

with the triggers ${TRIGGER_NAMES.join(', ')};
or a JavaScript module that exports rollback, review and stages, made with the package's functions. A module is executed.
Without --config, the rules of the first rollout (async-upload) are used.

It is a dry run: it evaluates after each failure and every 30 seconds of the log's time, decides once in an epoch, and
changes nothing that happened. With --exact it evaluates after every outcome and each second, as a guard does. A live
guard evaluates outcomes of one turn of the event loop together, so it may fire a few outcomes later. Memory, baselines,
signals from elsewhere (Prometheus is not queried) and operations that never ended are not in the log: rules on them are
not evaluated. Nor are tracked events: --events takes an export of them, ascending, one a line,

  { "timestamp": "2026-03-02T09:30:00Z", "event": "cart-value", "user": "ada", "value": 49.9 }

Exit codes: 0 the log was replayed, 1 it cannot be read, 2 wrong usage or wrong rules.`;

const optionsSchema = z.object({
  config: pathOption.optional(),
  audit: z.union([pathOption, z.literal(false)]).optional(),
  events: pathOption.optional(),
  tick: durationMsSchema.optional(),
  exact: z.boolean(),
  json: z.boolean(),
});

/** Adds the subcommand `replay`. */
export function registerReplay(program: Command): void {
  const command = program
    .command('replay')
    .description('Shows what other thresholds would have done with recorded outcomes.')
    .argument('<log>', 'metrics.jsonl, or the folder of a guard')
    .option('--config <file>', 'the rules to try: JSON, or a JavaScript module')
    .option('--audit <file>', "the guard's audit log (default: audit.jsonl beside the log)")
    .option('--no-audit', 'replay the outcomes alone')
    .option(
      '--events <file>',
      'tracked events, for metrics: JSON lines with timestamp, event, user and value',
    )
    .option(
      '--tick <ms>',
      'how often to evaluate while no failure comes, in milliseconds (default: 30000)',
      Number,
    )
    .option('--exact', 'evaluate after every outcome and each second: slower', false)
    .option('--json', 'print the result as JSON', false);
  complete(command, HELP, optionsSchema, async ({ config, audit, events, tick, exact, json }, log) => {
    const rules = await rulesOf(config);
    const result = await replayLog(log, {
      rules,
      audit,
      events,
      tickMs: tick ?? (exact ? 1_000 : undefined),
      everyOutcome: exact,
    });
    console.log(json ? JSON.stringify(result, undefined, 2) : render(result, rules));
  });
}

function render(result: ReplayResult, rules: RolloutRules): string {
  const { firings, decisions, events, actual, silentTriggers, period } = result;
  if (period === undefined) return ['There is no outcome to replay.', ...problemLines(result)].join('\n');
  const blocks = [
    [
      `${result.flagKey}: ${formatCount(result.outcomes)} outcomes${result.trackedEvents === 0 ? '' : ` and ${countOf(result.trackedEvents, 'tracked event')}`}, ${formatTime(period.from)} to ${formatTime(period.to)}`,
    ],
    [
      'First breach of each rollback trigger in each epoch:',
      ...orNone(
        firings.list.map(
          ({ trigger, at, epoch, rolloutPercentage, outcomes, verdict }) =>
            `${formatTime(at)}  ${trigger}${verdict.dryRun ? ' (dry run)' : ''}, epoch ${epoch}${atPercentage(rolloutPercentage)}, after ${formatCount(outcomes)} outcomes\n    ${verdict.message}`,
        ),
      ),
      ...more(firings.total, firings.list.length),
    ],
    [
      'These rules would have stopped the flag:',
      ...orNone(
        decisions.list.map(({ decision, outcomes }) =>
          decisionLine(decision, `, after ${formatCount(outcomes)} outcomes`),
        ),
      ),
      ...more(decisions.total, decisions.list.length),
    ],
    actual === undefined
      ? ['What the guard really did is not known: there is no audit log.']
      : ['What really happened:', ...orNone(actual.list.map((decision) => decisionLine(decision, '')))],
    [
      'Reviews and stages:',
      ...orNone(events.list.flatMap((event) => eventLine(event) ?? [])),
      ...more(events.total, events.list.length),
    ],
    silentLines(silentTriggers, rules),
    problemLines(result),
  ];
  return blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

function silentLines(silent: readonly string[], { rollback, review }: RolloutRules): string[] {
  const triggers = [...rollback, ...review].filter(({ name }) => silent.includes(name));
  const namesOf = (those: readonly Trigger[]) => those.map(({ name }) => name).join(', ');
  const signals = triggers.filter(({ signal }) => signal !== undefined);
  const others = triggers.filter(({ signal }) => signal === undefined);
  return [
    ...(others.length === 0 ? [] : [`Never had enough data for a verdict: ${namesOf(others)}.`]),
    ...(signals.length === 0 ? [] : [`Not replayed, because a log has no signals: ${namesOf(signals)}.`]),
  ];
}

function decisionLine(decision: Decision, outcomes: string): string {
  const { at, epoch, rolloutPercentage, reason, dryRun } = decision;
  const isRealDryRun = dryRun && outcomes === '' ? ' (dry run)' : '';
  return `${formatTime(at)}  epoch ${epoch}${atPercentage(rolloutPercentage)}${outcomes}${isRealDryRun}\n    ${reason}`;
}

function eventLine(event: GuardEvent): string | undefined {
  switch (event.type) {
    case 'stage':
      return `${formatTime(event.at)}  ${entryOf(event).log(event).line}`;
    case 'review-opened':
      return `${formatTime(event.at)}  review ${event.verdict.dryRun ? 'would be ' : ''}opened: ${event.verdict.message}`;
    case 'review-closed':
      return `${formatTime(event.at)}  review ${event.verdict.dryRun ? 'would be ' : ''}closed: ${event.verdict.message}`;
    case 'fault':
      return `${formatTime(event.at)}  fault: ${event.what}: ${event.message}`;
    default:
      return undefined;
  }
}

function problemLines({ leftOut, otherFlags, outOfOrder, problems }: ReplayResult): string[] {
  if (leftOut + otherFlags + outOfOrder === 0) return [];
  return [
    `Lines left out: ${formatCount(leftOut)}; of other flags: ${formatCount(otherFlags)}; out of order and used: ${formatCount(outOfOrder)}.`,
    ...problems.map(({ file, line, reason }) => `  ${file}:${line}: ${reason}`),
    ...more(leftOut + outOfOrder, problems.length),
  ];
}

function atPercentage(percentage: number | undefined): string {
  return percentage === undefined ? '' : ` at ${formatPercentage(percentage)}`;
}

function orNone(lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? ['  none'] : lines.map((line) => `  ${line}`);
}

function more(total: number, shown: number): string[] {
  return total > shown ? [`  … and ${formatCount(total - shown)} more`] : [];
}
