import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isControlError } from '../../../src/guard/control/control-error.js';
import type { RolloutGuardOptions } from '../../../src/guard/options/options.js';
import type { RolloutGuard } from '../../../src/guard/rollout-guard.js';
import { ControlFolder } from '../../../src/journal/control-folder.js';
import type { Control } from '../../../src/model/control.js';
import { isConfigError } from '../../../src/support/config-error.js';
import { successRateBelow } from '../../../src/triggers/success-rate-below.js';
import { eventually } from '../../helpers/eventually.js';
import { GuardHarness } from '../../helpers/guard-harness.js';

const STAGES = [
  { percentage: 10, minOutcomes: 5, minSuccessRate: 0.9 },
  { percentage: 50, minOutcomes: 5, minSuccessRate: 0.9 },
];
const PLAN: Partial<RolloutGuardOptions> = { stages: STAGES, tickMs: 5, recheckMs: 20 };
const BREACHED = 'success-rate-below';
const HOUR = 3_600_000;

let harness: GuardHarness;

beforeEach(async () => {
  harness = await GuardHarness.create();
});
afterEach(() => harness.close());

/** The wall clock, which tests set forward. */
function clock() {
  let ahead = 0;
  return {
    set: (byMs: number) => {
      ahead += byMs;
    },
    now: () => Date.now() + ahead,
    monotonic: () => performance.now() + ahead,
  };
}

async function succeed(guard: RolloutGuard, times = 5): Promise<void> {
  const upload = guard.operation({ treatment: () => 'new', control: () => 'old' });
  for (let user = 0; user < times; user++) await upload({ targetingKey: `user-${user}` }, undefined);
}

const codeOf = (asked: Promise<unknown>) =>
  asked.then(
    () => 'done',
    (error: unknown) => {
      if (isControlError(error)) return error.code;
      if (isConfigError(error)) return 'INVALID_CONFIG';
      throw error;
    },
  );

const patches = () => harness.unleash.requests.filter((request) => request.startsWith('PATCH'));
const offs = () => harness.unleash.requests.filter((request) => request.endsWith('/off'));
const isMet = (guard: RolloutGuard) => guard.status().stage?.status === 'met';

describe('stop', () => {
  it('turns the flag off here and in Unleash, and the decision names who and why, without verdicts', async () => {
    const guard = await harness.started({ ...PLAN, dashboardUrl: 'https://guard.example.com/rollouts' });
    await succeed(guard, 3);
    const reply = await guard.stop({ reason: 'uploads are lost', by: 'ann' });
    expect(reply).toEqual({ accepted: true, message: 'async-upload is off in Unleash.' });
    expect(guard.state).toMatchObject({ status: 'stopped', confirmedBy: 'read-back' });
    expect([harness.unleash.enabled, harness.flags.isOverridden()]).toEqual([false, true]);
    const { decision } = harness.reported('decided')[0]!;
    expect(decision).toMatchObject({
      action: 'stop',
      dryRun: false,
      requestedBy: 'ann',
      verdicts: [],
      reason: 'ann stopped it: uploads are lost',
      counts: { treatment: { successes: 3 } },
      rolloutPercentage: 10,
    });
    expect(harness.reported('control')).toMatchObject([{ control: { type: 'stop', by: 'ann' } }]);
    await harness.until('shown', () => harness.unleash.links.length === 1);
    expect(harness.unleash.tags).toEqual([{ type: 'rollout-guard', value: 'stopped' }]);
    expect(harness.unleash.links).toMatchObject([
      {
        title: expect.stringMatching(
          /^rollout-guard: ann stopped it: uploads are lost \(production, \d{4}-.+ UTC\)$/,
        ),
        url: `https://guard.example.com/rollouts/#/flags/async-upload/decisions/${decision.id}`,
      },
    ]);
  });

  it('decides nothing again about a flag that is stopped', async () => {
    const guard = await harness.started(PLAN);
    const replies = await Promise.all([
      guard.stop({ reason: 'lost', by: 'ann' }),
      guard.stop({ reason: 'slow', by: 'bob' }),
    ]);
    const third = await guard.stop({ reason: 'again', by: 'cem' });
    expect(harness.reported('decided')).toHaveLength(1);
    expect(offs()).toHaveLength(1);
    expect(replies.every(({ accepted }) => accepted)).toBe(true);
    expect(third.message).toBe('async-upload is stopped already: ann stopped it: lost');
  });

  it('says that Unleash has not confirmed it, and users are safe', async () => {
    const guard = await harness.started(PLAN);
    harness.unleash.failure = () => Response.json({}, { status: 403 });
    const { message } = await guard.stop({ reason: 'lost', by: 'ann' });
    expect(message).toMatch(/off in this process, and not in Unleash yet.*lacks a permission/);
    expect(harness.flags.isOverridden()).toBe(true);
  });

  it('survives a restart, and ends when an operator turns the flag on', async () => {
    const first = await harness.started(PLAN);
    await first.stop({ reason: 'lost', by: 'ann' });
    await first.close();
    const guard = await harness.started(PLAN);
    expect(guard.state).toMatchObject({ status: 'stopped', decision: { requestedBy: 'ann', verdicts: [] } });
    harness.unleash.toggle(true, 'bob');
    await harness.until('armed', () => guard.state.status === 'armed');
    expect(harness.flags.isOverridden()).toBe(false);
  });

  it('replaces a step back, which leaves the flag on', async () => {
    const stages = [{ percentage: 1, minOutcomes: 5, minSuccessRate: 0.9 }, ...STAGES];
    const guard = await harness.started({ ...PLAN, stages, onRollback: 'previous-stage' });
    await harness.fail(guard);
    await harness.until('back at 1 %', () => guard.state.status === 'stopped');
    expect(guard.state).toMatchObject({ steppedBack: true });
    await guard.stop({ reason: 'off, please', by: 'ann' });
    expect(harness.unleash.enabled).toBe(false);
    expect(guard.state).toMatchObject({ status: 'stopped', decision: { requestedBy: 'ann' } });
  });

  it('is recorded in a dry run, and changes nothing; the triggers are evaluated as before', async () => {
    const guard = await harness.started({ ...PLAN, dryRun: true });
    const { message } = await guard.stop({ reason: 'lost', by: 'ann' });
    expect(message).toMatch(/^Dry run/);
    expect(harness.reported('decided')).toMatchObject([{ decision: { dryRun: true, requestedBy: 'ann' } }]);
    expect([guard.state.status, harness.unleash.changes]).toEqual(['armed', []]);
    await harness.fail(guard);
    await harness.until('decided', () => harness.reported('decided').length === 2);
  });
});

describe('hold and resume', () => {
  it('keep automatic advance waiting, also after a restart, and report why once', async () => {
    const first = await harness.started({ ...PLAN, advance: 'automatic' });
    await first.hold({ reason: 'incident 42', by: 'ann' });
    await first.close();
    const guard = await harness.started({ ...PLAN, advance: 'automatic' });
    expect(guard.controls).toMatchObject({ hold: { by: 'ann', reason: 'incident 42' }, mutes: [] });
    await succeed(guard);
    await harness.until('met', () => isMet(guard));
    await harness.ticks(6);
    expect(harness.unleash.rollout).toBe(10);
    expect(harness.reported('advance-waiting')).toMatchObject([
      { from: 10, to: 50, reason: 'ann has put automatic advance on hold: incident 42' },
    ]);
    expect(await guard.resume({ by: 'bob', reason: 'incident 42 is over' })).toMatchObject({
      message: 'bob has resumed automatic advance: incident 42 is over.',
    });
    await harness.until('moved', () => harness.unleash.rollout === 50);
    expect(guard.controls).toEqual({ mutes: [] });
    expect(await codeOf(guard.resume({ by: 'bob' }))).toBe('NOT_HELD');
  });

  it('name the hold that another one replaces', async () => {
    const guard = await harness.started({ ...PLAN, advance: 'automatic' });
    expect((await guard.hold({ reason: 'incident 42', by: 'ann' })).message).not.toContain('replaces');
    expect((await guard.hold({ reason: 'release freeze', by: 'bob' })).message).toMatch(
      /^bob has put automatic advance on hold: release freeze\. It replaces the hold of ann since \d\d:\d\d UTC \(incident 42\)\.$/,
    );
    expect(guard.controls.hold).toMatchObject({ by: 'bob', reason: 'release freeze' });
  });

  it('leave the triggers in force', async () => {
    const guard = await harness.started(PLAN);
    const { message } = await guard.hold({ reason: 'incident 42', by: 'ann' });
    expect(message).toContain('advance is "manual"');
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    // What failed is known after the stop, too, which begins another epoch.
    expect(harness.reported('decided')[0]?.decision.errorTypes).toMatchObject({
      treatment: [{ errorType: 'Error' }],
      control: [],
    });
  });
});

describe('advance', () => {
  it('moves to the next stage when the stage is met, and names who asked', async () => {
    const guard = await harness.started(PLAN);
    await succeed(guard);
    await harness.until('met', () => isMet(guard));
    expect((await guard.advance({ by: 'ann' })).message).toBe('async-upload is at 50 % in Unleash.');
    expect(harness.unleash.rollout).toBe(50);
    expect(harness.reported('advanced')).toMatchObject([{ from: 10, to: 50, by: 'ann' }]);
  });

  it('is done once by two operators at once', async () => {
    const stages = [...STAGES, { percentage: 100, minOutcomes: 5, minSuccessRate: 0.9 }];
    const guard = await harness.started({ ...PLAN, stages });
    await succeed(guard);
    await harness.until('met', () => isMet(guard));
    const [first, second] = await Promise.all([guard.advance({ by: 'ann' }), guard.advance({ by: 'bob' })]);
    expect(first.message).not.toContain('already');
    expect(second.message).toContain('it was there already');
    expect([harness.unleash.rollout, patches().length]).toEqual([50, 1]);
  });

  it('is refused while the stage is not met, with the reason, unless forced', async () => {
    const guard = await harness.started(PLAN);
    await harness.until('evaluated', () => guard.status().stage !== undefined);
    await expect(guard.advance({ by: 'ann' })).rejects.toThrow(
      'The stage at 10 % is not met: The stage at 10 % needs 5 more outcomes. It can be forced.',
    );
    expect(patches()).toEqual([]);
    expect(harness.reported('control')).toMatchObject([
      { control: { type: 'advance', by: 'ann' }, refused: expect.stringContaining('is not met') },
    ]);
    await guard.advance({ by: 'ann', force: true, reason: 'known good' });
    expect(harness.unleash.rollout).toBe(50);
  });

  it.each<[code: string, what: string, options: Partial<RolloutGuardOptions>, flag: object]>([
    ['LAST_STAGE', 'at the last stage', { stages: STAGES.slice(0, 1) }, {}],
    ['NO_STAGES', 'without stages', { stages: [] }, {}],
    ['NO_STAGE', 'at a percentage of no stage', {}, { rolloutPercentage: 33 }],
    ['NO_STAGE', 'without a single percentage', {}, { rolloutPercentage: undefined }],
    ['FLAG_OFF', 'while the flag is off', {}, { enabled: false }],
    ['DRY_RUN', 'in a dry run', { dryRun: true }, {}],
  ])('is refused with %s %s, also when forced', async (code, _what, options, flag) => {
    const guard = await harness.started({ ...PLAN, ...options });
    harness.flags.change(flag);
    expect(await codeOf(guard.advance({ by: 'ann', force: true }))).toBe(code);
    expect(patches()).toEqual([]);
  });

  it('is refused for a flag that is stopped', async () => {
    const guard = await harness.started(PLAN);
    await guard.stop({ reason: 'lost', by: 'ann' });
    expect(await codeOf(guard.advance({ by: 'ann', force: true }))).toBe('STOPPED');
  });

  it('never moves from a percentage that an operator has set meanwhile', async () => {
    const guard = await harness.started(PLAN);
    harness.unleash.rollout = 20;
    expect(await codeOf(guard.advance({ by: 'ann', force: true }))).toBe('MOVED');
    expect(harness.unleash.rollout).toBe(20);
  });

  it('names why Unleash refuses', async () => {
    const guard = await harness.started(PLAN);
    harness.unleash.failure = (request) =>
      request.startsWith('PATCH') ? Response.json({}, { status: 403 }) : undefined;
    await expect(guard.advance({ by: 'ann', force: true })).rejects.toMatchObject({
      code: 'UNLEASH',
      message: expect.stringContaining('lacks a permission'),
    });
  });
});

describe('mute', () => {
  it('keeps a trigger from stopping the flag, still shown, until its time is over, also after a restart', async () => {
    const time = clock();
    const first = await harness.started({ ...PLAN, clock: time });
    const { message } = await first.mute(BREACHED, { forMs: HOUR, reason: 'known', by: 'ann' });
    expect(message).toContain('nothing stops the flag');
    const again = await first.mute(BREACHED, { forMs: HOUR, reason: 'known', by: 'ann' });
    expect(again.message).toMatch(/It replaces the mute of ann since .* \(known\)\./);
    await first.close();
    const guard = await harness.started({ ...PLAN, clock: time });
    expect(guard.controls.mutes).toMatchObject([{ trigger: BREACHED, by: 'ann', reason: 'known' }]);
    await harness.fail(guard);
    await harness.ticks(3);
    expect(guard.status().verdicts[0]).toMatchObject({ trigger: BREACHED, status: 'breach' });
    expect([guard.state.status, harness.unleash.enabled]).toEqual(['armed', true]);
    time.set(HOUR);
    await harness.until('over', () => harness.reported('mute-expired').length === 1);
    expect(guard.controls.mutes).toEqual([]);
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
  });

  it('lets a flag stay on that was turned on again after a stop', async () => {
    const guard = await harness.started(PLAN);
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    await guard.mute(BREACHED, { forMs: HOUR, reason: 'the provider is down', by: 'ann' });
    harness.flags.change({ enabled: false });
    harness.unleash.toggle(true, 'ann');
    harness.flags.change({ enabled: true });
    await harness.fail(guard);
    await harness.ticks(3);
    expect([guard.state.status, harness.unleash.enabled]).toEqual(['armed', true]);
    await guard.unmute(BREACHED, { by: 'ann' });
    await harness.until('stopped', () => guard.state.status === 'stopped');
    expect(await codeOf(guard.unmute(BREACHED, { by: 'ann' }))).toBe('NOT_MUTED');
  });

  it('leaves the other triggers in force', async () => {
    const other = successRateBelow(0.5, { minOutcomes: 20, name: 'half' });
    const rollback = [successRateBelow(0.95, { minOutcomes: 20 }), other];
    const guard = await harness.started({ ...PLAN, rollback });
    await guard.mute(BREACHED, { forMs: HOUR, reason: 'known', by: 'ann' });
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    const { decision } = harness.reported('decided')[0]!;
    expect(decision.verdicts).toMatchObject([{ trigger: 'half' }]);
  });

  it('is refused for a trigger that is not there, with the names of those that are', async () => {
    const guard = await harness.started(PLAN);
    await expect(guard.mute('latency', { forMs: HOUR, reason: 'known', by: 'ann' })).rejects.toMatchObject({
      code: 'UNKNOWN_TRIGGER',
      message: expect.stringContaining(BREACHED),
    });
  });
});

describe('acknowledge', () => {
  let status: 'ok' | 'breach' = 'breach';
  const verdict = {
    trigger: 'slow',
    threshold: 1,
    unit: 'none' as const,
    sampleSize: { treatment: 1, control: 1 },
    windowMs: 0,
    message: 'It is slow.',
  };
  const REVIEWED: Partial<RolloutGuardOptions> = {
    ...PLAN,
    review: [{ name: 'slow', windowMs: 0, evaluate: () => ({ ...verdict, status }) as const }],
    reviewCloseAfterMs: 20,
  };

  it('closes a review that still breaches, for good, and the next one opens only after it was ok', async () => {
    status = 'breach';
    const first = await harness.started(REVIEWED);
    await succeed(first);
    await harness.until('blocked', () => first.status().stage?.status === 'blocked');
    await first.acknowledge('slow', { by: 'ann', reason: 'expected' });
    await harness.until('met', () => isMet(first));
    expect(first.status().openReviews).toEqual([]);
    await first.close();
    const guard = await harness.started(REVIEWED);
    await harness.ticks(3);
    expect(harness.reported('review-opened')).toHaveLength(1);
    status = 'ok';
    await harness.ticks(20);
    status = 'breach';
    await harness.until('opened again', () => harness.reported('review-opened').length === 2);
    expect(guard.status().openReviews).toHaveLength(1);
    expect(harness.reported('review-closed')).toEqual([]);
  });

  it('is refused without such a review', async () => {
    status = 'ok';
    const guard = await harness.started(REVIEWED);
    expect(await codeOf(guard.acknowledge('slow', { by: 'ann' }))).toBe('NO_REVIEW');
  });

  it('a muted trigger opens no review', async () => {
    status = 'ok';
    const guard = await harness.started(REVIEWED);
    await guard.mute('slow', { forMs: HOUR, reason: 'known', by: 'ann' });
    status = 'breach';
    await harness.ticks(5);
    expect(guard.status().openReviews).toEqual([]);
    expect(guard.status().verdicts).toContainEqual(expect.objectContaining({ trigger: 'slow', status }));
  });
});

describe('a request', () => {
  const request = (fields: object) => ({ type: 'hold', by: 'ann', reason: 'incident', ...fields }) as Control;

  it.each<[what: string, request: unknown]>([
    ['without a reason', request({ reason: undefined })],
    ['with an empty reason', request({ reason: '' })],
    ['with a blank reason', request({ reason: ' \u00a0 ' })],
    ['with a reason of 1,001 characters', request({ reason: 'x'.repeat(1_001) })],
    ['with a line break in its reason', request({ reason: 'a\nb' })],
    ['with an escape sequence in its reason', request({ reason: '\u001b[2J' })],
    ['with a C1 control character in its reason', request({ reason: 'a\u009bb' })],
    ['with a mark that turns the direction', request({ reason: 'a\u202eb' })],
    ['with half a character', request({ reason: 'a\ud800' })],
    ['without who asks', request({ by: undefined })],
    ['with a name of 201 characters', request({ by: 'x'.repeat(201) })],
    ['with a line break in the name', request({ by: 'ann\r' })],
    ['of a type that is not there', request({ type: 'pause' })],
    ['with a field too many', request({ force: true })],
    ['to mute for no time', request({ type: 'mute', trigger: BREACHED, forMs: 0 })],
    ['to mute for ever', request({ type: 'mute', trigger: BREACHED, forMs: Number.POSITIVE_INFINITY })],
    ['to mute for a number that is none', request({ type: 'mute', trigger: BREACHED, forMs: Number.NaN })],
    ['to mute no trigger', request({ type: 'mute', forMs: 1 })],
    ['that is none', undefined],
    ['that is a list', []],
  ])('%s is invalid, and nothing is recorded', async (_what, given) => {
    const guard = await harness.started(PLAN);
    expect(await codeOf(guard.control(given as Control))).toBe('INVALID_CONFIG');
    expect(harness.reported('control')).toEqual([]);
  });

  it.each([
    ['stop', 'text', 'got "text"'],
    ['hold', undefined, 'got nothing'],
    ['mute', ['ann'], 'got an array of 1'],
  ] as const)('to %s with %j instead of an object says so', async (type, asked, got) => {
    const guard = await harness.started(PLAN);
    const request = type === 'mute' ? guard.mute(BREACHED, asked as never) : guard[type](asked as never);
    await expect(request).rejects.toThrow(
      `Invalid ${type}: expected an object such as { by: 'ann', reason: 'incident 42' }, ${got}`,
    );
    expect(harness.reported('control')).toEqual([]);
  });

  it.each([
    ['HTML', '<img src=x onerror=alert(1)> & "quotes"'],
    ['1,000 characters', 'ü'.repeat(1_000)],
    ['an emoji of several', 'on call: 👩‍💻'],
    ['JSON', '{"type":"resume"}'],
  ])('may have a reason with %s, which stays text', async (_what, reason) => {
    const guard = await harness.started(PLAN);
    await guard.hold({ reason, by: 'ann' });
    expect(guard.controls.hold?.reason).toBe(reason);
    await guard.close();
    const audit = await readFile(join(harness.folder, 'audit.jsonl'), 'utf8');
    const entries = audit
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(entries.find(({ type }) => type === 'control')?.control).toEqual({
      type: 'hold',
      by: 'ann',
      reason,
    });
  });

  it('is refused before the guard was started, and after it was closed', async () => {
    const guard = harness.guard(PLAN);
    expect(await codeOf(guard.hold({ reason: 'early', by: 'ann' }))).toBe('NOT_RUNNING');
    await guard.start();
    await guard.close();
    expect(await codeOf(guard.stop({ reason: 'late', by: 'ann' }))).toBe('NOT_RUNNING');
    expect(harness.unleash.enabled).toBe(true);
  });
});

describe('requests in the folder', () => {
  const ID = '6f1e0c1e-4b3f-4f0a-9c36-0c8f9d1a2b3c';
  const send = (control: Control, fields: object = {}) =>
    new ControlFolder(harness.folder).send({
      id: ID,
      control,
      at: Date.now(),
      expiresAt: Date.now() + 60_000,
      ...fields,
    });
  const HOLD: Control = { type: 'hold', by: 'ann', reason: 'incident' };

  async function reply(id = ID) {
    const inbox = new ControlFolder(harness.folder);
    return eventually(async () => {
      const found = await inbox.reply(id);
      expect(found).toBeDefined();
      return found;
    });
  }

  it('are done and answered, and leave nothing', async () => {
    const guard = await harness.started(PLAN);
    await send(HOLD);
    expect(await reply()).toMatchObject({ accepted: true });
    expect(guard.controls.hold).toMatchObject({ by: 'ann' });
    await eventually(async () => expect(await readdir(join(harness.folder, 'requests'))).toEqual([]));
  });

  it('are answered with the reason when they are refused', async () => {
    await harness.started(PLAN);
    await send({ type: 'resume', by: 'ann' });
    expect(await reply()).toMatchObject({ accepted: false, code: 'NOT_HELD' });
  });

  it('that come too late are not done', async () => {
    const guard = await harness.started(PLAN);
    await send(HOLD, { at: 1, expiresAt: 2 });
    expect(await reply()).toMatchObject({ accepted: false, message: expect.stringContaining('too late') });
    expect(guard.controls.hold).toBeUndefined();
  });

  it.each([
    ['no JSON', '{'],
    ['another shape', '{"id":"x"}'],
    [
      'an invalid reason',
      JSON.stringify({ id: ID, control: { ...HOLD, reason: '\u0007' }, at: 1, expiresAt: 9e15 }),
    ],
    ['another id', JSON.stringify({ id: ID.replace('6', '7'), control: HOLD, at: 1, expiresAt: 9e15 })],
    ['more than any request has', ' '.repeat(20_000)],
  ])('with %s are refused, and the guard goes on', async (_what, text) => {
    const guard = await harness.started(PLAN);
    await mkdir(join(harness.folder, 'requests'), { recursive: true });
    await writeFile(join(harness.folder, 'requests', `${ID}.json`), text);
    expect(await reply()).toMatchObject({
      accepted: false,
      message: expect.stringContaining('cannot be used'),
    });
    expect(guard.controls).toEqual({ mutes: [] });
    expect(harness.reported('fault')).toEqual([]);
  });

  it('that were begun before a crash are finished, and not done twice', async () => {
    const stages = [...STAGES, { percentage: 100, minOutcomes: 5, minSuccessRate: 0.9 }];
    // The first step was sent, and its answer was not written.
    harness.unleash.rollout = 50;
    harness.flags.change({ rolloutPercentage: 50 });
    const control: Control = { type: 'advance', by: 'ann', force: true };
    await mkdir(join(harness.folder, 'requests'), { recursive: true });
    const begun = { id: ID, control, at: 1, expiresAt: 2, step: { from: 10, to: 50 } };
    await writeFile(join(harness.folder, 'requests', `${ID}.begun.json`), JSON.stringify(begun));
    await harness.started({ ...PLAN, stages });
    expect(await reply()).toMatchObject({ accepted: true, message: expect.stringContaining('already') });
    expect([harness.unleash.rollout, patches()]).toEqual([50, []]);
  });
});

describe('the guard itself', () => {
  it('holds automatic advance after two stops by triggers, and says so', async () => {
    const guard = await harness.started({ ...PLAN, advance: 'automatic' });
    for (const times of [1, 2]) {
      await harness.fail(guard);
      await harness.until('stopped', () => guard.state.status === 'stopped');
      expect(guard.controls.hold === undefined).toBe(times === 1);
      harness.flags.change({ enabled: false });
      harness.unleash.toggle(true, 'ann');
      harness.flags.change({ enabled: true });
      await harness.until('armed', () => guard.state.status === 'armed');
    }
    expect(guard.controls.hold).toMatchObject({
      by: 'rollout-guard',
      reason: expect.stringMatching(/stopped 2 times/),
    });
    await succeed(guard);
    await harness.until('met', () => isMet(guard));
    await harness.ticks(5);
    expect(harness.unleash.rollout).toBe(10);
  });

  it('notifies once when a stage is not met in time, and holds where that was asked for', async () => {
    const time = clock();
    const stages = STAGES.map((stage) => ({ ...stage, deadlineMs: HOUR, onDeadline: 'hold' as const }));
    const guard = await harness.started({ ...PLAN, stages, clock: time, advance: 'automatic' });
    await harness.ticks(3);
    expect(harness.reported('stage-overdue')).toEqual([]);
    time.set(HOUR);
    await harness.until('overdue', () => harness.reported('stage-overdue').length === 1);
    expect(guard.controls.hold?.reason).toContain('was not met within 1 h');
    await guard.close();
    const next = await harness.started({ ...PLAN, stages, clock: time, advance: 'automatic' });
    await harness.ticks(5);
    expect(harness.reported('stage-overdue')).toHaveLength(1);
    await next.resume({ by: 'ann' });
    await succeed(next);
    await harness.until('moved', () => harness.unleash.rollout === 50);
  });

  it('says once that the rollout is complete, also to Unleash, and takes it back when it stops the flag', async () => {
    const stages = STAGES.slice(0, 1);
    const guard = await harness.started({ ...PLAN, stages });
    await succeed(guard);
    await harness.until('complete', () => harness.reported('completed').length === 1);
    const lifecycle = () => harness.unleash.requests.filter((request) => request.includes('/lifecycle/'));
    await harness.until('said', () => lifecycle().length === 1);
    await harness.ticks(5);
    await harness.fail(guard, 60);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    await harness.until('taken back', () => lifecycle().length === 2);
    expect(lifecycle().map((request) => request.split('/').at(-1))).toEqual(['complete', 'uncomplete']);
    expect(harness.reported('completed')).toHaveLength(1);
  });

  it('advances only within a change window', async () => {
    const time = clock();
    const tomorrow = new Date(time.now() + 24 * HOUR).getUTCDay();
    const days = [(['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const)[tomorrow]!];
    const changeWindows = [{ days }];
    const guard = await harness.started({ ...PLAN, advance: 'automatic', clock: time, changeWindows });
    await succeed(guard);
    await harness.until('waits', () => harness.reported('advance-waiting').length === 1);
    await harness.ticks(3);
    expect([harness.unleash.rollout, harness.reported('advance-waiting').length]).toEqual([10, 1]);
    time.set(24 * HOUR);
    await succeed(guard);
    await harness.until('moved', () => harness.unleash.rollout === 50);
  });
});

describe("the flag's page in Unleash", () => {
  const tags = () => harness.unleash.tags.map(({ type, value }) => `${type}:${value}`);

  it('shows the stage, then the stop, then the next rollout, and leaves the tags of others', async () => {
    harness.unleash.tags.push({ type: 'simple', value: 'team-uploads' });
    const guard = await harness.started(PLAN);
    await harness.until('at the stage', () => tags().includes('rollout-guard:stage:10'));
    await harness.fail(guard);
    await harness.until('stopped', () => tags().includes('rollout-guard:stopped'));
    expect(tags()).toEqual(['simple:team-uploads', 'rollout-guard:stopped']);
    harness.flags.change({ enabled: false });
    harness.unleash.toggle(true, 'ann');
    harness.unleash.rollout = 50;
    harness.flags.change({ enabled: true, rolloutPercentage: 50 });
    await harness.until('re-armed', () => tags().includes('rollout-guard:stage:50'));
    expect(tags()).toEqual(['simple:team-uploads', 'rollout-guard:stage:50']);
  });

  it('shows a step back until the percentage is raised again', async () => {
    const stages = [{ percentage: 1, minOutcomes: 5, minSuccessRate: 0.9 }, ...STAGES];
    const guard = await harness.started({ ...PLAN, stages, onRollback: 'previous-stage' });
    await harness.fail(guard);
    await harness.until('shown', () => tags().includes('rollout-guard:step-back'));
    harness.flags.change({ rolloutPercentage: 1 });
    await harness.until('armed', () => tags().includes('rollout-guard:stage:1'));
    expect(tags()).toContain('rollout-guard:step-back');
    harness.unleash.rollout = 10;
    harness.flags.change({ rolloutPercentage: 10 });
    await harness.until('raised', () => tags().includes('rollout-guard:stage:10'));
    expect(tags()).toEqual(['rollout-guard:stage:10']);
  });

  it('reports missing rights once, after the stop, and does not delay it', async () => {
    harness.unleash.failure = (request) =>
      /\/(tags|tag-types|link)/.test(request) ? Response.json({}, { status: 403 }) : undefined;
    const reportUrl = 'https://reports.example.com/async-upload';
    const unleash = {
      url: 'http://unleash.test/api',
      token: '*:*.made-up',
      environment: 'production',
      reportUrl,
    };
    const guard = await harness.started({ ...PLAN, unleash });
    await harness.fail(guard);
    await harness.until('stopped', () => guard.state.status === 'stopped');
    await harness.ticks(10);
    const faults = harness.reported('fault').filter(({ what }) => what === 'showing the rollout in Unleash');
    expect(faults).toHaveLength(1);
    const isOff = (request: string) => request.endsWith('/off');
    const isLink = (request: string) => request.endsWith('/link');
    const { requests } = harness.unleash;
    expect(requests.findIndex(isLink)).toBeGreaterThan(requests.findIndex(isOff));
  });

  it('changes nothing in a dry run', async () => {
    const guard = await harness.started({ ...PLAN, dryRun: true });
    await succeed(guard);
    await harness.until('met', () => isMet(guard));
    await harness.ticks(3);
    expect(harness.unleash.changes).toEqual([]);
  });
});
