import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { RolloutRules } from '../../guard/options/rules.js';
import { AUDIT_FILE } from '../../journal/audit-log.js';
import { readAuditLog } from '../../journal/audit-reader.js';
import { ExposureOrder, type LoggedStep } from '../../log/exposure-order.js';
import { attributesOfRow, type OutcomeRow } from '../../log/log-row-schema.js';
import { type LogProblem, readOutcomeBatches } from '../../log/read-log.js';
import type { GuardEvent } from '../../model/event.js';
import type { Decision } from '../../model/shapes.js';
import { type Firing, type LoggedOutcome, Replay } from './replay.js';
import { TrackedEvents } from './tracked-events.js';

/** What is kept of each kind; the rest is counted. */
const MAX_OF_A_KIND = 200;
const MAX_PROBLEMS = 20;
/** Outcomes that come later after their exposure are exposed late: a guard no longer awaits them either. */
const HORIZON_MS = 60_000;

interface ReplayLogOptions {
  readonly rules: RolloutRules;
  /** The guard's audit log, or `false` for none. @default `audit.jsonl` beside the log */
  readonly audit?: string | false | undefined;
  /** A file of tracked events, for metrics: JSON lines with `timestamp`, `event`, `user` and `value`, ascending. @default none */
  readonly events?: string | undefined;
  /**
   * The interval of ticks, in milliseconds. A guard ticks each second; reviews, stages and silence are then found to the
   * second, and three weeks take 1.8 million ticks. @default 30_000
   */
  readonly tickMs?: number | undefined;
  /**
   * Evaluate after every outcome, as a guard does, instead of after failures and on ticks: exact to the outcome, and about
   * twice the time. @default false
   */
  readonly everyOutcome?: boolean | undefined;
}

/** A list that was cut; `total` is how many there were. */
interface Cut<T> {
  readonly total: number;
  /** The first 200. */
  readonly list: readonly T[];
}

/** What the rules would have done, beside what the guard did. */
export interface ReplayResult {
  readonly flagKey: string | undefined;
  readonly period: { readonly from: number; readonly to: number } | undefined;
  readonly outcomes: number;
  /** Tracked events that were replayed. */
  readonly trackedEvents: number;
  readonly leftOut: number;
  /** Outcomes of other flags than the first one's, which are left out as well. */
  readonly otherFlags: number;
  readonly outOfOrder: number;
  /** The first 20, with their line numbers. */
  readonly problems: readonly LogProblem[];
  /** The first breach of each rollback trigger in each epoch, each by itself. */
  readonly firings: Cut<Firing>;
  /** What the guard would have decided: once in an epoch. */
  readonly decisions: Cut<{ readonly decision: Decision; readonly outcomes: number }>;
  /** Reviews opened and closed, and stages that came to another status. */
  readonly events: Cut<GuardEvent>;
  /** Triggers that never had enough data: what they evaluate may not be in the log. */
  readonly silentTriggers: readonly string[];
  /** What the guard really decided; undefined without an audit log. */
  readonly actual: Cut<Decision> | undefined;
}

/**
 * Replays a recorded log in constant memory, with the audit log beside it, which shows when the rollout changed.
 *
 * @param path - A guard's folder, its `metrics.jsonl` or any JSONL file of outcomes.
 * @throws when there is no such file, or it cannot be read.
 */
export async function replayLog(path: string, options: ReplayLogOptions): Promise<ReplayResult> {
  const found = new Found();
  const tracked = new TrackedEvents(options.events, (problem) => found.problem(problem));
  try {
    return await replayed(path, options, found, tracked);
  } finally {
    await tracked.close();
  }
}

async function replayed(
  path: string,
  options: ReplayLogOptions,
  found: Found,
  tracked: TrackedEvents,
): Promise<ReplayResult> {
  const { rules, tickMs = 30_000, everyOutcome = false } = options;
  const history = new History(await auditPath(path, options.audit));
  const order = new ExposureOrder<LoggedOutcome>(HORIZON_MS);
  let replay: Replay | undefined;
  let flagKey: string | undefined;
  let from = Number.POSITIVE_INFINITY;
  let to = Number.NEGATIVE_INFINITY;
  const trackBefore = (at: number) =>
    tracked.giveBefore(at, (event) => {
      found.trackedEvents += 1;
      replay?.track(event);
    });
  /** What users did and how the rollout changed before a step, by their times. */
  const replayBefore = async (step: LoggedStep<LoggedOutcome> | undefined) => {
    await history.readUntil(step, async (event) => {
      if (tracked.hasBefore(event.at)) await trackBefore(event.at);
      if (event.type === 'decided') found.actual.add(event.decision);
      replay?.rollout(event);
    });
    await trackBefore(step === undefined ? Number.POSITIVE_INFINITY : timeOf(step));
  };
  // Almost always there is nothing, and awaiting nothing a million times takes a second.
  const hasBefore = (step: LoggedStep<LoggedOutcome>) =>
    tracked.hasBefore(timeOf(step)) || history.mayHaveUntil(timeOf(step));
  for await (const rows of readOutcomeBatches(path, { onProblem: (problem) => found.problem(problem) })) {
    for (const row of rows) {
      const outcome = countedPartOf(row);
      flagKey ??= row.flag_key;
      if (row.flag_key !== flagKey) {
        found.otherFlags += row.weight;
        continue;
      }
      const { at } = outcome;
      if (at < from) from = at;
      if (at > to) to = at;
      if (replay === undefined) {
        const startsAt = Math.min(outcome.exposure.at, (await history.firstAt()) ?? outcome.exposure.at);
        replay = new Replay({ flagKey, rules, startsAt, tickMs, everyOutcome, ...found.listeners });
        await tracked.begin(await folderOf(path), flagKey);
      }
      found.outcomes += row.weight;
      for (const step of order.add(outcome, row.weight)) {
        if (hasBefore(step)) await replayBefore(step);
        replay.step(step);
      }
    }
  }
  for (const step of order.rest()) {
    if (hasBefore(step)) await replayBefore(step);
    replay?.step(step);
  }
  await replayBefore(undefined);
  const { actual, ...counted } = found;
  return {
    flagKey,
    period: found.outcomes === 0 ? undefined : { from, to },
    ...counted,
    silentTriggers: replay?.silentTriggers ?? [],
    actual: history.exists ? actual : undefined,
  };
}

/** When a step happened. */
function timeOf({ type, outcome }: LoggedStep<LoggedOutcome>): number {
  return type === 'exposure' ? Math.min(outcome.exposure.at, outcome.at) : outcome.at;
}

/** What rules evaluate: neither attributes nor variants, which would take as long as evaluating. */
function countedPartOf(row: OutcomeRow): LoggedOutcome {
  const at = Date.parse(row.timestamp);
  return {
    exposure: {
      flagKey: row.flag_key,
      arm: row.arm,
      variant: undefined,
      reason: row.reason ?? undefined,
      errorCode: row.evaluation_error ?? undefined,
      targetingKey: row.user ?? undefined,
      chance: row.chance ?? undefined,
      unit: row.unit ?? undefined,
      isOperation: row.operation,
      epoch: row.epoch,
      at: at - row.exposed_ms_ago,
    },
    result: row.result,
    durationMs: row.duration_ms ?? undefined,
    errorType: row.error_type ?? undefined,
    critical: row.critical,
    fallbackUsed: row.fallback_used,
    userSucceeded: row.user_succeeded,
    attempts: row.attempts,
    // Only where they are wanted: for all, it would take as long as evaluating.
    get attributes() {
      return attributesOfRow(row);
    },
    at,
    percentage: row.percentage ?? undefined,
  };
}

async function auditPath(path: string, audit: string | false | undefined): Promise<string | undefined> {
  if (audit === false) return undefined;
  if (audit !== undefined) return audit;
  return join(await folderOf(path), AUDIT_FILE);
}

async function folderOf(path: string): Promise<string> {
  return (await stat(path)).isDirectory() ? path : dirname(path);
}

/** The audit log, read up to the time of the outcomes. */
class History {
  readonly #events: AsyncGenerator<GuardEvent> | undefined;
  /** Read and not replayed yet; `null` before the first and `undefined` after the last. */
  #next: GuardEvent | null | undefined = null;
  exists = false;

  constructor(path: string | undefined) {
    this.#events = path === undefined ? undefined : readAuditLog(path);
  }

  async firstAt(): Promise<number | undefined> {
    if (this.#next === null) await this.#read();
    return this.#next?.at;
  }

  mayHaveUntil(at: number): boolean {
    return this.#next === null || (this.#next !== undefined && this.#next.at <= at);
  }

  /** Within one millisecond, the epoch of an outcome shows whether the rollout changed before it or after. */
  async readUntil(
    step: LoggedStep<LoggedOutcome> | undefined,
    onEvent: (event: GuardEvent) => Promise<void>,
  ): Promise<void> {
    const at = step === undefined ? Number.POSITIVE_INFINITY : timeOf(step);
    const epoch = step?.outcome.exposure.epoch ?? Number.POSITIVE_INFINITY;
    for (let next = this.#next; next !== undefined; next = this.#next) {
      if (next !== null) {
        if (next.at > at || (next.at === at && 'epoch' in next && next.epoch > epoch)) return;
        await onEvent(next);
      }
      await this.#read();
    }
  }

  async #read(): Promise<void> {
    const read = await this.#events?.next();
    this.#next = read === undefined || read.done === true ? undefined : read.value;
    if (this.#next !== undefined) this.exists = true;
  }
}

class Bounded<T> implements Cut<T> {
  total = 0;
  readonly list: T[] = [];

  add(item: T): void {
    this.total += 1;
    if (this.list.length < MAX_OF_A_KIND) this.list.push(item);
  }

  toJSON(): Cut<T> {
    return { total: this.total, list: this.list };
  }
}

/** What was found so far. */
class Found {
  outcomes = 0;
  trackedEvents = 0;
  leftOut = 0;
  otherFlags = 0;
  outOfOrder = 0;
  readonly problems: LogProblem[] = [];
  readonly firings = new Bounded<Firing>();
  readonly decisions = new Bounded<{ readonly decision: Decision; readonly outcomes: number }>();
  readonly events = new Bounded<GuardEvent>();
  readonly actual = new Bounded<Decision>();

  get listeners() {
    return {
      onFiring: (firing: Firing) => this.firings.add(firing),
      onDecision: (decision: Decision, outcomes: number) => this.decisions.add({ decision, outcomes }),
      onEvent: (event: GuardEvent) => this.events.add(event),
    };
  }

  problem(problem: LogProblem): void {
    if (problem.used) this.outOfOrder += 1;
    else this.leftOut += 1;
    if (this.problems.length < MAX_PROBLEMS) this.problems.push(problem);
  }
}
