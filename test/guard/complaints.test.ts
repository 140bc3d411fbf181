import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RolloutGuard } from '../../src/guard/rollout-guard.js';
import { parseAuditLine } from '../../src/journal/audit-reader.js';
import type { GuardEvent } from '../../src/model/event.js';
import { complaintRateRising } from '../../src/triggers/event-regression.js';
import { successRateBelow } from '../../src/triggers/success-rate-below.js';
import { FakeAdminApi } from '../helpers/fake-admin-api.js';
import { FakeFlags } from '../helpers/fake-flags.js';

const HOUR = 3_600_000;

let flags: FakeFlags;
let guard: RolloutGuard;
let events: GuardEvent[];

const ofType = <T extends GuardEvent['type']>(type: T) =>
  events.filter((event): event is GuardEvent & { type: T } => event.type === type);

const complaints = () => {
  const { treatment, control } = guard.status().snapshot.total;
  return [treatment.complaints, control.complaints];
};

beforeEach(async () => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
  flags = new FakeFlags();
  events = [];
  guard = new RolloutGuard({
    flagKey: 'async-upload',
    flags,
    unleash: { url: 'http://unleash.test/api', token: '*:*.made-up', environment: 'production' },
    rollback: [successRateBelow(0.95)],
    review: [complaintRateRising({ alpha: 0.05 })],
    folder: false,
    logger: false,
    fetch: new FakeAdminApi().fetch,
    onEvent: (event) => events.push(event),
    clock: { now: () => Date.now(), monotonic: () => Date.now() },
  });
  await guard.start();
  guard.exposed({ value: true, reason: 'SPLIT' }, 'ann');
  guard.exposed({ value: false, reason: 'SPLIT' }, 'bob');
});

afterEach(async () => {
  await guard.close();
  vi.useRealTimers();
});

describe('complaints', () => {
  it('count for the arm of the user, however they come', () => {
    guard.reportComplaint({ targetingKey: 'ann', attributes: { source: 'mail' } });
    flags.track({
      name: 'async-upload.complaint',
      targetingKey: 'ann',
      value: undefined,
      details: { stars: 1 },
    });
    flags.track({ name: 'async-upload.complaint', targetingKey: 'bob', value: undefined, details: {} });
    flags.track({ name: 'search.complaint', targetingKey: 'bob', value: undefined, details: {} });
    expect(complaints()).toEqual([2, 1]);
    expect(ofType('complaint')).toMatchObject([
      { arm: 'treatment', epoch: 1, attributes: { source: 'mail' } },
      { arm: 'treatment', attributes: { stars: 1 } },
      { arm: 'control', attributes: undefined },
    ]);
    // Only the application knows who complained.
    expect(JSON.stringify(events)).not.toMatch(/ann|bob/);
  });

  it('count when they come hours after the evaluation', () => {
    vi.setSystemTime(Date.now() + 5 * HOUR);
    guard.reportComplaint({ targetingKey: 'ann' });
    expect(complaints()).toEqual([1, 0]);
  });

  it('bring bounded attributes, which the audit log can be read with', () => {
    const many = Array.from({ length: 1_000 }, (_, index) => [
      `${index} ${'n'.repeat(1_000)}`,
      'x'.repeat(10_000),
    ]);
    const attributes = { rating: Number.NaN, weight: Number.POSITIVE_INFINITY, ...Object.fromEntries(many) };
    guard.reportComplaint({ targetingKey: 'ann', attributes });
    const [event] = ofType('complaint');
    expect(Object.keys(event?.attributes ?? {})).toHaveLength(32);
    const line = JSON.stringify(event);
    expect(line.length).toBeLessThan(20_000);
    expect(parseAuditLine(line)).toEqual(event);
  });

  it('are counted as unattributed, and reported once, when the user is unknown', () => {
    for (const targetingKey of ['eve', '', 'mallory']) guard.reportComplaint({ targetingKey });
    flags.track({ name: 'async-upload.complaint', targetingKey: undefined, value: undefined, details: {} });
    expect(guard.status().unattributedComplaints).toBe(4);
    expect(complaints()).toEqual([0, 0]);
    expect(ofType('fault').map(({ what }) => what)).toEqual([
      'reportComplaint()',
      "track('async-upload.complaint')",
    ]);
  });

  it.each<[string, () => unknown]>([
    ['nothing', () => undefined],
    ['null', () => null],
    ['a text', () => 'ann'],
    ['a key that is a number', () => ({ targetingKey: 7 })],
    [
      'a key that throws',
      () => ({
        get targetingKey(): string {
          throw new Error('broken');
        },
      }),
    ],
  ])('never throw, not even for %s', (_what, report) => {
    expect(() => guard.reportComplaint(report() as never)).not.toThrow();
    expect(complaints()).toEqual([0, 0]);
    expect(ofType('fault')).toHaveLength(1);
  });

  it('become a review when the treatment has more of them than the control', async () => {
    const run = guard.operation<void, string>({ treatment: () => 'new', control: () => 'old' });
    let index = 0;
    flags.defaultClient = () => ({
      getBooleanDetails: async (_flag, _default, { targetingKey } = {}) => ({
        value: index++ % 2 === 0,
        reason: 'SPLIT',
        flagMetadata: { chance: 0.5, contextId: targetingKey! },
      }),
    });
    for (let user = 0; user < 100; user++) await run({ targetingKey: `user-${user}` });
    guard.reportComplaint({ targetingKey: 'user-1' });
    for (let user = 0; user < 8; user += 2) guard.reportComplaint({ targetingKey: `user-${user}` });
    // One user who complains again and again says no more than one.
    for (let again = 0; again < 50; again++) guard.reportComplaint({ targetingKey: 'user-0' });
    // Until then the evaluations of Ann and Bob await their outcome, and those that came later wait for them.
    await vi.advanceTimersByTimeAsync(61_000);
    expect(ofType('review-opened')).toEqual([]);
    for (let user = 8; user < 50; user += 2) guard.reportComplaint({ targetingKey: `user-${user}` });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(ofType('review-opened')[0]?.verdict).toMatchObject({
      trigger: 'complaint-rate-rising',
      sampleSize: { treatment: 50, control: 50 },
      evidence: { events: 26, repeated: 50, basis: 'units' },
    });
    expect(guard.state.status).toBe('armed');
  });
});
