import { appendFile, copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseRules, type RolloutRules } from '../../../src/guard/options/rules.js';
import type { GuardEvent } from '../../../src/model/event.js';
import type { Decision } from '../../../src/model/shapes.js';
import { criticalErrors } from '../../../src/triggers/critical-errors.js';
import { failureRegression } from '../../../src/triggers/event-regression.js';
import { memoryGrowth } from '../../../src/triggers/memory-growth.js';
import { successRateBelow } from '../../../src/triggers/success-rate-below.js';
import { successRateBetween } from '../../../src/triggers/success-rate-between.js';
import { replayLog } from '../../../src/what-if/replay/replay-log.js';
import { type RecordedRollout, recordRollout } from '../../helpers/recorded-rollout.js';

const RULES: RolloutRules = parseRules(
  {
    rollback: [
      successRateBelow(0.9, { minOutcomes: 50 }),
      failureRegression({ alpha: 0.0001 }),
      criticalErrors(),
      memoryGrowth(1.2),
    ],
    review: [successRateBetween(0.9, 0.97, { minOutcomes: 20, windowMs: 60_000 })],
    reviewCloseAfterMs: 30_000,
    stages: [
      { percentage: 20, minOutcomes: 100, minSuccessRate: 0.9 },
      { percentage: 50, minOutcomes: 100, minSuccessRate: 0.98, minDurationMs: 400_000 },
      { percentage: 80, minOutcomes: 1_000, minSuccessRate: 0.97 },
    ],
  },
  'rules',
);

/** As a guard evaluates. */
const EXACT = { tickMs: 1_000, everyOutcome: true } as const;

let folder: string;
let recorded: RecordedRollout;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'replay-'));
  recorded = await recordRollout(
    folder,
    [
      { percentage: 50, outcomes: 500, everyMs: 1_700, failureRate: { treatment: 0.004 } },
      { percentage: 80, outcomes: 300, everyMs: 1_700, failureRate: { treatment: 0.06 } },
      { percentage: 80, outcomes: 300, everyMs: 1_700, failureRate: { treatment: 0.25 } },
      { percentage: 80, outcomes: 300, everyMs: 1_700, failureRate: { treatment: 0.25 } },
      { percentage: 0, outcomes: 100, everyMs: 1_700 },
      { percentage: 20, outcomes: 600, everyMs: 1_700 },
    ],
    { ...RULES },
  );
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** What a replay cannot reproduce: who decided, and what the decision was called. */
function reasonsOf({ at, epoch, rolloutPercentage, verdicts, counts, reason }: Decision) {
  return { at, epoch, rolloutPercentage, verdicts, counts, reason };
}

const reported = (events: readonly GuardEvent[]) =>
  events.filter(({ type }) => type === 'stage' || type === 'review-opened' || type === 'review-closed');

describe('replayLog', () => {
  it('reproduces exactly what the guard that wrote the log decided', async () => {
    const { decisions, actual, outcomes } = await replayLog(folder, { rules: RULES, ...EXACT });
    expect(recorded.decisions.length).toBeGreaterThanOrEqual(2);
    expect(outcomes).toBe(recorded.outcomes);
    expect(decisions.list.map(({ decision }) => reasonsOf(decision))).toEqual(
      recorded.decisions.map(reasonsOf),
    );
    expect(actual?.list).toEqual(recorded.decisions);
  });

  it('reproduces reviews and stages to the second', async () => {
    const { events } = await replayLog(folder, { rules: RULES, ...EXACT });
    const types = new Set(reported(recorded.events).map(({ type }) => type));
    expect(types).toEqual(new Set(['stage', 'review-opened', 'review-closed']));
    expect(reported(events.list)).toEqual(reported(recorded.events));
  });

  it('dates the same decisions at most one tick later at the default pace', async () => {
    const { decisions } = await replayLog(folder, { rules: RULES });
    expect(decisions.total).toBe(recorded.decisions.length);
    decisions.list.forEach(({ decision }, index) => {
      const delayMs = decision.at - recorded.decisions[index]!.at;
      expect(delayMs).toBeGreaterThanOrEqual(0);
      expect(delayMs).toBeLessThanOrEqual(30_000);
    });
  });

  it('fires earlier under a stricter threshold, and counts the outcomes up to then', async () => {
    const rules = parseRules({ rollback: [successRateBelow(0.97, { minOutcomes: 50 })] }, 'rules');
    const { firings, decisions } = await replayLog(folder, { rules });
    const [first] = firings.list;
    expect(first!.at).toBeLessThan(recorded.decisions[0]!.at);
    expect(first!.trigger).toBe('success-rate-below');
    expect(first!.outcomes).toBeLessThan(recorded.outcomes);
    expect(decisions.list[0]).toMatchObject({ outcomes: first!.outcomes, decision: { at: first!.at } });
  });

  it('shows what a rule in dry run finds, and lets only the others decide', async () => {
    const rules = (dryRun: boolean) =>
      parseRules(
        {
          rollback: [
            successRateBelow(0.97, { minOutcomes: 50, name: 'tried', dryRun }),
            successRateBelow(0.9, { minOutcomes: 50, strict: true }),
          ],
        },
        'rules',
      );
    const [dry, real] = [
      await replayLog(folder, { rules: rules(true) }),
      await replayLog(folder, { rules: rules(false) }),
    ];
    expect(dry.firings.list.map(({ trigger, at }) => [trigger, at])).toEqual(
      real.firings.list.map(({ trigger, at }) => [trigger, at]),
    );
    const marked = dry.firings.list.filter(({ verdict }) => verdict.dryRun === true);
    expect(new Set(marked.map(({ trigger }) => trigger))).toEqual(new Set(['tried']));
    const decided = dry.decisions.list.flatMap(({ decision }) => decision.verdicts);
    expect(new Set(decided.map(({ trigger }) => trigger))).toEqual(new Set(['success-rate-below']));
  });

  it('stays silent under a threshold that nothing reached', async () => {
    const rules = parseRules({ rollback: [successRateBelow(0.3)] }, 'rules');
    const { firings, decisions } = await replayLog(folder, { rules });
    expect([firings.total, decisions.total]).toEqual([0, 0]);
  });

  it('lists each trigger’s own first breach in an epoch, though only the first of all decides', async () => {
    const rules = parseRules(
      {
        rollback: [
          successRateBelow(0.97, { minOutcomes: 50, name: 'strict' }),
          successRateBelow(0.93, { minOutcomes: 50, name: 'mild' }),
        ],
      },
      'rules',
    );
    const { firings, decisions } = await replayLog(folder, { rules });
    const epoch = firings.list.find(({ trigger }) => trigger === 'mild')!.epoch;
    const ofEpoch = firings.list.filter((firing) => firing.epoch === epoch).map(({ trigger }) => trigger);
    expect(ofEpoch).toEqual(['strict', 'mild']);
    expect(decisions.list.filter(({ decision }) => decision.epoch === epoch)).toHaveLength(1);
  });

  it('names the triggers that had no data', async () => {
    const { silentTriggers } = await replayLog(folder, { rules: RULES });
    expect(silentTriggers).toEqual(['memory-growth']);
  });

  it('does without an audit log: epochs and percentages are those of the lines', async () => {
    const alone = await mkdtemp(join(tmpdir(), 'replay-'));
    try {
      await copyFile(join(folder, 'metrics.jsonl'), join(alone, 'outcomes.jsonl'));
      const { decisions, actual, flagKey } = await replayLog(join(alone, 'outcomes.jsonl'), { rules: RULES });
      expect(actual).toBeUndefined();
      expect(flagKey).toBe('async-upload');
      expect(decisions.list[0]!.decision).toMatchObject({
        at: recorded.decisions[0]!.at,
        rolloutPercentage: recorded.decisions[0]!.rolloutPercentage,
      });
    } finally {
      await rm(alone, { recursive: true, force: true });
    }
  });

  it('notices in silence what leaves the window', async () => {
    const alone = await mkdtemp(join(tmpdir(), 'replay-'));
    const lines: string[] = [];
    const at = (second: number) => new Date(Date.UTC(2026, 0, 1) + second * 1_000).toISOString();
    const add = (second: number, success: boolean) =>
      lines.push(
        JSON.stringify({ timestamp: at(second), flag_key: 'f', arm: 'treatment', success, duration_ms: 1 }),
      );
    // 40 good outcomes, then 20 of which 3 fail: 95 % while all are in the window, 85 % when the good ones have left.
    for (let index = 0; index < 40; index++) add(0, true);
    for (let index = 0; index < 20; index++) add(200, index > 2);
    add(3_600, true);
    await writeFile(join(alone, 'metrics.jsonl'), `${lines.join('\n')}\n`);
    try {
      const rules = parseRules({ rollback: [successRateBelow(0.9, { strict: true })] }, 'rules');
      const { firings } = await replayLog(alone, { rules, tickMs: 1_000 });
      expect(firings.list).toHaveLength(1);
      expect(firings.list[0]).toMatchObject({ outcomes: 60, verdict: { observed: 17 / 20 } });
      const second = (firings.list[0]!.at - Date.UTC(2026, 0, 1)) / 1_000;
      // The window is 300 s, its buckets 5 s long.
      expect(second).toBeGreaterThanOrEqual(300);
      expect(second).toBeLessThanOrEqual(306);
    } finally {
      await rm(alone, { recursive: true, force: true });
    }
  });

  it.each([
    ['long past', '1970-01-01T00:00:00.000Z', 0],
    ['far in the future', '2999-01-01T00:00:00.000Z', 0],
    ['long past, as the first of all', '1970-01-01T00:00:00.000Z', -1],
  ])('continues after a line whose time is %s', async (_what, wrong, after) => {
    const alone = await mkdtemp(join(tmpdir(), 'replay-'));
    const row = (timestamp: string, success: boolean) =>
      `${JSON.stringify({ timestamp, flag_key: 'f', arm: 'treatment', success })}\n`;
    let text = '';
    for (let index = -1; index < 200; index++) {
      if (index >= 0) text += row(new Date(Date.UTC(2026, 0, 1) + index * 1_000).toISOString(), index < 100);
      if (index === after) text += row(wrong, true);
    }
    try {
      await writeFile(join(alone, 'metrics.jsonl'), text);
      const rules = parseRules({ rollback: [successRateBelow(0.9)] }, 'rules');
      const { firings, outcomes } = await replayLog(alone, { rules });
      expect(outcomes).toBe(201);
      expect(firings.list).toHaveLength(1);
      const second = (firings.list[0]!.at - Date.UTC(2026, 0, 1)) / 1_000;
      // Of 100 good ones, more than 11 bad ones are too many; up to 10 lines are lost before a clock is believed.
      expect(second).toBeGreaterThanOrEqual(105);
      expect(second).toBeLessThanOrEqual(113);
    } finally {
      await rm(alone, { recursive: true, force: true });
    }
  });

  it.each([
    ['0 bytes', '', []],
    ['foreign lines only', 'a\n{}\n', [1, 2]],
  ])('replays a log of %s as one without outcomes', async (_what, text, lines) => {
    const bad = await mkdtemp(join(tmpdir(), 'replay-'));
    try {
      await writeFile(join(bad, 'metrics.jsonl'), text);
      const result = await replayLog(bad, { rules: RULES });
      expect(result).toMatchObject({ outcomes: 0, period: undefined, leftOut: lines.length });
      expect(result.problems.map(({ line }) => line)).toEqual(lines);
    } finally {
      await rm(bad, { recursive: true, force: true });
    }
  });

  it('counts what is wrong with a log, lists the first of it, and uses the rest', async () => {
    const bad = await mkdtemp(join(tmpdir(), 'replay-'));
    const path = join(bad, 'metrics.jsonl');
    const row = (second: number, more: object = {}) =>
      `${JSON.stringify({ timestamp: new Date(second * 1_000).toISOString(), flag_key: 'f', arm: 'treatment', success: true, ...more })}\n`;
    try {
      await writeFile(
        path,
        row(100) + row(50) + row(101, { flag_key: 'other' }) + row(102, { success: 'yes' }),
      );
      await appendFile(path, 'x\n'.repeat(1_000));
      await appendFile(path, row(103).slice(0, 30));
      const result = await replayLog(bad, { rules: RULES });
      expect(result).toMatchObject({ outcomes: 2, leftOut: 1_002, otherFlags: 1, outOfOrder: 1 });
      expect(result.problems).toHaveLength(20);
      expect(result.problems.slice(0, 3).map(({ line }) => line)).toEqual([2, 4, 5]);
    } finally {
      await rm(bad, { recursive: true, force: true });
    }
  });

  it('continues to evaluate stages after a decision, as a dry run does', async () => {
    const after = await mkdtemp(join(tmpdir(), 'replay-'));
    const row = (second: number) =>
      JSON.stringify({
        timestamp: new Date(second * 1_000).toISOString(),
        flag_key: 'f',
        arm: 'treatment',
        success: second > 50,
        epoch: 1,
        percentage: 50,
      });
    try {
      const rows = Array.from({ length: 1_000 }, (_row, second) => row(second));
      await writeFile(join(after, 'metrics.jsonl'), `${rows.join('\n')}\n`);
      const rules = parseRules(
        {
          rollback: [successRateBelow(0.9, { minOutcomes: 50, strict: true })],
          stages: [{ percentage: 50, minOutcomes: 900, minSuccessRate: 0.9 }],
        },
        'rules',
      );
      const { decisions, events } = await replayLog(after, { rules });
      expect(decisions.list).toMatchObject([{ outcomes: 50 }]);
      expect(events.list).toMatchObject([
        { type: 'stage', progress: { status: 'collecting' } },
        { type: 'stage', progress: { status: 'met' } },
        { type: 'completed' },
      ]);
    } finally {
      await rm(after, { recursive: true, force: true });
    }
  });

  it('rejects a log that is not there', async () => {
    await expect(replayLog(join(folder, 'none.jsonl'), { rules: RULES })).rejects.toMatchObject({
      code: 'ENOENT',
    });
  });

  it('replays 100,000 lines and forgets them', async () => {
    const large = await mkdtemp(join(tmpdir(), 'replay-'));
    const path = join(large, 'metrics.jsonl');
    try {
      for (let chunk = 0; chunk < 10; chunk++) {
        let text = '';
        for (let index = chunk * 10_000; index < (chunk + 1) * 10_000; index++) {
          const success = index % 50 !== 0 || index > 90_000;
          text += `${JSON.stringify({ timestamp: new Date(index * 100).toISOString(), flag_key: 'f', arm: index % 2 === 0 ? 'treatment' : 'control', success, duration_ms: index % 977, user: `u${index % 5_000}` })}\n`;
        }
        await appendFile(path, text);
      }
      const rules = parseRules(
        { rollback: [successRateBelow(0.95, { minOutcomes: 1_000 }), criticalErrors()] },
        'rules',
      );
      const result = await replayLog(path, { rules });
      // Every 25th of the treatment fails: 96 %, and 100 % at the end.
      expect(result).toMatchObject({ outcomes: 100_000, leftOut: 0, firings: { total: 0 } });
      const stricter = parseRules(
        { rollback: [successRateBelow(0.965, { minOutcomes: 1_000, strict: true })] },
        'rules',
      );
      const { firings } = await replayLog(path, { rules: stricter });
      expect(firings.list).toHaveLength(1);
      expect(firings.list[0]!.outcomes).toBeGreaterThanOrEqual(1_999);
      expect(firings.list[0]!.outcomes).toBeLessThan(2_100);
    } finally {
      await rm(large, { recursive: true, force: true });
    }
  });
});
