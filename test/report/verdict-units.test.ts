import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AuditLog } from '../../src/journal/audit-log.js';
import type { GuardEvent } from '../../src/model/event.js';
import { collectReport } from '../../src/report/collect.js';
import { toMarkdown } from '../../src/report/markdown.js';
import { readRolloutStatus } from '../../src/report/status/rollout-status.js';
import { criticalErrors } from '../../src/triggers/critical-errors.js';
import { errorRateAbove } from '../../src/triggers/error-rate-above.js';
import {
  complaintRateRising,
  failureRegression,
  unreportedAbove,
} from '../../src/triggers/event-regression.js';
import { latencyAbove } from '../../src/triggers/latency-above.js';
import { latencyRegression } from '../../src/triggers/latency-regression.js';
import { memoryGrowth } from '../../src/triggers/memory-growth.js';
import { signal } from '../../src/triggers/signals/signal.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { successRateBetween } from '../../src/triggers/success-rate-between.js';
import type { ThresholdTrigger } from '../../src/triggers/trigger.js';
import { decided } from '../notify/events.js';
import { NOW, snapshotOf } from '../triggers/snapshots.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'units-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function givenEvents(...events: GuardEvent[]): Promise<void> {
  const log = new AuditLog(folder, 'async-upload', {
    onFault: (error) => {
      throw error;
    },
  });
  for (const event of events) log.append(event);
  await log.flushed();
}

/** A breach by a trigger, as an audit log contains it. */
const breachOf = (trigger: ThresholdTrigger, observed: number) =>
  ({ ...trigger.evaluate(snapshotOf(), NOW), status: 'breach', observed }) as const;

/** Every kind of trigger, under a name that reads like another kind. */
const KINDS: [trigger: ThresholdTrigger, observed: number, cells: string, successRate: number | undefined][] =
  [
    [successRateBelow(0.95, { name: 'uploads-healthy' }), 0.9421, '94.2 % | 95 %', 0.95],
    [successRateBelow(0.9, { name: 'p95-count', evidence: 'sequential' }), 0.85, '85.0 % | 90 %', 0.9],
    [successRateBetween(0.95, 0.97, { name: 'memory-latency' }), 0.96, '96.0 % | 97 %', 0.97],
    [errorRateAbove(0.05, { name: 'success-rate-of-old' }), 0.081, '8.1 % | 5 %', 0.95],
    [errorRateAbove(0.2, { name: 'bytes-lost', evidence: 'sequential' }), 0.3, '30.0 % | 20 %', 0.8],
    [criticalErrors({ name: 'migrate-critical-errors' }), 3, '3 | 1', undefined],
    [criticalErrors({ name: 'error-rate-of-disks' }), 3, '3 | 1', undefined],
    [memoryGrowth(1.2, { name: 'success-rate-memory' }), 1.25, '1.25× | 1.2×', undefined],
    [complaintRateRising({ name: 'complaint-rate' }), 0.021, '2.1 % | 0 %', undefined],
    [unreportedAbove({ name: 'error-rate-hangs' }), 0.3456, '34.6 % | 1 %', undefined],
    [latencyAbove(1.2, { name: 'success-rate-of-speed' }), 1.3, '1.3× | 1.2×', undefined],
    [latencyRegression({ name: 'failure-rate-slow' }), 1.5, '1.5×', undefined],
    [failureRegression({ name: 'count-of-bytes' }), 0.088, '8.8 %', undefined],
    [signal('error-rate-above', async () => 0, { above: 900 }), 1_234.5, '1235 | 900', undefined],
  ];

describe('the report', () => {
  it.each(KINDS.map(([trigger, ...rest]) => [trigger.name, trigger, ...rest] as const))(
    'shows the figures of %s in their unit, and a line in the chart only for a rate',
    async (name, trigger, observed, cells, successRate) => {
      await givenEvents(decided({ verdicts: [breachOf(trigger, observed)] }));
      const report = await collectReport([folder]);
      expect(toMarkdown(report)).toContain(`| ${name} | ${cells} |`);
      expect(report.thresholds.map((threshold) => 1 - threshold.errorRate)).toEqual(
        successRate === undefined ? [] : [expect.closeTo(successRate, 10)],
      );
      const { thresholds } = await collectReport([folder], {
        rules: { rollback: [], review: [trigger] },
      });
      expect(thresholds.map(({ kind }) => kind)).toEqual(successRate === undefined ? [] : ['review']);
    },
  );

  it('draws the threshold of a review as well', async () => {
    const verdict = breachOf(successRateBetween(0.95, 0.97, { name: 'half-well' }), 0.96);
    await givenEvents({ type: 'review-opened', at: NOW, epoch: 1, verdict });
    const { thresholds } = await collectReport([folder]);
    expect(thresholds).toMatchObject([{ kind: 'review', errorRate: 0.03, label: 'review: 3 %' }]);
  });

  it('shows enough digits to distinguish a breach from its threshold', async () => {
    const verdicts = [
      breachOf(successRateBelow(0.95, { name: 'a' }), 0.94996),
      breachOf(memoryGrowth(1.2, { name: 'b' }), 1.20004),
    ];
    await givenEvents(decided({ verdicts }));
    const markdown = toMarkdown(await collectReport([folder]));
    expect(markdown).toContain('| a | 94.996 % | 95 % |');
    expect(markdown).toContain('| b | 1.20004× | 1.2× |');
  });

  it('shows since when the treatment fails, what that rests on, and where it fails', async () => {
    const verdict = {
      ...breachOf(failureRegression(), 0.13),
      evidence: {
        e: 204_743,
        threshold: 100,
        alpha: 0.01,
        since: Date.UTC(2026, 2, 1, 10, 42),
        treatment: { trials: 64, failures: 9 },
        control: { trials: 570, failures: 6 },
        basis: 'units',
        events: 15,
        excluded: 0,
        repeated: 0,
        invalid: 0,
      },
      failing: [
        {
          attribute: 'type',
          value: '.csv',
          treatment: { count: 8, of: 9 },
          control: { count: 1, of: 6 },
          others: { count: 2, of: 40 },
        },
      ],
    } as const;
    await givenEvents(decided({ verdicts: [verdict] }));
    const markdown = toMarkdown(await collectReport([folder]));
    expect(markdown).toContain(
      '| failure-regression | 2026-03-01 10:42:00 UTC | 14.06 % (9 of 64) | 1.05 % (6 of 570) | units |',
    );
    expect(markdown).toContain('| type: .csv | 88.89 % (8 of 9) | 16.67 % (1 of 6) | 5.00 % (2 of 40) |');
  });

  it('says once what an operator must do, and that it is open', async () => {
    const message = 'The token lacks a permission. Turn the flag off by hand.';
    const failure = { code: 'ADMIN_PERMISSION', message, requiresAction: true };
    const failed = { type: 'stop-failed', at: NOW, decisionId: 'a', failure } as const;
    const decision = decided({ id: 'a' });
    await givenEvents(decision, failed, { type: 'action-required', at: NOW, decisionId: 'a', message });
    const markdown = toMarkdown(await collectReport([folder]));
    expect(markdown.match(/lacks a permission/g)).toHaveLength(1);
    expect(markdown).toMatch(/\(ADMIN\\_PERMISSION\)\. An operator must act: The token lacks/);
  });

  it('reports the latest fault, whatever its message is and other events are', async () => {
    await givenEvents(
      { type: 'fault', at: NOW, what: 'a listener', message: 'broken' },
      { type: 'fleet-connection', at: NOW + 1, problem: 'Fault: Redis does not answer' },
      { type: 'closed', at: NOW + 2 },
    );
    const { lastFault } = await readRolloutStatus(folder);
    expect(lastFault).toMatchObject({ at: NOW, type: 'fault', text: 'Fault (a listener): broken' });
  });
});
