import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { DeliveryPolicy } from '../../src/notify/delivery-queue.js';
import { Notifications, type NotificationsOptions } from '../../src/notify/notifications.js';
import { type GuardNotification, NotifyError, type NotifyFunction } from '../../src/notify/notifier.js';
import { slack } from '../../src/notify/slack.js';
import { webhook } from '../../src/notify/webhook.js';
import { AT, decided, stopFailed, subject } from './events.js';
import { startReceiver } from './receiver.js';

const clock = { now: () => Date.now(), monotonic: () => performance.now() };

function notificationsTo(
  notify: NotificationsOptions['notify'],
  policy: DeliveryPolicy = {},
  onFault = vi.fn<NotificationsOptions['onFault']>(),
) {
  return { onFault, notifications: new Notifications({ notify, subject, clock, onFault }, policy) };
}

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const down = () => new NotifyError('down', { retryable: true });
const never = () => new Promise<void>(() => {});

/** Why a guard is blind. */
const stuck = {
  reasons: [{ code: 'event-loop-blocked', message: 'It did not turn.', since: AT }],
  began: ['event-loop-blocked'],
  ended: [],
};

describe('Notifications', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: AT });
    // The longest pauses.
    vi.spyOn(Math, 'random').mockReturnValue(1);
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('notifies through every notifier, in order, of what operators should know and nothing else', async () => {
    const sent: string[][] = [[], []];
    const { notifications, onFault } = notificationsTo([
      ({ type }) => void sent[0]!.push(type),
      { name: 'object', notify: async ({ type }) => void sent[1]!.push(type) },
    ]);
    notifications.listener({ type: 'started', at: AT, epoch: 1, status: 'armed' });
    notifications.listener(decided());
    notifications.listener({ type: 'stopped-here', at: AT, decisionId: 'd-1' });
    notifications.listener({ type: 'stopped', at: AT, decisionId: 'd-1', confirmedBy: 'read-back' });
    expect(sent).toEqual([[], []]);
    await notifications.flush();
    expect(sent).toEqual([
      ['decided', 'stopped'],
      ['decided', 'stopped'],
    ]);
    expect(onFault).not.toHaveBeenCalled();
  });

  it('sends one event once, however late it comes again', async () => {
    const notify = vi.fn();
    const { notifications } = notificationsTo([notify]);
    for (const _ of [1, 2]) {
      notifications.listener(decided());
      await vi.advanceTimersByTimeAsync(3_600_000);
    }
    notifications.listener(decided({ id: 'd-2' }));
    await notifications.flush();
    expect(notify.mock.calls.map(([{ decision }]) => decision.id)).toEqual(['d-1', 'd-2']);
  });

  it.each([-3_600_000, 3_600_000])(
    'sends what repeats once in 15 minutes, though the clock is set by %i ms',
    async (byMs) => {
      const notify = vi.fn();
      const { notifications } = notificationsTo([notify]);
      notifications.listener(stopFailed());
      vi.setSystemTime(Date.now() + byMs);
      await vi.advanceTimersByTimeAsync(14 * 60_000);
      notifications.listener(stopFailed());
      await notifications.flush();
      expect(notify).toHaveBeenCalledTimes(1);
      await vi.advanceTimersByTimeAsync(2 * 60_000);
      notifications.listener(stopFailed());
      await notifications.flush();
      expect(notify).toHaveBeenCalledTimes(2);
    },
  );

  it('sends what repeats once in 15 minutes', async () => {
    const notify = vi.fn();
    const { notifications } = notificationsTo([notify]);
    for (let count = 0; count < 5; count++) {
      notifications.listener(stopFailed(Date.now()));
      await vi.advanceTimersByTimeAsync(450_000);
    }
    await notifications.flush();
    expect(notify).toHaveBeenCalledTimes(3);
  });

  it('retries after doubling pauses, always the same notification', async () => {
    const attempts: [number, string][] = [];
    const { notifications, onFault } = notificationsTo([
      async ({ id }) => {
        attempts.push([Date.now() - AT, id]);
        if (attempts.length < 4) throw down();
      },
    ]);
    notifications.listener(decided());
    await vi.advanceTimersByTimeAsync(60_000);
    expect(attempts.map(([at]) => at)).toEqual([0, 1_000, 3_000, 7_000]);
    expect(new Set(attempts.map(([, id]) => id)).size).toBe(1);
    expect(onFault).not.toHaveBeenCalled();
  });

  it('waits as long as the receiver requests', async () => {
    const attempts: number[] = [];
    const { notifications } = notificationsTo([
      async () => {
        attempts.push(Date.now() - AT);
        if (attempts.length === 1) throw new NotifyError('slower', { retryable: true, retryAfterMs: 20_000 });
      },
    ]);
    notifications.listener(decided());
    await vi.advanceTimersByTimeAsync(60_000);
    expect(attempts).toEqual([0, 21_000]);
  });

  it('reports a failing notifier once, continues with the next notification, and reports it again after a success', async () => {
    const error = down();
    const notify = vi.fn<NotifyFunction>().mockRejectedValue(error);
    const { notifications, onFault } = notificationsTo([{ name: 'pager', notify } as never], { retries: 2 });
    notifications.listener(decided());
    notifications.listener(decided({ id: 'd-2' }));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(notify).toHaveBeenCalledTimes(6);
    expect(onFault.mock.calls).toEqual([['the notifier pager', error]]);

    notify.mockResolvedValueOnce(undefined);
    notifications.listener(decided({ id: 'd-3' }));
    notifications.listener(decided({ id: 'd-4' }));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(onFault).toHaveBeenCalledTimes(2);
  });

  it('does not repeat what cannot succeed', async () => {
    const notify = vi.fn().mockRejectedValue(new NotifyError('gone', { retryable: false }));
    const { notifications, onFault } = notificationsTo([notify]);
    notifications.listener(decided());
    await vi.advanceTimersByTimeAsync(600_000);
    expect(notify).toHaveBeenCalledTimes(1);
    expect(onFault).toHaveBeenCalledTimes(1);
  });

  it('is not delayed by a notifier that hangs', async () => {
    const signals: AbortSignal[] = [];
    const hanging: NotifyFunction = (_, { signal }) => {
      signals.push(signal);
      return never();
    };
    const notify = vi.fn();
    const { notifications, onFault } = notificationsTo([hanging, notify], { timeoutMs: 1_000, retries: 1 });
    notifications.listener(decided());
    await vi.advanceTimersByTimeAsync(0);
    expect(notify).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
    expect(onFault).toHaveBeenCalledTimes(1);
    expect(String(onFault.mock.calls[0]![1])).toContain('timed out after 1000 ms');
  });

  it('is not hurt by what a notifier does after its time: rejects, throws into nothing, or delivers', async () => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    const late = (settle: () => Promise<void>) => () =>
      new Promise<void>((resolve) => setTimeout(resolve, 5_000)).then(settle);
    const rejecting = vi.fn(late(() => Promise.reject(new Error('too late'))));
    const delivering = vi.fn(late(() => Promise.resolve()));
    const { notifications, onFault } = notificationsTo([rejecting, delivering], {
      timeoutMs: 1_000,
      retries: 1,
    });
    notifications.listener(decided());
    await vi.advanceTimersByTimeAsync(60_000);
    process.off('unhandledRejection', unhandled);
    expect([rejecting, delivering].map(({ mock }) => mock.calls.length)).toEqual([2, 2]);
    expect(unhandled).not.toHaveBeenCalled();
    expect(onFault.mock.calls.map(([, error]) => String(error))).toEqual(
      Array(2).fill('DeadlineError: timed out after 1000 ms'),
    );
    notifications.listener(decided({ id: 'd-2' }));
    await vi.advanceTimersByTimeAsync(0);
    expect(delivering).toHaveBeenCalledTimes(3);
  });

  it.each<[string, NotifyFunction]>([
    [
      'throws',
      () => {
        throw new Error('broken');
      },
    ],
    ['throws what is no error', () => Promise.reject('broken')],
  ])('survives a function that %s, and an onFault that throws', async (_, notify) => {
    const onFault = vi.fn(() => {
      throw new Error('onFault');
    });
    const { notifications } = notificationsTo([notify], { retries: 1 }, onFault);
    expect(() => notifications.listener(decided())).not.toThrow();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(onFault).toHaveBeenCalledTimes(1);
    expect(String((onFault.mock.calls as unknown[][])[0]![1])).toBe('Error: broken');
  });

  it('bounds its queue: the oldest is dropped, which is reported once', async () => {
    const sent: string[] = [];
    let release = () => {};
    const notify = (notification: GuardNotification) => {
      sent.push(notification.decision!.id);
      return sent.length > 1 ? undefined : new Promise<void>((resolve) => (release = resolve));
    };
    const { notifications, onFault } = notificationsTo([notify], { maxQueued: 2 });
    notifications.listener(decided({ id: 'd-0' }));
    await vi.advanceTimersByTimeAsync(0);
    for (let number = 1; number <= 6; number++) notifications.listener(decided({ id: `d-${number}` }));
    release();
    await notifications.flush();
    expect(sent).toEqual(['d-0', 'd-5', 'd-6']);
    expect(onFault).toHaveBeenCalledTimes(1);
    expect(String(onFault.mock.calls[0]![1])).toContain('a notification was lost');
  });

  it('ends within its time: flush leaves the rest alone, close aborts it and reports what was lost', async () => {
    const signals: AbortSignal[] = [];
    const { notifications, onFault } = notificationsTo([
      (_, { signal }) => {
        signals.push(signal);
        return never();
      },
    ]);
    notifications.listener(decided());
    notifications.listener(decided({ id: 'd-2' }));

    const flushed = notifications.flush(500);
    await vi.advanceTimersByTimeAsync(500);
    await flushed;
    expect(signals[0]!.aborted).toBe(false);

    const closed = notifications.close(500);
    await vi.advanceTimersByTimeAsync(500);
    await closed;
    expect(signals).toHaveLength(1);
    expect(signals[0]!.aborted).toBe(true);
    expect(String(onFault.mock.calls)).toContain('2 notifications were lost: the guard closed first');
    await vi.advanceTimersByTimeAsync(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('resolves what ends with the guard when it closes, and nothing that persists', async () => {
    const sent: GuardNotification[] = [];
    const { notifications } = notificationsTo([(notification) => void sent.push(notification)]);
    const unavailable = { type: 'admin-unavailable', code: 'ADMIN_UNAVAILABLE', message: 'Down.' } as const;
    notifications.listener({ ...unavailable, at: AT - 2 });
    notifications.listener({ type: 'admin-available', at: AT - 1 });
    notifications.listener({ ...unavailable, at: AT });
    notifications.listener(decided());
    await notifications.close();
    expect(sent.map(({ type }) => type)).toEqual([
      'admin-unavailable',
      'admin-available',
      'admin-unavailable',
      'decided',
      'closed',
    ]);
    expect(sent.at(-1)).toMatchObject({
      severity: 'info',
      title: 'async-upload: the guard is closed',
      message: expect.stringContaining('the guard cannot turn it off in Unleash. The guard that runs next'),
      incident: { key: sent[0]!.incident!.key, status: 'resolved' },
    });
    expect(new Set(sent.map(({ id }) => id)).size).toBe(sent.length);
  });

  it('leaves what another leader may have opened since to that one', async () => {
    const sent: GuardNotification[] = [];
    const { notifications } = notificationsTo([(notification) => void sent.push(notification)]);
    notifications.listener({ type: 'admin-unavailable', code: 'ADMIN_TOKEN', message: 'No.', at: AT });
    notifications.listener({ type: 'health', at: AT, since: AT, status: 'blind', ...stuck });
    // It leads no longer, and reports nothing but the end of what is its own.
    notifications.listener({ type: 'admin-available', at: AT + 1 }, false);
    await notifications.close(5_000, false);
    expect(sent.map(({ type, incident }) => [type, incident?.key.split(':')[0]])).toEqual([
      ['admin-unavailable', 'admin'],
      ['health', 'blind'],
      ['closed', 'blind'],
    ]);
  });

  it('resolves what is its own though another process notifies', async () => {
    const sent: GuardNotification[] = [];
    const { notifications } = notificationsTo([(notification) => void sent.push(notification)]);
    notifications.listener({ type: 'health', at: AT, since: AT, status: 'blind', ...stuck });
    const sees = { type: 'health', since: AT, status: 'ok', reasons: [], began: [] } as const;
    notifications.listener({ ...sees, at: AT + 1, ended: stuck.reasons }, false);
    notifications.listener({ ...sees, at: AT + 2, ended: stuck.reasons }, false);
    await notifications.close();
    expect(sent.map(({ incident }) => incident?.status)).toEqual(['open', 'resolved']);
  });

  it('has an incident of each process of a fleet that is blind', async () => {
    const keys: (string | undefined)[] = [];
    for (const process of ['one', 'two']) {
      const notify = [({ incident }: GuardNotification) => void keys.push(incident?.key)];
      const notifications = new Notifications({ notify, subject, process, clock, onFault: vi.fn() });
      notifications.listener({ type: 'health', at: AT, since: AT, status: 'blind', ...stuck });
      notifications.listener(decided());
      await notifications.flush();
    }
    expect(keys).toEqual([
      'blind:one:default/production/async-upload',
      'decision-d-1:default/production/async-upload',
      'blind:two:default/production/async-upload',
      'decision-d-1:default/production/async-upload',
    ]);
  });

  it('delivers what waits before it closes, and nothing afterwards', async () => {
    const notify = vi.fn();
    const { notifications, onFault } = notificationsTo([notify]);
    notifications.listener(decided());
    await notifications.close();
    notifications.listener(decided({ id: 'd-2' }));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(notify).toHaveBeenCalledTimes(1);
    expect(onFault).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('Notifications over HTTP', () => {
  const quick = { initialDelayMs: 2, retries: 3, timeoutMs: 1_000 };
  const closing: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });

  it('delivers in the end to a receiver that fails, hangs and then answers', async () => {
    const receiver = await startReceiver({ status: 503 }, 'hang', { status: 200 });
    closing.push(receiver.close);
    const { notifications, onFault } = notificationsTo(
      [webhook({ url: receiver.url, secret: SECRET })],
      quick,
    );
    notifications.listener(decided());
    await notifications.flush(10_000);
    expect(receiver.received).toHaveLength(3);
    expect(new Set(receiver.received.map(({ body }) => body)).size).toBe(1);
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    const { body, headers } = receiver.received[0]!;
    expect(headers['webhook-id']).toBe(JSON.parse(body).id);
    expect(onFault).not.toHaveBeenCalled();
  });

  it('posts to Slack while the webhook is down, and reports the webhook without its address', async () => {
    const broken = await startReceiver({ status: 500 });
    const channel = await startReceiver({ status: 200 });
    closing.push(broken.close, channel.close);
    const { notifications, onFault } = notificationsTo(
      [webhook({ url: broken.url }), slack({ webhookUrl: channel.url })],
      quick,
    );
    notifications.listener(decided());
    await notifications.flush(10_000);
    expect(channel.received).toHaveLength(1);
    expect(broken.received).toHaveLength(4);
    expect(onFault).toHaveBeenCalledTimes(1);
    expect(String(onFault.mock.calls)).toBe('the notifier webhook,NotifyError: The webhook answered 500.');
  });
});
