import { appendFile, cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AuditStory } from '../../src/report/audit-story.js';
import { drawCharts } from '../../src/report/charts.js';
import { collectReport, reportOf } from '../../src/report/collect.js';
import { headlineOf } from '../../src/report/headline.js';
import { toHtml } from '../../src/report/html.js';
import { toMarkdown } from '../../src/report/markdown.js';
import type { RolloutReport } from '../../src/report/rollout-report.js';
import { NEXT_STEP } from '../../src/support/wording.js';
import { criticalErrors } from '../../src/triggers/critical-errors.js';
import { signal } from '../../src/triggers/signals/signal.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { longRollout } from '../helpers/long-rollout.js';
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
  report = await collectReport([folder], { now: recorded.endedAt });
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await rm(empty, { recursive: true, force: true });
});

describe('collectReport', () => {
  it('counts every outcome once, by arm and over time', () => {
    const { arms, series, sources } = report;
    expect(sources).toMatchObject({ guards: 1, eventLinesLeftOut: 0, problems: [] });
    expect(arms.treatment.counted + arms.control.counted).toBe(recorded.outcomes);
    for (const arm of ['treatment', 'control'] as const) {
      expect(series[arm].trials.reduce((sum, trials) => sum + trials, 0)).toBe(arms[arm].counted);
      expect(series[arm].failures.reduce((sum, failures) => sum + failures, 0)).toBe(arms[arm].failures);
    }
  });

  it('needs no outcome log', async () => {
    const copy = await mkdtemp(join(tmpdir(), 'report-'));
    try {
      await cp(folder, copy, { recursive: true });
      for (const name of ['metrics.jsonl', 'metrics.csv', 'checkpoint.json', 'summary.json']) {
        await rm(join(copy, name), { force: true });
      }
      const { arms, errorTypes } = await collectReport([copy], { now: recorded.endedAt });
      expect({ arms, errorTypes }).toEqual({ arms: report.arms, errorTypes: report.errorTypes });
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
  });

  it('adds up the rollouts of several folders of one flag, and refuses those of another flag', async () => {
    const copy = await mkdtemp(join(tmpdir(), 'report-'));
    try {
      await cp(folder, copy, { recursive: true });
      const both = await collectReport([folder, copy], { now: recorded.endedAt });
      expect(both.arms.treatment.counted).toBe(2 * report.arms.treatment.counted);
      expect(both.decisions).toHaveLength(1);
      expect(both.sources.guards).toBe(2);
      await longRollout(empty, { days: 0.01, perSecond: 1, flagKey: 'other' });
      await expect(collectReport([folder, empty])).rejects.toThrow(
        `${empty}: expected the flag async-upload, as in the folders before, got the flag other`,
      );
    } finally {
      await rm(copy, { recursive: true, force: true });
      await rm(empty, { recursive: true, force: true });
    }
  });

  it('reports three weeks in a second or two, from little more than the rollups', async () => {
    const long = await mkdtemp(join(tmpdir(), 'report-'));
    try {
      const { endedAt, outcomes } = await longRollout(long, { days: 21, perSecond: 5_000 });
      const { arms, series, headline, period } = await collectReport([long], { now: endedAt });
      expect(arms.treatment.counted + arms.control.counted).toBe(outcomes);
      expect(series.at.length).toBeLessThanOrEqual(160);
      expect(period!.to - period!.from).toBe(21 * 86_400_000);
      expect(headline).toMatch(/^The guard stopped the flag at 50 %/);
    } finally {
      await rm(long, { recursive: true, force: true });
    }
  }, 120_000);

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
    expect(first!.outcomes).toBeGreaterThanOrEqual(first!.progress.outcomes);
  });

  it('draws the thresholds of the decisions, or those of given rules instead', async () => {
    expect(report.thresholds.find(({ kind }) => kind === 'rollback')).toMatchObject({ errorRate: 0.05 });
    const rules = { rollback: [successRateBelow(0.9)], review: [] };
    const other = await collectReport([folder], { rules });
    expect(other.thresholds.find(({ kind }) => kind === 'rollback')).toMatchObject({ errorRate: 0.1 });
  });

  it('has what a stage had when it was stopped within its first minute', () => {
    const story = new AuditStory();
    const [{ decision }] = report.decisions as [RolloutReport['decisions'][0]];
    const [{ progress }] = report.stages as [RolloutReport['stages'][0]];
    const { at, epoch } = decision;
    const began = at - 2_000;
    // Reported after the epoch had begun, and still of the same one.
    story.add({ flagKey: 'a', type: 'rollout-changed', at: began + 10, epoch, enabled: true });
    const collecting = { ...progress, status: 'collecting', outcomes: 0, elapsedMs: 20 } as const;
    story.add({ flagKey: 'a', type: 'stage', at: began + 20, epoch, progress: collecting });
    story.add({ flagKey: 'a', type: 'decided', at, decision });
    story.add({ flagKey: 'a', type: 'rollout-changed', at: at + 300, epoch: epoch + 1, enabled: false });
    const records = { flagKey: 'a', history: { rollups: [], annotations: [] }, story, view: undefined };
    const found = reportOf({ ...records, guards: 1, auditLinesLeftOut: 0, problems: [] }, { now: at });
    const { successes, failures } = decision.counts.treatment;
    expect(found.stages).toMatchObject([{ outcomes: successes + failures }]);
  });

  it('compares the arms', () => {
    const { comparison, arms } = report;
    expect(comparison.successRateDifference).toBeCloseTo(
      arms.treatment.successes / arms.treatment.counted - arms.control.successes / arms.control.counted,
      10,
    );
    expect(comparison.latencyImprovement.p50).toBeCloseTo(1 - 420 / 640, 1);
  });

  it('says first what a reader would take for a healthy rollout otherwise', () => {
    const rollout = [{ at: 1, epoch: 1, enabled: true, percentage: 50 }];
    const story = { decisions: [], reviews: [], stages: [], rollout };
    expect(headlineOf(story)).toBe('The rollout is at 50 %. Nothing was stopped.');
    expect(headlineOf(story, { blind: ['stale-flags'] })).toBe(
      'The rollout is at 50 %. The guard is blind (stale-flags): a failure may go unnoticed. Nothing was stopped.',
    );
    expect(headlineOf(story, { isFlagMissing: true })).toMatch(
      /^Unleash has no such flag: all users get the control\./,
    );
  });

  it('has the decision that applies in its headline, and not a later one that another has replaced', () => {
    const [entry] = report.decisions;
    const { at, id } = entry!.decision;
    const kept = { decision: entry!.decision, failures: [], stoppedInUnleashAt: at + 200 };
    const later = { ...entry!.decision, id: 'later', at: at + 100, reason: 'Another reason.' };
    const replaced = { decision: later, failures: [], supersededAt: at + 300, replacedBy: id };
    const story = { decisions: [kept, replaced], reviews: [], stages: [], rollout: [] };
    expect(headlineOf(story)).toBe(headlineOf({ ...story, decisions: [kept] }));
    expect(headlineOf(story)).toContain(NEXT_STEP.stopped);
  });

  it('has a headline with the state of the rollout', () => {
    expect(report.headline).toMatch(/^The rollout is at 20 %\. .*turned on again by ada\.$/);
  });

  it('survives JSON', () => {
    expect(JSON.parse(JSON.stringify(report)).arms.treatment.counted).toBe(report.arms.treatment.counted);
  });

  it('rejects a folder without anything to report', async () => {
    await expect(collectReport([empty])).rejects.toMatchObject({ code: 'NOTHING_TO_REPORT' });
    await expect(collectReport([join(empty, 'none')])).rejects.toMatchObject({ code: 'NOTHING_TO_REPORT' });
  });

  it('says in one line that lines of the audit log or files cannot be read, and uses the rest', async () => {
    const copy = await mkdtemp(join(tmpdir(), 'report-'));
    try {
      await cp(folder, copy, { recursive: true });
      await appendFile(join(copy, 'audit.jsonl'), 'a foreign line\n{"type":"decided"}\n');
      await writeFile(join(copy, 'view.json'), '{"half');
      const odd = await collectReport([copy], { now: recorded.endedAt });
      expect(odd.sources).toMatchObject({
        eventLinesLeftOut: 2,
        problems: [expect.stringContaining('view.json')],
      });
      expect(odd.arms).toEqual(report.arms);
      const markdown = toMarkdown(odd);
      expect(markdown.match(/^.*could not be read.*$/gm)).toHaveLength(1);
      expect(markdown).toContain('2 lines of the audit log could not be read and are left out.');
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
  });
});

describe('toMarkdown', () => {
  it('has every part, and tables whose rows are as wide as their heads', () => {
    const markdown = toMarkdown(report);
    for (const title of ['Treatment against control', 'Stages', 'Decisions', 'Where it fails', 'Timeline']) {
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
    expect(charts?.map(({ id }) => id)).toEqual(['error-rate', 'latency']);
    const html = toHtml(report, charts);
    expect(html.match(/<svg /g)).toHaveLength(4);
    expect(
      html.match(/<svg [^>]*role="img" aria-labelledby="[^"]+"><title [^>]*>[^<]+<\/title><desc /g),
    ).toHaveLength(4);
    const ids = [...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('shows thresholds, percentage steps, decisions and both arms in the picture', async () => {
    const [errorRate] = (await drawCharts(report)) ?? [];
    for (const label of ['treatment', 'control', 'stop: 5 %', '50 %', '80 %', 'off', '20 %', 'stopped']) {
      expect(errorRate!.wide).toContain(`>${label}</text>`);
    }
    expect(errorRate!.description).toContain('80 % from');
  });

  it('escapes what comes from outside, in tables and in charts', async () => {
    const html = toHtml({ ...report, flagKey: HOSTILE }, await drawCharts(report));
    expect(html.includes('<img')).toBe(false);
    expect(html.match(/&lt;img src=x onerror=alert\(1\)&gt;/g)!.length).toBeGreaterThan(1);
  });

  it('shows how to install the chart library when it is missing', () => {
    expect(toHtml(report, undefined).includes('npm install echarts')).toBe(true);
  });
});
