import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AuditLog } from '../../../src/journal/audit-log.js';
import { Journal } from '../../../src/journal/journal.js';
import { ViewFile } from '../../../src/journal/view-file.js';
import type { GuardEvent } from '../../../src/model/event.js';
import type { Health } from '../../../src/model/health.js';
import type { Decision } from '../../../src/model/shapes.js';
import type { GuardState } from '../../../src/model/state.js';
import { renderStatus, statusLine } from '../../../src/report/status/render.js';
import { readRolloutStatus } from '../../../src/report/status/rollout-status.js';
import { viewOf } from '../../helpers/views.js';
import { armCounts } from '../../triggers/snapshots.js';

const NOW = Date.UTC(2026, 2, 2, 12);

const counts = armCounts({ successes: 90, failures: 10 });
const verdict = {
  trigger: 'success-rate-below',
  status: 'breach',
  observed: 0.9,
  threshold: 0.95,
  unit: 'fraction',
  sampleSize: { treatment: 100, control: 900 },
  windowMs: 300_000,
  freshnessMs: 12,
  message: 'The success rate is 90 %.',
} as const;
const decision: Decision = {
  id: 'a',
  flagKey: 'async-upload',
  action: 'stop',
  dryRun: false,
  at: NOW - 60_000,
  epoch: 2,
  rolloutPercentage: 10,
  verdicts: [verdict],
  counts: { treatment: counts, control: counts },
  reason: 'The success rate is 90 %.',
};

const STOPPED = { status: 'stopped', since: NOW, decision, confirmedBy: 'read-back', seenOff: true } as const;
const STARTED: readonly GuardEvent[] = [
  { type: 'started', at: NOW - 900_000, epoch: 1, status: 'armed' },
  { type: 'rollout-changed', at: NOW - 800_000, epoch: 2, enabled: true, rolloutPercentage: 10 },
];

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'status-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function given(state: GuardState, events: readonly GuardEvent[]): Promise<void> {
  await new Journal(folder).save({ flagKey: 'async-upload', epoch: 2, revision: 'r', state });
  await givenEvents(events);
}

async function givenEvents(events: readonly GuardEvent[]): Promise<void> {
  const log = new AuditLog(folder, 'async-upload', {
    onFault: (error) => {
      throw error;
    },
  });
  for (const event of events) log.append(event);
  await log.flushed();
}

function healthAt(since: number, isBlind: boolean) {
  const reasons = isBlind ? [{ code: 'stale-flags', message: 'Unleash answers 401.', since }] : [];
  const health: Health = { status: isBlind ? 'blind' : 'ok', since, reasons };
  const event = { type: 'health', at: since, ...health, began: ['stale-flags'], ended: [] } as const;
  return { health, audit: isBlind ? [event] : [] };
}

describe('readRolloutStatus', () => {
  it('shows the state of an armed guard', async () => {
    const progress = {
      stage: { percentage: 10, minOutcomes: 500, minSuccessRate: 0.99 },
      index: 1,
      status: 'collecting',
      outcomes: 5,
      successRate: 1,
      elapsedMs: 9,
      message: 'The stage at 10 % needs 495 more outcomes.',
    } as const;
    await given({ status: 'armed', since: NOW - 900_000 }, [
      ...STARTED,
      { type: 'stage', at: NOW - 700_000, epoch: 2, progress },
      { type: 'review-opened', at: NOW - 600_000, epoch: 2, verdict },
    ]);
    const status = await readRolloutStatus(folder);
    expect(status).toMatchObject({
      flagKey: 'async-upload',
      state: 'armed',
      epoch: 2,
      rollout: { enabled: true, percentage: 10 },
      stage: progress,
      openReviews: [{ verdict: { trigger: 'success-rate-below' } }],
      decision: undefined,
      isClosed: false,
      problems: [],
    });
    const text = renderStatus(status, NOW);
    expect(text).toMatch(/^Flag +async-upload$/m);
    expect(text).toMatch(/^Stage +collecting: The stage at 10 % needs 495 more outcomes\.$/m);
    expect(statusLine(status)).toBe(
      'async-upload armed | 10 %, epoch 2 | stage collecting | open reviews: success-rate-below',
    );
  });

  it('shows what keeps the guard from its work, until it is over', async () => {
    const problems: GuardEvent[] = [
      { type: 'admin-unavailable', at: NOW - 3_000, code: 'ADMIN_TOKEN', message: 'Refused.' },
      { type: 'flag-missing', at: NOW - 2_000, reason: 'archived', message: 'To roll it out, revive it.' },
    ];
    await givenEvents([...STARTED, ...problems]);
    const status = await readRolloutStatus(folder);
    expect(renderStatus(status, NOW)).toMatch(
      /^Problem +The guard cannot turn the flag off in Unleash: Refused\. .*\nProblem +The flag was archived\./m,
    );
    expect(statusLine(status)).toContain('problems: admin-unavailable, flag-missing');
    await givenEvents([
      { type: 'admin-available', at: NOW },
      { type: 'flag-found', at: NOW },
    ]);
    expect((await readRolloutStatus(folder)).openProblems).toEqual([]);
    await givenEvents([...problems, ...STARTED]);
    expect((await readRolloutStatus(folder)).openProblems).toEqual([]);
  });

  it('says which trigger is in dry run', async () => {
    await givenEvents([...STARTED]);
    const triggers = [{ name: 'tried', severity: 'rollback', dryRun: true, verdict }] as const;
    const status = { ...(await readRolloutStatus(folder)), view: viewOf({ triggers }) };
    expect(renderStatus(status, NOW)).toMatch(/^tried +breach: 90\.0 %, threshold 95 %, dry run$/m);
  });

  it('shows what a stopping guard waits for', async () => {
    const failure = { code: 'ADMIN_PERMISSION', message: 'Turn it off by hand.', requiresAction: true };
    await given({ status: 'stopping', since: NOW - 60_000, decision, failure }, [
      ...STARTED,
      { type: 'stopped-here', at: NOW - 60_000, decisionId: 'a' },
      { type: 'decided', at: NOW - 60_000, decision },
      { type: 'action-required', at: NOW - 50_000, decisionId: 'a', message: failure.message },
    ]);
    const status = await readRolloutStatus(folder);
    expect(status.state).toBe('stopping');
    const failures = [{ at: NOW, code: 'ADMIN_PERMISSION', message: failure.message }];
    expect(statusLine({ ...status, decision: { decision, failures } })).toBe(
      'async-upload stopping | 10 %, epoch 2 | not off in Unleash yet: ADMIN_PERMISSION | The success rate is 90 %.',
    );
    expect(renderStatus(status, NOW)).toMatch(
      /The success rate is 90 %\.\n +The flag is not off in Unleash yet\. Turn it off by hand\./,
    );
    expect(renderStatus(status, NOW)).toMatch(
      /^Rollout +10 %, epoch 2 \(in Unleash; the service gives all users the control\)$/m,
    );
    // The log of events has each cause once: what the view has is newer.
    const state = { ...status.view?.state, status: 'stopping', since: NOW, decision } as const;
    const latest = { code: 'ADMIN_UNAVAILABLE', message: 'It is down.', requiresAction: false };
    const view = viewOf({ state: { ...state, failure: latest } });
    expect(renderStatus({ ...status, view }, NOW)).toContain('yet. The guard keeps trying. It is down.');
  });

  it('shows both arms as they were when a stop was decided, no stage, and what to do next', async () => {
    await given(STOPPED, STARTED);
    const stage = { percentage: 10, minOutcomes: 2_000, minSuccessRate: 0.9 };
    const message = 'The stage at 10 % needs more.';
    const collecting = { stage, index: 0, status: 'collecting', outcomes: 3, elapsedMs: 9, message } as const;
    await new ViewFile(folder).save(viewOf({ at: NOW, epoch: 2, state: STOPPED, stage: collecting }));
    const status = await readRolloutStatus(folder, { now: () => NOW });
    const text = renderStatus(status, NOW);
    expect(text).toMatch(/^When it was decided:$/m);
    expect(text).toMatch(/^treatment +100 +90\.00 % +– +–$/m);
    expect(text).toContain('Fix the cause and deploy');
    expect(text).not.toContain('Stage');
    expect(status.stage).toBeUndefined();
  });

  it('names the guards below a folder, and a folder that is not there', async () => {
    await mkdir(join(folder, 'other'));
    await expect(readRolloutStatus(folder)).rejects.toThrow('contains neither journal.json nor audit.jsonl');
    const below = join(folder, 'async_upload_rollout');
    await new ViewFile(below).save(viewOf());
    await expect(readRolloutStatus(folder)).rejects.toThrow(`Guards write to ${below}.`);
    const many = Array.from({ length: 6 }, (_, index) => join(folder, `with-journal-${index}`));
    const state = { status: 'armed', since: NOW } as const;
    for (const each of many) await new Journal(each).save({ flagKey: 'a', epoch: 1, revision: 'r', state });
    await expect(readRolloutStatus(folder)).rejects.toThrow(
      `Guards write to ${[below, ...many].slice(0, 5).join(', ')} and 2 more.`,
    );
    const missing = join(folder, 'missing');
    await expect(readRolloutStatus(missing)).rejects.toThrow(`There is no folder ${missing}.`);
  });

  it('shows no percentage of a flag that the service no longer gets', async () => {
    await given({ status: 'armed', since: NOW }, STARTED);
    await new ViewFile(folder).save(viewOf({ at: NOW, epoch: 2, flag: undefined }));
    const text = renderStatus(await readRolloutStatus(folder, { now: () => NOW }), NOW);
    expect(text).toMatch(/^Rollout +no such flag for the service, all users get the control$/m);
  });

  it('says that the last stop is over once an operator has turned the flag on', async () => {
    await given({ status: 'armed', since: NOW }, [
      ...STARTED,
      { type: 'decided', at: NOW - 60_000, decision },
      { type: 're-armed', at: NOW, epoch: 3, decisionId: 'a' },
      { type: 'toggled', at: NOW, change: 'on', by: 'ann', changedAt: NOW, decisionId: 'a' },
    ]);
    expect(renderStatus(await readRolloutStatus(folder), NOW)).toMatch(
      /^Decision .+\n +It is over: the flag was turned on again by ann on 2026-03-02 12:00:00 UTC\.$/m,
    );
  });

  it('says in one line what a dry run would have stopped, and who holds the rollout', async () => {
    const dryRun = { ...decision, dryRun: true };
    const state = { status: 'armed', since: NOW, wouldHaveStopped: dryRun } as const;
    await given(state, [...STARTED, { type: 'decided', at: NOW - 60_000, decision: dryRun }]);
    const hold = { since: NOW, by: 'ada', reason: 'Black Friday' };
    await new ViewFile(folder).save(
      viewOf({ at: NOW, epoch: 2, state, dryRun: true, controls: { mutes: [], hold } }),
    );
    expect(statusLine(await readRolloutStatus(folder, { now: () => NOW }))).toBe(
      'async-upload would be stopped (dry run) | 10 %, epoch 2 | on hold by ada | The success rate is 90 %.',
    );
  });

  it('trusts the journal more than the audit log', async () => {
    await given(STOPPED, STARTED);
    expect(await readRolloutStatus(folder)).toMatchObject({ state: 'stopped', decision: { decision } });
  });

  it.each([
    ['stopping', []],
    ['stopped', [{ type: 'stopped', at: NOW, decisionId: 'a', confirmedBy: 'read-back' }]],
    [
      'armed',
      [
        { type: 'stopped', at: NOW, decisionId: 'a', confirmedBy: 'read-back' },
        { type: 're-armed', at: NOW, epoch: 3, decisionId: 'a' },
      ],
    ],
  ] satisfies [string, GuardEvent[]][])('reads %s from the audit log alone', async (state, events) => {
    await givenEvents([...STARTED, { type: 'decided', at: NOW, decision }, ...events]);
    expect((await readRolloutStatus(folder)).state).toBe(state);
  });

  it('shows both arms, what the stage needs and what triggers observed now, and not as reported last', async () => {
    const progress = {
      stage: { percentage: 10, minOutcomes: 2_000, minSuccessRate: 0.9 },
      index: 0,
      status: 'collecting',
      outcomes: 3,
      elapsedMs: 9,
      message: 'The stage at 10 % needs 1997 more outcomes.',
    } as const;
    await given({ status: 'armed', since: NOW }, [
      ...STARTED,
      { type: 'stage', at: NOW, epoch: 2, progress },
    ]);
    const arm = { counts: armCounts({ successes: 1_218, failures: 16 }), p50Ms: 410, errorTypes: [] };
    const view = viewOf({
      at: NOW,
      epoch: 2,
      arms: { treatment: { ...arm, lastOutcomeAt: NOW - 60_000 }, control: arm },
      stage: { ...progress, outcomes: 1_234 },
      stageText: '1234 of 2000 outcomes, about 40 min at this rate',
      triggers: [
        {
          name: 'success-rate-below',
          severity: 'rollback',
          verdict: { ...verdict, status: 'ok', observed: 0.987 },
        },
        { name: 'failure-\u001b[2Jregression', severity: 'rollback', evidence: 0.624 },
      ],
      controls: { mutes: [], hold: { since: NOW - 60_000, by: 'ada', reason: 'Black Friday' } },
    });
    await new ViewFile(folder).save(view);
    const status = await readRolloutStatus(folder);
    expect(status).toMatchObject({
      lastOutcomeAt: NOW - 60_000,
      stage: { outcomes: 1_234 },
      view: { at: NOW },
    });
    const text = renderStatus(status, NOW);
    expect(text).toMatch(/^treatment +1,234 +98\.70 % +410 ms +–$/m);
    expect(text).toMatch(/^Stage +collecting: 1234 of 2000 outcomes, about 40 min at this rate$/m);
    expect(text).toMatch(/^success-rate-below +ok: 98\.7 %, threshold 95 %$/m);
    expect(text).toMatch(/^failure- \[2Jregression +not evaluated yet, evidence 62 %$/m);
    expect(text).toMatch(/^Hold +by ada \(1 min ago\): Black Friday$/m);
  });

  it('continues without a journal.json or a view.json that cannot be read', async () => {
    await given({ status: 'armed', since: NOW }, STARTED);
    for (const file of ['journal.json', 'view.json']) await writeFile(join(folder, file), '{"half":');
    const status = await readRolloutStatus(folder);
    const why = 'damaged: it was cut off or overwritten';
    expect(status).toMatchObject({ state: 'armed', problems: [`journal.json: ${why}`, `view.json: ${why}`] });
  });

  it('shows that the guard was closed', async () => {
    await given({ status: 'armed', since: NOW }, [...STARTED, { type: 'closed', at: NOW }]);
    const status = await readRolloutStatus(folder);
    expect(status.isClosed).toBe(true);
    expect(renderStatus(status, NOW)).toContain('closed: nothing protects the flag (it was armed since');
  });

  it.each<[string, string, number, string[]]>([
    ['that is well', 'ok', 10_000, []],
    ['that is blind', 'blind', 10_000, ['stale-flags']],
    ['that crashed: it has been silent for a minute', 'ok', 61_000, ['silent']],
    ['that was blind and crashed', 'blind', 61_000, ['stale-flags', 'silent']],
  ])('shows the health of a guard %s', async (_what, status, ageMs, codes) => {
    const { audit, health } = healthAt(NOW - ageMs, status === 'blind');
    await given({ status: 'armed', since: NOW - 900_000 }, [...STARTED, ...audit]);
    await new ViewFile(folder).save(viewOf({ at: NOW - ageMs, health }));
    const found = await readRolloutStatus(folder, { now: () => NOW });
    expect(found.health?.reasons.map(({ code }) => code)).toEqual(codes);
    expect(found.health?.status).toBe(codes.length > 0 ? 'blind' : 'ok');
    const text = renderStatus(found, NOW);
    expect(text.match(/^Blind /gm) ?? []).toHaveLength(codes.length);
    expect(statusLine(found).includes(`blind: ${codes.join(', ')}`)).toBe(codes.length > 0);
  });

  it('shows the health by the audit log where there is no other file, and forgets it at the next start', async () => {
    const { audit, health } = healthAt(NOW - 10_000, true);
    await givenEvents([...STARTED, ...audit]);
    expect((await readRolloutStatus(folder)).health).toEqual(health);
    await givenEvents([{ type: 'started', at: NOW, epoch: 2, status: 'armed' }]);
    expect((await readRolloutStatus(folder)).health).toEqual({ status: 'ok', since: NOW, reasons: [] });
  });

  it('rejects a folder in which no guard has written', async () => {
    await expect(readRolloutStatus(folder)).rejects.toMatchObject({ code: 'NO_GUARD' });
    await expect(readRolloutStatus(join(folder, 'none'))).rejects.toMatchObject({ code: 'NO_GUARD' });
  });

  it.each([
    ['an unreadable journal and no audit log', 'journal.json'],
    ['an audit log without a line that can be read, and no journal', 'audit.jsonl'],
  ])('claims nothing of a folder with %s', async (_what, file) => {
    await mkdir(join(folder, 'odd'));
    // A folder in the place of the file cannot be read, not even by root.
    if (file === 'journal.json') await writeFile(join(folder, 'odd', file), '{"half":');
    else await mkdir(join(folder, 'odd', file));
    await expect(readRolloutStatus(join(folder, 'odd'))).rejects.toMatchObject({
      code: 'UNREADABLE_GUARD',
      message: expect.stringContaining(file),
    });
  });

  it('keeps escape sequences from the terminal', async () => {
    await givenEvents([
      ...STARTED,
      { type: 'fault', at: NOW, what: 'a listener', message: 'bad \u001b]0;title\u0007\u001b[2J' },
    ]);
    const status = await readRolloutStatus(folder);
    expect(renderStatus(status, NOW).replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  });
});
