import { describe, expect, it, vi } from 'vitest';
import type { GuardEvent } from '../../src/model/event.js';
import { DeliveryQueue } from '../../src/notify/delivery-queue.js';
import { noticeOf } from '../../src/notify/notifications.js';
import type { GuardNotification } from '../../src/notify/notifier.js';
import { AT, decided, subject } from './events.js';

const flagged = (flagKey: string) => ({
  ...subject,
  flagKey,
  flagUrl: `https://unleash.example.com/${flagKey}`,
});

function refused(flagKey: string, message = 'The token was refused.'): GuardNotification {
  const event = { type: 'admin-unavailable', at: AT, code: 'ADMIN_TOKEN', message } as const;
  return noticeOf(event, flagged(flagKey))!.notification;
}

function available(flagKey: string): GuardNotification {
  return noticeOf({ type: 'admin-available', at: AT }, flagged(flagKey))!.notification;
}

const stopped = (flagKey: string) => noticeOf(decided(), flagged(flagKey))!.notification;

/** What a notifier gets of what was queued in one turn. */
async function delivered(...notifications: GuardNotification[]): Promise<GuardNotification[]> {
  const sent: GuardNotification[] = [];
  const queue = new DeliveryQueue(
    { name: 'test', notify: async (each) => void sent.push(each) },
    undefined,
    {},
  );
  for (const notification of notifications) queue.add(notification, () => {});
  await queue.idle();
  return sent;
}

/** A queue, and the incidents of what it has delivered: whether they are open, and the flag in their keys. */
function queued() {
  const sent: GuardNotification[] = [];
  const queue = new DeliveryQueue(
    { name: 'test', notify: async (each) => void sent.push(each) },
    undefined,
    {},
  );
  return {
    add: async (...notifications: GuardNotification[]) => {
      for (const notification of notifications) queue.add(notification, () => {});
      await queue.idle();
    },
    incidents: () =>
      sent.map(({ incident }) => incident && [incident.status, incident.key.split('/').at(-1)]),
  };
}

describe('a queue of several flags', () => {
  it('sends what is to be said of all of them once, and names them', async () => {
    const flags = ['async-upload', 'new-search', 'checkout'];
    const [only, ...rest] = await delivered(...flags.map((flag) => refused(flag)));
    expect(rest).toEqual([]);
    expect(only).toMatchObject({
      flagKey: 'async-upload',
      title: 'async-upload and 2 other flags: the guard cannot turn it off in Unleash',
      facts: [{ name: 'Flags', value: 'async-upload, new-search, checkout' }],
    });
  });

  it('counts the flags that a message has no room for', async () => {
    const [only] = await delivered(...Array.from({ length: 1_000 }, (_, index) => refused(`flag-${index}`)));
    expect(only!.title).toMatch(/^flag-0 and 999 other flags:/);
    expect(only!.facts[0]!.value).toMatch(/flag-19 and 980 more$/);
  });

  it.each([
    [
      'is missing',
      (key: string) => ({
        type: 'flag-missing',
        at: AT,
        reason: 'not-found',
        message: `Unleash has no flag "${key}".`,
      }),
      'async-upload and 1 other flag are missing: there is nothing to guard',
    ],
    [
      'an operator turned off',
      () => ({ type: 'toggled', at: AT, change: 'off', by: 'ann', changedAt: AT }),
      'async-upload and 1 other flag were turned off in Unleash',
    ],
    [
      'is blind for a while that differs',
      (key: string) => {
        const message = `The guard did not run for ${key.length} s.`;
        const reasons = [{ code: 'event-loop-blocked', message, since: AT - 1_000 * key.length }];
        return { type: 'health', at: AT, status: 'blind', reasons, began: ['event-loop-blocked'], ended: [] };
      },
      'async-upload and 1 other flag: the guard is blind',
    ],
  ])('sends what %s in one message', async (_, event, title) => {
    const noticed = ['async-upload', 'checkout'].map(
      (key) => noticeOf(event(key) as GuardEvent, flagged(key))!.notification,
    );
    expect((await delivered(...noticed)).map((each) => each.title)).toEqual([title]);
  });

  it('resolves two incidents of a thousand flags with one message each', async () => {
    const { add, incidents } = queued();
    const keys = Array.from({ length: 1_000 }, (_, index) => `flag-${index}`);
    const blind = (status: 'blind' | 'ok', key: string) => {
      const reasons = [{ code: 'stale-flags', message: 'Unleash does not answer.', since: AT }];
      const [began, ended] = status === 'blind' ? [['stale-flags'], []] : [[], reasons];
      const event = {
        type: 'health',
        at: AT,
        status,
        reasons: ended.length > 0 ? [] : reasons,
        began,
        ended,
      };
      return noticeOf(event as GuardEvent, flagged(key))!.notification;
    };
    await add(...keys.map((key) => refused(key)));
    await add(...keys.map((key) => blind('blind', key)));
    await add(...keys.map((key) => available(key)));
    await add(...keys.map((key) => blind('ok', key)));
    expect(incidents()).toEqual([
      ['open', 'flag-0'],
      ['open', 'flag-0'],
      ['resolved', 'flag-0'],
      ['resolved', 'flag-0'],
    ]);
  });

  it('gathers for longer what was said of others a moment ago', async () => {
    vi.useFakeTimers();
    try {
      const sent: string[] = [];
      const notifier = {
        name: 'test',
        notify: async ({ title }: GuardNotification) => void sent.push(title),
      };
      const queue = new DeliveryQueue(notifier, undefined, { gatherMs: 1_000 });
      for (let flag = 0; flag < 12; flag++) {
        queue.add(refused(`flag-${flag}`), () => {});
        await vi.advanceTimersByTimeAsync(900);
      }
      await vi.advanceTimersByTimeAsync(10_000);
      expect(sent).toEqual([
        'flag-0 and 1 other flag: the guard cannot turn it off in Unleash',
        'flag-2 and 9 other flags: the guard cannot turn it off in Unleash',
      ]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('sends each decision by itself', async () => {
    const sent = await delivered(stopped('async-upload'), stopped('new-search'));
    expect(sent.map(({ flagKey }) => flagKey)).toEqual(['async-upload', 'new-search']);
  });

  it.each([
    ['another cause', refused('new-search', 'Unleash does not answer.')],
    ['the same flag', refused('async-upload')],
  ])('keeps %s apart', async (_, other) => {
    expect(await delivered(refused('async-upload'), other)).toHaveLength(2);
  });

  it('opens one incident of what is said of several flags, and resolves it with the last of them', async () => {
    const { add, incidents } = queued();
    await add(refused('async-upload'), refused('new-search'));
    await add(available('async-upload'));
    await add(available('new-search'));
    expect(incidents()).toEqual([['open', 'async-upload'], undefined, ['resolved', 'async-upload']]);
  });

  it('resolves each incident that was opened by itself, also when several end at once', async () => {
    const { add, incidents } = queued();
    await add(refused('async-upload'));
    await add(refused('new-search'), refused('checkout'));
    await add(available('checkout'), available('async-upload'), available('new-search'));
    expect(incidents()).toEqual([
      ['open', 'async-upload'],
      ['open', 'new-search'],
      ['resolved', 'async-upload'],
      ['resolved', 'new-search'],
    ]);
  });

  it('says of a flag first what waits for others to say the same', async () => {
    const sent: GuardNotification[] = [];
    const notifier = { name: 'test', notify: async (each: GuardNotification) => void sent.push(each) };
    const queue = new DeliveryQueue(notifier, undefined, { gatherMs: 60_000 });
    for (const each of [refused('async-upload'), refused('checkout'), stopped('checkout')]) {
      queue.add(each, () => {});
    }
    await queue.idle();
    expect(sent.map(({ type }) => type)).toEqual(['admin-unavailable', 'decided']);
  });

  it('says last of a flag what is so now, though others wait with what was so before', async () => {
    const sent: string[] = [];
    const notifier = { name: 'test', notify: async ({ title }: GuardNotification) => void sent.push(title) };
    const queue = new DeliveryQueue(notifier, undefined, { gatherMs: 60_000 });
    const turned = (change: 'off' | 'on', key: string) => {
      const event = { type: 'toggled', at: AT, change, by: 'ann', changedAt: AT } as const;
      return noticeOf(event, flagged(key))!.notification;
    };
    const all = [
      turned('off', 'async-upload'),
      turned('off', 'checkout'),
      turned('on', 'checkout'),
      turned('off', 'checkout'),
      turned('on', 'new-search'),
      turned('off', 'new-search'),
    ];
    for (const each of all) queue.add(each, () => {});
    await queue.idle();
    expect(sent).toEqual([
      'async-upload and 1 other flag were turned off in Unleash',
      'checkout and 1 other flag were turned on in Unleash',
      'checkout and 1 other flag were turned off in Unleash',
    ]);
  });

  it('opens no incident of a flag anew under the key of another one', async () => {
    const { add, incidents } = queued();
    await add(refused('async-upload'));
    await add(refused('checkout', 'Other.'), refused('async-upload', 'Other.'));
    await add(available('async-upload'));
    await add(available('checkout'));
    expect(incidents()).toEqual([
      ['open', 'async-upload'],
      ['open', 'checkout'],
      ['open', 'async-upload'],
      ['resolved', 'async-upload'],
      ['resolved', 'checkout'],
    ]);
  });

  it('sends what comes later by itself', async () => {
    const sent: string[] = [];
    const queue = new DeliveryQueue(
      { name: 'test', notify: async ({ title }) => void sent.push(title) },
      undefined,
      {},
    );
    queue.add(refused('async-upload'), () => {});
    await queue.idle();
    queue.add(refused('new-search'), () => {});
    await queue.idle();
    expect(sent.map((title) => title.split(':')[0])).toEqual(['async-upload', 'new-search']);
  });
});
