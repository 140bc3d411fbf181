import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FolderSource } from '../../src/dashboard/sources/folder-source.js';
import { AuditLog } from '../../src/journal/audit-log.js';
import type { GuardEvent } from '../../src/model/event.js';
import { collectReport } from '../../src/report/collect.js';
import { toMarkdown } from '../../src/report/markdown.js';
import { annotationOf } from '../../src/rollups/annotation-of-event.js';
import { DECISION } from '../helpers/fleet-decision.js';

const AT = Date.UTC(2026, 3, 1);
const [VERDICT] = DECISION.verdicts;
const acknowledged = (at: number, refused?: string): GuardEvent => ({
  type: 'control',
  at,
  control: { type: 'acknowledge', by: 'ann', trigger: VERDICT!.trigger, reason: 'known slow provider' },
  ...(refused !== undefined && { refused }),
});
const opened: GuardEvent = { type: 'review-opened', at: AT, epoch: 1, verdict: VERDICT! };

let folder: string;
let folders: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-folders-'));
  folders = [join(folder, 'one'), join(folder, 'other')];
});

afterEach(() => rm(folder, { recursive: true, force: true }));

/** What each of two processes of a fleet has in its audit log. */
async function wrote(...logs: readonly (readonly GuardEvent[])[]): Promise<void> {
  for (const [index, events] of logs.entries()) {
    const log = new AuditLog(folders[index]!, 'async-upload');
    for (const event of events) log.append(event);
    await log.close();
  }
}

describe('the folders of a fleet', () => {
  it('have one decision, although one process decided and another finished it', async () => {
    const decided: GuardEvent = { type: 'decided', at: AT, decision: { ...DECISION, at: AT } };
    const stopped: GuardEvent = {
      type: 'stopped',
      at: AT + 500,
      decisionId: DECISION.id,
      confirmedBy: 'read-back',
    };
    await wrote([decided], [{ ...decided, at: AT + 10, by: 'fleet' }, stopped]);
    const { decisions, headline } = await collectReport(folders);
    expect(decisions).toMatchObject([{ stoppedInUnleashAt: AT + 500, confirmedBy: 'read-back' }]);
    expect(headline).not.toContain('not off in Unleash');
    const shown = await new FolderSource('async-upload', folders).decisions();
    expect(shown).toMatchObject([{ decision: { id: DECISION.id }, stoppedInUnleashAt: AT + 500 }]);
  });

  it.each([
    ['the process that opened it', (events: GuardEvent[]) => [[opened, ...events], []]],
    ['the next leader', (events: GuardEvent[]) => [[opened], events]],
  ])('have a review closed that an operator acknowledged through %s', async (_, logs) => {
    await wrote(...logs([acknowledged(AT + 60_000)]));
    const report = await collectReport(folders);
    expect(report.reviews).toMatchObject([{ closedAt: AT + 60_000, acknowledged: { by: 'ann' } }]);
    expect(report.headline).not.toContain('review is open');
    expect(toMarkdown(report)).toContain('acknowledged by ann: known slow provider');
  });

  it('have a review open whose acknowledgement was refused, or was of an earlier one', async () => {
    await wrote(
      [acknowledged(AT - 1), opened, acknowledged(AT + 1, 'There is none.')],
      [acknowledged(AT - 2)],
    );
    expect((await collectReport(folders)).reviews).toMatchObject([{ closedAt: undefined }]);
  });
});

describe('annotations', () => {
  it('mark what operators asked for, by whom, unless it was refused', () => {
    expect(annotationOf(acknowledged(AT))).toEqual({
      at: AT,
      type: 'control',
      title: `acknowledge: ${VERDICT!.trigger}`,
      text: `ann has acknowledged the review of ${VERDICT!.trigger}: known slow provider.`,
      by: 'ann',
    });
    const hold = { type: 'hold', by: 'ben', reason: 'incident 42' } as const;
    expect(annotationOf({ type: 'control', at: AT, control: hold })).toMatchObject({
      title: 'hold',
      by: 'ben',
    });
    expect(annotationOf({ type: 'control', at: AT, control: hold, refused: 'no' })).toBeUndefined();
  });

  it('mark that a flag is not off in Unleash yet, and what only an operator can finish once', () => {
    const failure = { code: 'ADMIN_UNAVAILABLE', message: 'Unleash does not answer.', requiresAction: false };
    const failed = { type: 'stop-failed', at: AT, decisionId: 'd', failure } as const;
    expect(annotationOf(failed)).toMatchObject({ title: 'stop failed', decisionId: 'd' });
    expect(annotationOf({ ...failed, failure: { ...failure, requiresAction: true } })).toBeUndefined();
    const required = { type: 'action-required', at: AT, decisionId: 'd', message: 'Turn it off.' } as const;
    expect(annotationOf(required)).toMatchObject({ title: 'action required', decisionId: 'd' });
  });
});
