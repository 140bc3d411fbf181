import { describe, expect, it } from 'vitest';
import { axisTop } from '../../src/dashboard/page/charts/scale.js';
import { indexFrom, since, withFiner, withNewer } from '../../src/dashboard/page/charts/series-points.js';
import { decisionHref, routeOf } from '../../src/dashboard/page/live/router.js';
import { nextStepOf, outcomeOf } from '../../src/dashboard/page/words/decided.js';
import { countText, perSecondText, rateText } from '../../src/dashboard/page/words/numbers.js';
import { standingOf, triggerStanding } from '../../src/dashboard/page/words/standing.js';
import { agoText, lengthText, timeText } from '../../src/dashboard/page/words/times.js';
import { seriesOf } from '../../src/dashboard/series.js';
import { NO_COUNTS } from '../../src/model/shapes.js';
import { NEXT_STEP, notOffYet } from '../../src/support/wording.js';
import {
  sampleDecision,
  sampleHistory,
  sampleVerdict,
  sampleView,
  THREE_WEEKS,
} from '../helpers/dashboard-samples.js';

const now = Date.UTC(2026, 10, 27, 12);

describe('numbers on the page', () => {
  it.each([
    [undefined, '–'],
    [null, '–'],
    [0, '0\u00a0%'],
    [1, '100\u00a0%'],
    [0.0123, '1.23\u00a0%'],
    [0.000_41, '0.041\u00a0%'],
    [0.000_001, '< 0.001\u00a0%'],
    [0.999_99, '> 99.99\u00a0%'],
    [0.995, '99.50\u00a0%'],
  ])('say the rate %s as %s', (rate, text) => expect(rateText(rate)).toBe(text));

  it.each([
    [0, '0'],
    [312, '312'],
    [102_204, '102,204'],
    [58_812_000, '58.8 M'],
    [9_072_000_000, '9.07 bn'],
  ])('say the count %s as %s', (count, text) => expect(countText(count)).toBe(text));

  it.each([
    [0, '0/s'],
    [4_950.4, '4,950/s'],
    [12.34, '12/s'],
    [0.05, '3/min'],
    [0.0005, '1.8/h'],
  ])('say %s a second as %s', (rate, text) => expect(perSecondText(rate)).toBe(text));
});

describe('times on the page', () => {
  it.each([
    [400, '< 1 s'],
    [40_000, '40 s'],
    [2_400_000, '40 min'],
    [7_500_000, '2 h 5 min'],
    [276_000_000, '3 d 4 h'],
    [Number.POSITIVE_INFINITY, 'unknown'],
  ])('say a length of %s ms as %s', (lengthMs, text) => expect(lengthText(lengthMs)).toBe(text));

  it.each([
    [0, 'just now'],
    [12_000, '12 s ago'],
    [119_000, '119 s ago'],
    [7_200_000, '2 h ago'],
    [-300_000, 'in 5 min'],
  ])('say what was %s ms ago as %s', (ageMs, text) => expect(agoText(now - ageMs, now)).toBe(text));

  it('name the day where it is not today, and survive what is no time', () => {
    expect(timeText(now - 60_000, now)).toMatch(/^\d\d:\d\d$/);
    expect(timeText(now - 7 * 86_400_000, now)).toMatch(/^20 Nov \d\d:\d\d$/);
    expect(timeText(now - 400 * 86_400_000, now)).toMatch(/2025/);
    expect(timeText(Number.NaN, now)).toBe('unknown');
  });
});

describe('addresses within the page', () => {
  it.each(['async-upload', 'a/b#c?d%', '🦄 <img>', '..'])(
    'bring back the key %s and an id like it',
    (key) => {
      expect(routeOf(decisionHref(key, key))).toEqual({ page: 'decision', flagKey: key, id: key });
    },
  );

  it.each(['', '#', '#/'])('begin with the overview: %j', (hash) => {
    expect(routeOf(hash)).toEqual({ page: 'overview' });
  });

  it.each(['#/flags', '#/flags/', '#/flags/a/decisions', '#/flags/a/decisions/', '#/x/a', '#/flags/a/b/c/d'])(
    'do not take %s for a page',
    (hash) => expect(routeOf(hash)).toEqual({ page: 'unknown' }),
  );

  it('survive what cannot be decoded', () => {
    expect(routeOf('#/flags/%ff')).toEqual({ page: 'flag', flagKey: '%ff' });
  });
});

describe('the first sentence', () => {
  const decision = sampleDecision();
  const reasons = [{ code: 'stale-flags', message: 'x', since: now }];
  const review = { trigger: 'latency-above', openedAt: now, verdict: sampleVerdict() };

  it.each([
    ['Running', 'good', {}],
    ['Stopping', 'bad', { state: { status: 'stopping', since: now, decision } }],
    [
      'Stopped',
      'bad',
      { state: { status: 'stopped', since: now, decision, confirmedBy: 'fleet', seenOff: true } },
    ],
    [
      'Stepped back',
      'warn',
      {
        state: {
          status: 'stopped',
          since: now,
          decision,
          confirmedBy: 'fleet',
          seenOff: true,
          steppedBack: true,
        },
      },
    ],
    ['Stepped back', 'warn', { state: { status: 'armed', since: now, steppedBackFrom: 100 } }],
    ['Closed', 'warn', { isClosed: true }],
    ['Blind', 'bad', { health: { status: 'blind', since: now, reasons } }],
    ['No flag', 'warn', { flag: undefined }],
    ['Off', 'off', { flag: { enabled: false } }],
    ['Would have stopped', 'warn', { state: { status: 'armed', since: now, wouldHaveStopped: decision } }],
    ['Needs review', 'warn', { openReviews: [review] }],
    ['Needs attention', 'warn', { problems: reasons }],
    ['Complete', 'good', { isComplete: true }],
    ['Stage blocked', 'warn', { stage: { ...sampleView(now).stage!, status: 'blocked' } }],
  ] as const)('says %s', (word, mood, change) => {
    expect(standingOf(sampleView(now, change))).toMatchObject({ word, mood });
  });

  it('does not advise to turn on a flag that is gone', () => {
    const state = { status: 'stopped', since: now, decision, confirmedBy: 'removed', seenOff: true } as const;
    const { sentence } = standingOf(sampleView(now, { state, flag: undefined }));
    expect(sentence).toContain('no such flag any more');
    expect(sentence).not.toContain('turn the flag on');
  });

  it('says what to check where outcomes should have come', () => {
    const view = sampleView(now);
    const treatment = { ...view.arms.treatment, counts: NO_COUNTS };
    const waiting = (ageMs: number) =>
      standingOf({ ...view, arms: { ...view.arms, treatment }, epochStartedAt: view.at - ageMs });
    expect(waiting(59_000)).toMatchObject({
      word: 'Waiting for data',
      sentence: expect.stringMatching(/yet\.$/),
    });
    expect(waiting(61_000).sentence).toMatch(/OutcomeHook.*guard\.operation\(\).*client\.track\(\)/);
  });

  it('is followed by the next step on the page of a decision in force', () => {
    const view = { decision, failures: [], stoppedInUnleashAt: now };
    expect(nextStepOf(view)).toBe(NEXT_STEP.stopped);
    expect(nextStepOf({ ...view, confirmedBy: 'removed' })).toBe(NEXT_STEP.gone);
    for (const over of [{ reArmedAt: now }, { supersededAt: now }]) {
      expect(nextStepOf({ ...view, ...over })).toBeUndefined();
    }
    const failure = { at: now, code: 'ADMIN_UNAVAILABLE', message: 'Unleash is down.' };
    const { sentence } = outcomeOf({ decision, failures: [failure] });
    expect(sentence).toBe(notOffYet({ message: failure.message, requiresAction: false }));
  });

  it('puts a stop before everything else', () => {
    const state = { status: 'stopping', since: now, decision } as const;
    const change = { state, isClosed: true, health: { status: 'blind', since: now, reasons } } as const;
    expect(standingOf(sampleView(now, change))).toMatchObject({ word: 'Stopping', decisionId: decision.id });
  });
});

describe('the series that the page keeps', () => {
  const history = sampleHistory(THREE_WEEKS, now);
  const series = (request: { from?: number; to?: number; stepMs?: number }, until = now) => {
    const rollups = history.rollups.filter(({ at }) => at < until);
    return seriesOf({ ...history, rollups }, { points: 400, ...request }, [], until);
  };

  it('is, with what is new, what the server would send anew', () => {
    const before = series({ from: now - 7_200_000, stepMs: 60_000 }, now - 600_000);
    const more = series({ from: before.at.at(-1)!, stepMs: before.stepMs });
    const anew = series({ from: now - 7_200_000, stepMs: 60_000 });
    expect(more.at.length).toBeLessThan(15);
    expect(withNewer(before, more)).toEqual(anew);
    expect(withNewer(anew, more)).toEqual(anew);
  });

  it('has fine points within a range and coarse ones beside it, in order and each once', () => {
    const [whole, fine] = [series({}), series({ from: now - 86_400_000, to: now - 43_200_000 })];
    const both = withFiner(whole, fine);
    expect(both.at).toEqual([...new Set(both.at)].sort((a, b) => a - b));
    expect(both.at.length).toBeGreaterThan(fine.at.length);
    expect(both.at).toEqual(expect.arrayContaining([...fine.at]));
    for (const column of [both.percentage, both.treatment.trials, both.control.p99]) {
      expect(column).toHaveLength(both.at.length);
    }
    expect(withFiner(whole, whole)).toBe(whole);
  });

  it('loses what has left the range, and grows no further', () => {
    const fine = series({ from: now - 3_600_000, stepMs: 60_000 });
    const later = since(fine, now - 1_800_000);
    expect(later.at[0]).toBeGreaterThanOrEqual(now - 1_800_000 - 60_000);
    expect(later.treatment.p50).toHaveLength(later.at.length);
  });

  it.each([
    [5, 0],
    [10, 0],
    [11, 1],
    [30, 2],
    [31, 3],
  ])('finds the first point from %s on at %s', (time, index) => {
    expect(indexFrom([10, 20, 30], time)).toBe(index);
  });
});

describe('the top of an axis', () => {
  const none = { soft: [], thresholds: [], withAllThresholds: false, least: 0.001 };

  it.each([
    [[0.004, 0.0095], 0.012],
    [[0.31], 0.4],
    [[], 0.0012],
    [[148, 402], 600],
  ])('leaves room above %s: %s', (values, top) => {
    expect(axisTop({ ...none, values })).toBeCloseTo(top, 9);
  });

  it('shows a threshold that is near, and a far one when it is asked for', () => {
    const shown = { ...none, values: [0.004], thresholds: [0.009, 0.05] };
    expect(axisTop(shown)).toBeGreaterThanOrEqual(0.009);
    expect(axisTop(shown)).toBeLessThan(0.05);
    expect(axisTop({ ...shown, withAllThresholds: true })).toBeGreaterThanOrEqual(0.05);
  });

  it('is not flattened by the interval of few outcomes, and never above 100 %', () => {
    expect(axisTop({ ...none, values: [0.004], soft: [0.9], most: 1 })).toBeLessThan(0.02);
    expect(axisTop({ ...none, values: [1], most: 1 })).toBe(1);
  });
});

describe('a trigger on the page', () => {
  const verdict = sampleVerdict({ status: 'breach' });
  it.each([
    ['rollback', undefined, 'bad'],
    ['rollback', true, 'warn'],
    ['review', undefined, 'warn'],
  ] as const)('that breaches (%s, dry run: %s) is %s', (severity, dryRun, mood) => {
    const trigger = { name: 'tried', severity, verdict, ...(dryRun && { dryRun }) };
    expect(triggerStanding(trigger, undefined)).toEqual({ mood, word: 'breach' });
  });
});

it('says of a trigger in dry run that breaches that it is no breach of the others', () => {
  const verdict = sampleVerdict({ status: 'breach', trigger: 'tried' });
  const triggers = [{ name: 'tried', severity: 'rollback', dryRun: true, verdict }] as const;
  const view = { ...sampleView(now), triggers, openReviews: [], problems: [], stage: undefined };
  expect(standingOf(view).sentence).toContain('No trigger that acts is in breach; in dry run: tried.');
});
