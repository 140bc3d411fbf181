import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RolloutGuardOptions } from '../../src/guard/options/options.js';
import { RolloutGuard } from '../../src/guard/rollout-guard.js';
import type { GuardEvent } from '../../src/model/event.js';
import type { Evaluation } from '../../src/model/shapes.js';
import { NotifyError } from '../../src/notify/notifier.js';
import { criticalErrors } from '../../src/triggers/critical-errors.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { eventually } from '../helpers/eventually.js';
import { FakeAdminApi } from '../helpers/fake-admin-api.js';
import { FakeFlags } from '../helpers/fake-flags.js';

let folder: string;
let flags: FakeFlags;
let unleash: FakeAdminApi;
let events: GuardEvent[];
const guards: RolloutGuard[] = [];

const ofType = <T extends GuardEvent['type']>(type: T) =>
  events.filter((event): event is GuardEvent & { type: T } => event.type === type);

/** Only timers are faked: files and promises are real. */
async function until(what: string, condition: () => boolean): Promise<void> {
  await eventually(() => expect(condition(), what).toBe(true));
}

function newGuard(options: Partial<RolloutGuardOptions> = {}): RolloutGuard {
  const guard = new RolloutGuard({
    flagKey: 'async-upload',
    flags,
    unleash: { url: 'http://unleash.test/api', token: '*:*.made-up', environment: 'production' },
    rollback: [successRateBelow(0.95, { minOutcomes: 20 }), criticalErrors()],
    folder,
    logger: false,
    onEvent: (event) => events.push(event),
    fetch: unleash.fetch,
    random: () => 0,
    ...options,
  });
  guards.push(guard);
  return guard;
}

/** Uploads of users whose flag is on, `failing` of them failing without a fallback. */
async function upload(
  guard: RolloutGuard,
  total: number,
  failing: number,
  error: object = new Error('down'),
) {
  const run = guard.operation<number, string>({
    treatment: (index) => (index < failing ? Promise.reject(error) : 'ok'),
    control: () => 'old',
    retries: 0,
  });
  for (let index = 0; index < total; index++) await run({ targetingKey: `user-${index}` }, index);
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rollout-guard-'));
  flags = new FakeFlags();
  unleash = new FakeAdminApi();
  events = [];
});

afterEach(async () => {
  await Promise.all(guards.splice(0).map((guard) => guard.close()));
  await rm(folder, { recursive: true, force: true });
});

describe('RolloutGuard', () => {
  it.each([
    [503, 'UnavailableError', false, ' if it lasts for five minutes'],
    [403, 'NoAccessError', true, ''],
  ])(
    'says what to do when reading the flag back fails with %d, whatever Unleash replies',
    async (...given) => {
      const [status, name, requiresAction, when] = given;
      const guard = newGuard();
      await guard.start();
      const isRead = (request: string) =>
        request.startsWith('GET') && request.endsWith('/features/async-upload');
      unleash.failure = (request) =>
        isRead(request) && unleash.changes.length > 0
          ? Response.json({ name, message: 'Not by hand, please.' }, { status })
          : undefined;
      await upload(guard, 20, 10);
      await until('failed', () => ofType('stop-failed').length > 0);
      const { failure } = ofType('stop-failed')[0]!;
      expect(failure.requiresAction).toBe(requiresAction);
      const page = 'http://unleash.test/projects/default/features/async-upload';
      expect(failure.message.endsWith(` Turn the flag off by hand in the Unleash UI (${page})${when}.`)).toBe(
        true,
      );
    },
  );

  it('overrides here, turns off in Unleash, reads it back, and only then is stopped', async () => {
    const guard = newGuard();
    await guard.start();
    await upload(guard, 20, 10);
    await until('stopped', () => guard.state.status === 'stopped');
    expect(flags.isOverridden()).toBe(true);
    const order = events.map(({ type }) => type);
    const reported = (type: GuardEvent['type']) => order.indexOf(type);
    expect(reported('decided')).toBeLessThan(reported('stopped-here'));
    expect(reported('stopped-here')).toBeLessThan(reported('stopped'));
    const [off, read] = unleash.requests.slice(unleash.requests.indexOf(unleash.changes[0]!));
    expect(off).toBe('POST /api/admin/projects/default/features/async-upload/environments/production/off');
    expect(read).toBe('GET /api/admin/projects/default/features/async-upload');
    expect(ofType('decided')[0]?.decision).toMatchObject({
      dryRun: false,
      rolloutPercentage: 10,
      counts: { treatment: { successes: 10, failures: 10, fallbacks: 10 } },
      verdicts: [
        { trigger: 'success-rate-below', observed: 0.5, threshold: 0.95, sampleSize: { treatment: 20 } },
      ],
    });
  });

  it('does not stop on one outcome too few', async () => {
    const guard = newGuard();
    await guard.start();
    await upload(guard, 19, 19);
    await new Promise(setImmediate);
    expect(guard.state.status).toBe('armed');
    expect(guard.status().verdicts[0]).toMatchObject({
      status: 'insufficient-data',
      sampleSize: { treatment: 19 },
    });
    expect(unleash.changes).toEqual([]);
  });

  it('stops on a single critical error', async () => {
    const guard = newGuard();
    await guard.start();
    await upload(guard, 1, 1, Object.assign(new Error('disk'), { code: 'ENOSPC' }));
    await until('stopped', () => guard.state.status === 'stopped');
    expect(ofType('decided')[0]?.decision.verdicts[0]?.trigger).toBe('critical-errors');
  });

  it('evaluates once for a burst of outcomes within one turn of the event loop', async () => {
    const trigger = successRateBelow(0.5, { minOutcomes: 1_000 });
    const evaluate = vi.fn(trigger.evaluate.bind(trigger));
    const guard = newGuard({ rollback: [{ name: trigger.name, windowMs: trigger.windowMs, evaluate }] });
    await guard.start();
    evaluate.mockClear();
    const run = guard.operation<void, string>({ treatment: () => 'ok', control: () => 'old' });
    await Promise.all(Array.from({ length: 500 }, () => run({ targetingKey: 'u' })));
    await new Promise(setImmediate);
    expect(evaluate.mock.calls.length).toBeLessThanOrEqual(2);
    expect(guard.status().snapshot.total.treatment.successes).toBe(500);
  });

  it('records decisions of a dry run and acts on none', async () => {
    const guard = newGuard({ dryRun: true });
    await guard.start();
    await upload(guard, 40, 40);
    await until('decided', () => ofType('decided').length === 1);
    expect(guard.state).toMatchObject({ status: 'armed', wouldHaveStopped: { dryRun: true } });
    expect(flags.stops).toEqual([]);
    expect(unleash.changes).toEqual([]);
  });

  it('re-arms with empty windows when an operator turns the flag on again', async () => {
    const guard = newGuard();
    await guard.start();
    await upload(guard, 20, 20);
    await until('stopped', () => guard.state.status === 'stopped');
    flags.change({ enabled: false });
    expect(flags.isOverridden()).toBe(true);
    flags.change({ enabled: true });
    expect(guard.state.status).toBe('armed');
    expect(flags.isOverridden()).toBe(false);
    await upload(guard, 10, 0);
    expect(guard.status().snapshot.windows[0]?.treatment).toMatchObject({ successes: 10, failures: 0 });
    await until('untagged', () => unleash.tags.length === 0);
  });

  it('reads the flag from Unleash when it never saw it off, and re-arms if an operator was faster than the poll', async () => {
    const guard = newGuard({ tickMs: 5, recheckMs: 20 });
    await guard.start();
    await upload(guard, 20, 20);
    await until('stopped', () => guard.state.status === 'stopped');
    unleash.toggle(true, 'ann');
    await until('re-armed', () => guard.state.status === 'armed');
    await until('operator named', () =>
      ofType('toggled').some(({ change, by }) => change === 'on' && by === 'ann'),
    );
  });

  it('shows its state without what only its journal needs', async () => {
    unleash.failure = () => new Response('', { status: 403 });
    const guard = newGuard();
    await guard.start();
    await upload(guard, 20, 20);
    await until('failed', () => ofType('action-required').length === 1);
    expect(Object.keys(guard.state).sort()).toEqual(['decision', 'failure', 'since', 'status']);
    flags.change({ enabled: false });
    expect(Object.keys(guard.state).sort()).toEqual(['confirmedBy', 'decision', 'since', 'status']);
    expect(guard.status().state).toEqual(guard.state);
  });

  it('keeps trying while Unleash is down, and reports it once', async () => {
    let refused = 0;
    unleash.failure = () => {
      if (unleash.changes.length > 0) refused++;
      return refused <= 3 ? new Response('', { status: 503 }) : undefined;
    };
    const guard = newGuard();
    await guard.start();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      await upload(guard, 20, 20);
      await eventually(async () => {
        await vi.advanceTimersByTimeAsync(1_000);
        expect(guard.state.status).toBe('stopped');
      });
    } finally {
      vi.useRealTimers();
    }
    expect(ofType('stop-failed')).toHaveLength(1);
    expect(ofType('action-required')).toHaveLength(0);
    expect(flags.isOverridden()).toBe(true);
  });

  it('requests action once where retrying cannot help, and sees when an operator has done it', async () => {
    unleash.failure = () => Response.json({ message: 'no permission' }, { status: 403 });
    const guard = newGuard({ tickMs: 5, recheckMs: 10 });
    await guard.start();
    await upload(guard, 20, 20);
    await until('requested', () => ofType('action-required').length === 1);
    await until('retried', () => unleash.requests.length > 4);
    expect(ofType('action-required')).toHaveLength(1);
    expect(ofType('action-required')[0]?.message).toContain('/projects/default/features/async-upload');
    expect(guard.state.status).toBe('stopping');
    flags.change({ enabled: false });
    expect(guard.state).toMatchObject({ status: 'stopped', confirmedBy: 'definition' });
  });

  it('has the pending stop on disk before the first request', async () => {
    let journal: string | undefined;
    unleash.failure = () => new Response('', { status: 401 });
    const fetch: typeof globalThis.fetch = async (input, init) => {
      journal ??= await readFile(join(folder, 'journal.json'), 'utf8');
      return unleash.fetch(input as string, init);
    };
    const guard = newGuard({ fetch });
    await guard.start();
    await upload(guard, 20, 20);
    await until('first request', () => journal !== undefined);
    expect(JSON.parse(journal!)).toMatchObject({
      state: { status: 'stopping', decision: { flagKey: 'async-upload' } },
    });
  });

  it('finishes the stop of an earlier run, and overrides the flag from the start', async () => {
    unleash.failure = () => Response.json({}, { status: 401 });
    const first = newGuard();
    await first.start();
    await upload(first, 20, 20);
    await until('pending', () => ofType('action-required').length === 1);
    await first.close();
    unleash.failure = undefined;
    flags = new FakeFlags();
    const second = newGuard();
    await second.start();
    expect(flags.isOverridden()).toBe(true);
    await until('stopped', () => second.state.status === 'stopped');
    expect(unleash.enabled).toBe(false);
  });

  it('does not finish the stop of an earlier run when an operator has turned the flag on since', async () => {
    unleash.failure = () => Response.json({}, { status: 401 });
    const first = newGuard();
    await first.start();
    await upload(first, 20, 20);
    await until('pending', () => ofType('action-required').length === 1);
    await first.close();
    unleash.failure = undefined;
    unleash.toggle(false, 'ann');
    unleash.toggle(true, 'ann');
    const second = newGuard();
    await second.start();
    await until('re-armed', () => second.state.status === 'armed');
    expect(unleash.requests.filter((request) => request.endsWith('/off'))).toHaveLength(1);
    expect(flags.isOverridden()).toBe(false);
  });

  it('opens an epoch when the percentage changes: totals begin at zero, the windows stay', async () => {
    const guard = newGuard();
    await guard.start();
    await upload(guard, 10, 0);
    flags.change({ rolloutPercentage: 50 });
    expect(guard.status()).toMatchObject({ epoch: 2, snapshot: { total: { treatment: { successes: 0 } } } });
    expect(guard.status().snapshot.windows[0]?.treatment.successes).toBe(10);
    expect(ofType('rollout-changed').at(-1)).toMatchObject({
      epoch: 2,
      enabled: true,
      rolloutPercentage: 50,
    });
  });

  it('follows the stages of the percentage in Unleash, and reports once what to do next', async () => {
    const guard = newGuard({
      tickMs: 5,
      stages: [
        { percentage: 10, minOutcomes: 5, minSuccessRate: 0.9 },
        { percentage: 50, minOutcomes: 1_000, minSuccessRate: 0.9 },
      ],
    });
    await guard.start();
    const statuses = () =>
      ofType('stage').map(({ progress }) => `${progress.stage.percentage} ${progress.status}`);
    expect(statuses()).toEqual(['10 collecting']);
    await upload(guard, 6, 0);
    await until('met', () => statuses().length === 2);
    expect(ofType('stage')[1]?.progress.message).toContain('Set the rollout to 50 % in Unleash');
    flags.change({ rolloutPercentage: 50 });
    await until('next stage', () => statuses().length === 3);
    flags.change({ rolloutPercentage: 33 });
    await until('no stage', () => guard.status().stage === undefined);
    expect(statuses()).toEqual(['10 collecting', '10 met', '50 collecting']);
  });

  it('opens a review once, stops nothing, and blocks the stage', async () => {
    let status: 'ok' | 'breach' = 'breach';
    const trigger = successRateBelow(0.5);
    const review = [
      {
        ...trigger,
        name: 'slow',
        evaluate: () => ({ ...trigger.evaluate(guard.status().snapshot, 0), trigger: 'slow', status }),
      },
    ];
    const guard = newGuard({
      tickMs: 5,
      review,
      reviewCloseAfterMs: 20,
      stages: [{ percentage: 10, minOutcomes: 1, minSuccessRate: 0.5 }],
    });
    await guard.start();
    await upload(guard, 5, 0);
    await until('blocked', () => guard.status().stage?.status === 'blocked');
    expect(guard.status().openReviews).toHaveLength(1);
    expect(guard.state.status).toBe('armed');
    status = 'ok';
    await until('closed', () => ofType('review-closed').length === 1);
    await until('met', () => guard.status().stage?.status === 'met');
    expect(ofType('review-opened')).toHaveLength(1);
    expect(unleash).toMatchObject({ enabled: true, rollout: 10 });
  });

  it('does not decide about a flag that an operator has turned off already', async () => {
    const guard = newGuard();
    await guard.start();
    const run = guard.operation<void, string>({
      treatment: () => Promise.reject(new Error('x')),
      control: () => 'old',
      retries: 0,
    });
    const late = Array.from({ length: 30 }, () => run({ targetingKey: 'u' }));
    flags.change({ enabled: false });
    await Promise.all(late);
    await new Promise(setImmediate);
    expect(guard.state.status).toBe('armed');
    expect(ofType('decided')).toEqual([]);
  });

  it('records outcomes from client.track() and attributes them to the arm that the user got', async () => {
    const guard = newGuard();
    await guard.start();
    guard.exposed({ value: true, reason: 'SPLIT' }, 'ann');
    guard.exposed({ value: false, reason: 'SPLIT' }, 'bob');
    flags.track({ targetingKey: 'ann', value: 12, details: { success: false, errorType: 'EBROKEN' } });
    flags.track({ targetingKey: 'bob', value: 7, details: { success: true } });
    flags.track({ name: 'something-else', targetingKey: 'ann', value: 1, details: { success: true } });
    expect(guard.status().snapshot.total).toMatchObject({
      treatment: { successes: 0, failures: 1, errorTypes: [{ errorType: 'EBROKEN', count: 1 }] },
      control: { successes: 1, failures: 0 },
    });
  });

  it.each<[string, Evaluation['flagMetadata'], number | undefined, string | undefined]>([
    ['as the provider gives them', { chance: 0.5, contextId: 'tenant-1' }, 0.5, 'tenant-1'],
    ['without a unit of a random draw', { chance: 0.01 }, 0.01, undefined],
    ['none without metadata', undefined, undefined, undefined],
    ['none of a sure answer', { chance: 1, contextId: 'u' }, undefined, 'u'],
    ['none of an answer that could not be', { chance: 0 }, undefined, undefined],
    ['none that are invalid', { chance: Number.NaN, contextId: '' }, undefined, undefined],
    ['none of another type', { chance: '0.5', contextId: 7 }, undefined, undefined],
  ])('takes chance and unit from the metadata of an evaluation: %s', (_, flagMetadata, chance, unit) => {
    const exposure = newGuard().exposed({ value: true, reason: 'SPLIT', flagMetadata }, 'ann');

    expect(exposure).toMatchObject({ targetingKey: 'ann', chance, unit });
  });

  it('takes no chance from an evaluation that failed: the default is not drawn', () => {
    const failed = {
      value: false,
      reason: 'ERROR',
      errorCode: 'TYPE_MISMATCH',
      flagMetadata: { chance: 0.5 },
    };

    expect(newGuard().exposed(failed, 'ann').chance).toBeUndefined();
  });

  it.each(['UNKNOWN', 'SPLIT', 'STATIC'])(
    'takes the reason of Unleash, %s, before that of the provider',
    (unleashReason) => {
      const exposure = newGuard().exposed(
        { value: true, reason: 'TARGETING_MATCH', flagMetadata: { unleashReason } },
        'ann',
      );

      expect(exposure.reason).toBe(unleashReason);
    },
  );

  it('reports tracked events that it cannot use, once, and counts nothing', async () => {
    const guard = newGuard();
    await guard.start();
    flags.track({ targetingKey: 'unknown', value: 1, details: { success: true } });
    flags.track({ targetingKey: 'unknown', value: 1, details: { success: true } });
    expect(ofType('fault')).toHaveLength(1);
    guard.exposed({ value: true }, 'ann');
    flags.track({ targetingKey: 'ann', value: 1, details: {} });
    const { treatment, control } = guard.status().snapshot.total;
    expect(treatment.successes + treatment.failures + control.successes + control.failures).toBe(0);
  });

  it('survives listeners, triggers, loggers and memory readers that throw, and a folder that cannot be written', async () => {
    const broken = () => {
      throw new Error('broken');
    };
    await writeFile(join(folder, 'file'), '');
    const guard = newGuard({
      folder: join(folder, 'file', 'below'),
      onEvent: broken,
      logger: { debug: broken, info: broken, warn: broken, error: broken },
      readMemoryBytes: broken,
      rollback: [
        { name: 'broken', windowMs: 1_000, evaluate: broken },
        successRateBelow(0.95, { minOutcomes: 20 }),
      ],
    });
    guard.onEvent((event) => events.push(event));
    await guard.start();
    await upload(guard, 20, 20);
    await until('stopped', () => guard.state.status === 'stopped');
    const faults = ofType('fault').map(({ what }) => what);
    expect(faults).toEqual(
      expect.arrayContaining(['a listener', 'the trigger broken', 'writing the journal']),
    );
  });

  it('reports a journal that cannot be read and starts armed', async () => {
    await writeFile(join(folder, 'journal.json'), '{"half');
    const guard = newGuard();
    await guard.start();
    expect(guard.state.status).toBe('armed');
    expect(ofType('fault')[0]?.what).toBe('reading the journal');
    expect(ofType('fault')[0]?.message).toMatch(/damaged: it was cut off or overwritten\. .* check the flag/);
    await until('set aside', () => existsSync(join(folder, 'journal.unreadable-1.json')));
    expect(await readFile(join(folder, 'journal.unreadable-1.json'), 'utf8')).toBe('{"half');
  });

  it('keeps every journal that it cannot read, of another version too, and says so in words', async () => {
    for (const [number, text] of ['{"half', '{"version":1,"flagKey":"async-upload"}'].entries()) {
      await writeFile(join(folder, 'journal.json'), text);
      const guard = newGuard();
      await guard.start();
      await guard.close();
      expect(await readFile(join(folder, `journal.unreadable-${number + 1}.json`), 'utf8')).toBe(text);
    }
    const messages = ofType('fault').map(({ message }) => message);
    expect(messages[1]).toContain('written in version 1; this release reads version 2 only');
    expect(messages.join()).not.toMatch(/invalid_type|expected/);
  });

  it('writes everything it did to the audit log, one line each, without the token', async () => {
    const guard = newGuard();
    await guard.start();
    await upload(guard, 20, 20);
    await until('stopped', () => ofType('toggled').length === 1);
    await guard.close();
    const text = await readFile(join(folder, 'audit.jsonl'), 'utf8');
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string });
    expect(lines.map(({ type }) => type)).toEqual(events.map(({ type }) => type));
    expect(text).not.toContain('made-up');
  });

  it('notifies operators, and is not delayed by a notifier that fails', async () => {
    const notified: string[] = [];
    const guard = newGuard({
      dashboardUrl: 'https://app.example.com/rollouts',
      notify: [
        ({ type, flagUrl, dashboardUrl }) => {
          notified.push(`${type} ${flagUrl} ${dashboardUrl}`);
        },
        () => {
          throw new NotifyError('broken for good', { retryable: false });
        },
      ],
    });
    await guard.start();
    await upload(guard, 20, 20);
    await until('notified', () => notified.some((one) => one.startsWith('stopped ')));
    expect(ofType('fault')).toHaveLength(1);
    const page = `https://app.example.com/rollouts/#/flags/async-upload/decisions/${ofType('decided')[0]?.decision.id}`;
    expect(notified[0]).toBe(`decided http://unleash.test/projects/default/features/async-upload ${page}`);
    expect(guard.state.status).toBe('stopped');
  });

  it('leaves no listener and no timer behind after close(), which may be called twice', async () => {
    const guard = newGuard();
    await Promise.all([guard.start(), guard.start()]);
    await Promise.all([guard.close(), guard.close()]);
    expect(flags.listenerCount).toBe(0);
    expect(ofType('started')).toHaveLength(1);
    expect(ofType('closed')).toHaveLength(1);
  });
});
