import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawCharts } from '../../src/report/charts.js';
import { collectReport } from '../../src/report/collect.js';
import { toHtml } from '../../src/report/html.js';
import { toMarkdown } from '../../src/report/markdown.js';
import type { RolloutReport } from '../../src/report/rollout-report.js';
import { criticalErrors } from '../../src/triggers/critical-errors.js';
import { signal } from '../../src/triggers/signals/signal.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { type RecordedRollout, recordRollout } from '../helpers/recorded-rollout.js';
import { snapshotOf } from '../triggers/snapshots.js';

const HOSTILE = '<img src=x onerror=alert(1)>|`"\'&';

let folder: string;
let empty: string;
let recorded: RecordedRollout;
let report: RolloutReport;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'report-'));
  empty = await mkdtemp(join(tmpdir(), 'report-'));
  recorded = await recordRollout(
    folder,
    [
      { percentage: 50, outcomes: 600, everyMs: 2_000, failureRate: { treatment: 0, control: 0.01 } },
      {
        percentage: 80,
        outcomes: 400,
        everyMs: 2_000,
        failureRate: { treatment: 0.2 },
        errorTypes: [HOSTILE],
      },
      { percentage: 20, outcomes: 300, everyMs: 2_000 },
    ],
    {
      rollback: [successRateBelow(0.95, { minOutcomes: 50 }), criticalErrors()],
      review: [],
      stages: [
        { percentage: 20, minOutcomes: 1_000, minSuccessRate: 0.9 },
        { percentage: 50, minOutcomes: 100, minSuccessRate: 0.98 },
        { percentage: 80, minOutcomes: 1_000, minSuccessRate: 0.97 },
      ],
    },
  );
  report = await collectReport(folder, { now: recorded.endedAt });
}, 60_000);

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await rm(empty, { recursive: true, force: true });
});

describe('collectReport', () => {
  it('counts every outcome once, by arm and over time', () => {
    const { arms, series, sources } = report;
    expect(sources).toMatchObject({
      outcomes: recorded.outcomes,
      outcomeLinesLeftOut: 0,
      eventLinesLeftOut: 0,
    });
    expect(arms.treatment.counted + arms.control.counted).toBe(recorded.outcomes);
    for (const arm of ['treatment', 'control'] as const) {
      const successes = series[arm].reduce((sum, point) => sum + point.successes, 0);
      expect(successes).toBe(arms[arm].successes);
    }
  });

  it('shows each decision with its evidence, who acted and when', () => {
    expect(recorded.decisions).toHaveLength(1);
    const [entry] = report.decisions;
    expect(entry!.decision).toEqual(recorded.decisions[0]);
    expect(entry!.decision.rolloutPercentage).toBe(80);
    expect(entry).toMatchObject({ confirmedBy: 'read-back', turnedOffBy: 'guard-token', turnedOnBy: 'ada' });
    expect(entry!.stoppedHereAt).toBe(entry!.decision.at);
    expect(entry!.reArmedAt).toBeGreaterThan(entry!.stoppedInUnleashAt!);
  });

  it('follows the stages and the percentage', () => {
    expect(report.rollout.map(({ enabled, percentage }) => (enabled ? percentage : 'off'))).toEqual([
      50,
      80,
      'off',
      20,
    ]);
    expect(report.stages.map(({ progress }) => [progress.stage.percentage, progress.status])).toEqual([
      [50, 'met'],
      [80, 'collecting'],
      [20, 'collecting'],
    ]);
    const [first] = report.stages;
    expect(first!.outcomes).toBeGreaterThan(first!.progress.outcomes);
  });

  it('draws the thresholds of the decisions, or those of given rules instead', async () => {
    expect(report.thresholds.find(({ kind }) => kind === 'rollback')).toMatchObject({ successRate: 0.95 });
    const rules = { rollback: [successRateBelow(0.9)], review: [] };
    const other = await collectReport(folder, { rules });
    expect(other.thresholds.find(({ kind }) => kind === 'rollback')).toMatchObject({ successRate: 0.9 });
  });

  it('compares the arms', () => {
    const { comparison, arms } = report;
    expect(comparison.successRateDifference).toBeCloseTo(
      arms.treatment.successes / arms.treatment.counted - arms.control.successes / arms.control.counted,
      10,
    );
    expect(comparison.latencyImprovement.p50).toBeCloseTo(1 - 420 / 640, 1);
  });

  it('has a headline with the state of the rollout', () => {
    expect(report.headline).toMatch(/^The rollout is at 20 %\. .*turned on again by ada\.$/);
  });

  it('survives JSON', () => {
    expect(JSON.parse(JSON.stringify(report)).arms.treatment.counted).toBe(report.arms.treatment.counted);
  });

  it('rejects a folder without anything to report', async () => {
    await expect(collectReport(empty)).rejects.toMatchObject({ code: 'NOTHING_TO_REPORT' });
    await expect(collectReport(join(empty, 'none'))).rejects.toMatchObject({ code: 'NOTHING_TO_REPORT' });
  });

  it.each([
    ['0 bytes', ''],
    ['no known line', 'hello\n{"a":1}\n[1]\nnull\n'],
  ])('reports a log of %s', async (_what, text) => {
    await writeFile(join(empty, 'metrics.jsonl'), text);
    const { period, headline, sources } = await collectReport(empty);
    expect(period).toBeUndefined();
    expect(headline).toBe('Nothing was stopped.');
    expect(sources.outcomeProblems.map(({ line }) => line)).toEqual(text === '' ? [] : [1, 2, 3, 4]);
  });

  it('counts foreign lines, wrong types, half a line and times out of order, and uses the rest', async () => {
    const copy = await mkdtemp(join(tmpdir(), 'report-'));
    const row = (timestamp: string, more: object = {}) =>
      JSON.stringify({
        timestamp,
        flag_key: 'f',
        arm: 'treatment',
        success: true,
        duration_ms: 5,
        epoch: 1,
        ...more,
      });
    try {
      const lines = [
        row('2026-03-01T10:00:00.000Z'),
        'a foreign line',
        row('2026-03-01T10:00:02.000Z', { duration_ms: 'long' }),
        row('2026-03-01T09:00:00.000Z'),
      ];
      await writeFile(join(copy, 'metrics.jsonl'), `${lines.join('\n')}\n`);
      await appendFile(join(copy, 'metrics.jsonl'), row('2026-03-01T10:00:03.000Z').slice(0, 40));
      const { sources, arms, rollout } = await collectReport(copy);
      expect(arms.treatment.counted).toBe(2);
      expect(sources).toMatchObject({ outcomes: 2, outcomeLinesLeftOut: 3, outcomeLinesOutOfOrder: 1 });
      expect(sources.outcomeProblems.map(({ line, used }) => [line, used])).toEqual([
        [2, false],
        [3, false],
        [4, true],
        [5, false],
      ]);
      expect(rollout).toMatchObject([{ epoch: 1 }]);
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
  });

  it("counts the outcomes of other flags than the guard's, and leaves them out", async () => {
    const copy = await mkdtemp(join(tmpdir(), 'report-'));
    const row = (flag_key: string, success: boolean) =>
      JSON.stringify({
        timestamp: '2026-03-01T10:00:00.000Z',
        flag_key,
        arm: 'treatment',
        success,
        duration_ms: 5,
        epoch: 1,
      });
    try {
      const lines = [row('mine', true), row('other', false), row('mine', true), row('other', false)];
      await writeFile(join(copy, 'metrics.jsonl'), `${lines.join('\n')}\n`);
      const alone = await collectReport(copy);
      expect(alone).toMatchObject({ flagKey: 'mine', sources: { outcomes: 2, outcomesOfOtherFlags: 2 } });
      expect(alone.arms.treatment).toMatchObject({ counted: 2, successRate: 1 });
      expect(toMarkdown(alone)).toContain('of other flags: 2.');

      // The guard's audit log is more certain than the first line whose folder it is.
      const started = { type: 'started', at: 1, epoch: 1, status: 'armed', flagKey: 'other' };
      await writeFile(join(copy, 'audit.jsonl'), `${JSON.stringify(started)}\n`);
      const guarded = await collectReport(copy);
      expect(guarded).toMatchObject({ flagKey: 'other', sources: { outcomes: 2, outcomesOfOtherFlags: 2 } });
      expect(guarded.arms.treatment).toMatchObject({ counted: 2, successRate: 0 });
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
  });
});

describe('toMarkdown', () => {
  it('has every part, and tables whose rows are as wide as their heads', () => {
    const markdown = toMarkdown(report);
    for (const title of ['Treatment against control', 'Stages', 'Decisions', 'Error types']) {
      expect(markdown).toContain(`## ${title}\n`);
    }
    for (const table of markdown.split('\n\n').filter((block) => block.startsWith('|'))) {
      const widths = table.split('\n').map((line) => line.replaceAll('\\|', '').split('|').length);
      expect(new Set(widths).size).toBe(1);
    }
  });

  it('shows a signal without counts, as the number that it is', () => {
    const [entry] = report.decisions;
    const read = { trigger: 'request-rate', reading: { value: 1_234.5, at: 1_000 }, problem: undefined };
    const snapshot = { ...snapshotOf(), epochStartedAt: 0, signals: [read] };
    const verdict = signal('request-rate', async () => 0, { above: 900 }).evaluate(snapshot, 4_000);
    const decision = { ...entry!.decision, verdicts: [verdict] };
    const markdown = toMarkdown({ ...report, decisions: [{ ...entry!, decision }] });
    expect(markdown).toContain('| request-rate | 1235 | 900 | – | – | – | 3 s old |');
  });

  it('lets no name be markup', () => {
    const markdown = toMarkdown(report);
    expect(markdown).not.toContain('<img');
    expect(markdown).toContain('&lt;img');
  });
});

describe('toHtml', () => {
  it('is one page without script and without network', async () => {
    const html = toHtml(report, await drawCharts(report));
    const reaching =
      /<(script|link|iframe|img|image|use|object|embed)\b|<[^>]* (src|on\w+)=|href="[^#]|https?:|url\((?!#)|@import/gi;
    expect(html.match(reaching)).toBeNull();
  });

  it('gives every chart a name and a description, and every id once', async () => {
    const charts = await drawCharts(report);
    expect(charts?.map(({ id }) => id)).toEqual(['success-rate', 'latency', 'error-types']);
    const html = toHtml(report, charts);
    expect(html.match(/<svg /g)).toHaveLength(6);
    expect(
      html.match(/<svg [^>]*role="img" aria-labelledby="[^"]+"><title [^>]*>[^<]+<\/title><desc /g),
    ).toHaveLength(6);
    const ids = [...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('shows thresholds, percentage steps and both arms in the picture', async () => {
    const [successRate] = (await drawCharts(report)) ?? [];
    for (const label of ['treatment', 'control', 'stop: 95 %', '50 %', '80 %', 'off', '20 %']) {
      expect(successRate!.wide).toContain(`>${label}</text>`);
    }
    expect(successRate!.description).toContain('80 % from');
  });

  it('escapes what comes from outside, in tables and in charts', async () => {
    const html = toHtml({ ...report, flagKey: HOSTILE }, await drawCharts(report));
    expect(html.includes('<img')).toBe(false);
    expect(html.match(/&lt;img src=x onerror=alert\(1\)&gt;/g)!.length).toBeGreaterThan(3);
  });

  it('explains how to install the chart library when it is missing', () => {
    expect(toHtml(report, undefined).includes('npm install echarts')).toBe(true);
  });
});
