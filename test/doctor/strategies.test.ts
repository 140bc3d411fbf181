import { describe, expect, it } from 'vitest';
import { checkFolder } from '../../src/doctor/check-server.js';
import { checkNotifiers } from '../../src/doctor/check-services.js';
import { diagnose } from '../../src/doctor/diagnose.js';
import { admin, adminFlag, answer, features, NOW, rollout } from './observed.js';

function findingsFor(strategies: object[]) {
  const flag = { ...adminFlag, strategies } as typeof adminFlag;
  return diagnose({
    target: {
      ...{ url: 'https://unleash.example.com/api', flagKey: 'async-upload', project: 'default' },
      ...{ environment: 'production', contextFields: ['userId'] },
    },
    health: answer({ health: 'GOOD' }),
    features: features(),
    admin: admin({ flag }),
    folder: { path: 'logs', exists: true, problem: undefined },
    at: NOW,
  });
}

const strategy = { id: 's', title: undefined, disabled: false, ...rollout() };
const list = { contextName: 'userId', operator: 'IN', values: ['ada', 'alan'] };

describe('strategies and id-lists', () => {
  it.each([
    ['one gradual rollout', [strategy], ['ok', 'ok'], /one strategy/],
    ['two of them', [strategy, strategy], ['warn', 'ok'], /2 active strategies/],
    ['a disabled one beside it', [strategy, { ...strategy, disabled: true }], ['warn', 'ok'], /is disabled/],
    ['disabled ones alone', [{ ...strategy, disabled: true }], ['warn', 'ok'], /100 % of the users/],
    [
      'a constraint on user ids',
      [{ ...strategy, constraints: [list] }],
      ['ok', 'warn'],
      /userId with 2 values/,
    ],
    [
      'a constraint on a plan',
      [{ ...strategy, constraints: [{ ...list, contextName: 'plan' }] }],
      ['ok', 'ok'],
      /No strategy lists/,
    ],
    [
      'a list of users',
      [{ ...strategy, name: 'userWithId', parameters: { userIds: 'ada' } }],
      ['ok', 'warn'],
      /whatever the percentage/,
    ],
  ])('are examined for %s', (_what, strategies, statuses, message) => {
    const found = findingsFor(strategies).filter(
      ({ check }) => check === 'strategies' || check === 'id-lists',
    );
    expect(found.map(({ status }) => status)).toEqual(statuses);
    expect(found.map((finding) => finding.message).join(' ')).toMatch(message);
  });
});

describe('folder', () => {
  it.each([
    ['of another user', { isForeign: true }, 'warn', 'another user'],
    ['that any user may write', { isOpen: true }, 'warn', 'chmod o-w logs'],
    ['on a full disk', { freeBytes: 100 }, 'fail', 'is full'],
    ['on a disk with little space', { freeBytes: 2 ** 25 }, 'warn', '32.0 MiB free'],
    ['on a disk with space', { freeBytes: 2 ** 35 }, 'ok', 'can be written'],
  ])('is examined when it is one %s', (_what, facts, status, text) => {
    const finding = checkFolder({ path: 'logs', exists: true, problem: undefined, ...facts });
    expect(finding.status).toBe(status);
    expect(`${finding.message} ${finding.todo}`).toContain(text);
  });
});

describe('notifier', () => {
  const test = {
    ...{ flagKey: 'f', project: 'p', environment: 'e', flagUrl: 'https://unleash.example.com', id: '1' },
    ...{ at: NOW, timeoutMs: 50 },
  };

  it('sends nothing without --send-test', async () => {
    const sent: unknown[] = [];
    const findings = await checkNotifiers([(notification) => void sent.push(notification)], undefined);
    expect({ sent, statuses: findings.map(({ status }) => status) }).toEqual({
      sent: [],
      statuses: ['unknown'],
    });
  });

  it('reports each: one that delivers, one that refuses, one that does not answer', async () => {
    const sent: unknown[] = [];
    const refuse = async () => {
      throw new Error('no such channel');
    };
    const hang = () => new Promise<void>(() => {});
    const findings = await checkNotifiers(
      [
        { name: 'slack', notify: async (notification) => void sent.push(notification) },
        { name: 'webhook', notify: refuse },
        { name: 'mail', notify: hang },
      ],
      test,
    );
    expect(findings.map(({ status }) => status)).toEqual(['ok', 'fail', 'fail']);
    expect(findings.map(({ message }) => message).join(' ')).toMatch(
      /no such channel.*no reply within 50 ms/,
    );
    expect(sent).toEqual([
      expect.objectContaining({ flagKey: 'f', severity: 'info', time: '2026-03-01T12:00:00.000Z' }),
    ]);
  });
});
