import { describe, expect, it } from 'vitest';
import { claimsOf } from '../../../examples/demo/claims.js';
import type { Evidence } from '../../../examples/demo/scenario.js';
import { timeline } from '../../../examples/demo/timeline.js';
import type { Upload } from '../../../examples/demo/traffic.js';

const BROKEN_AT = 1_000_000;

const uploads = (via: string, count: number, ok = true): Upload[] =>
  Array.from({ length: count }, (_, index) => ({
    userId: `user-${index}`,
    startedAt: BROKEN_AT,
    endedAt: BROKEN_AT + 320,
    ok,
    via,
  }));

const GOOD: Evidence = {
  healthy: [{ percentage: 10, uploads: [...uploads('streaming', 40), ...uploads('buffered', 360)] }],
  eventsBeforeFault: [],
  brokenAt: BROKEN_AT,
  faults: { count: 20, firstAt: BROKEN_AT + 5, lastAt: BROKEN_AT + 310 },
  duringFault: uploads('buffered', 30),
  afterStop: uploads('buffered', 400),
  events: [
    {
      type: 'decided',
      at: BROKEN_AT + 300,
      decision: {
        id: 'd',
        flagKey: 'async-upload',
        action: 'stop',
        dryRun: false,
        at: BROKEN_AT + 300,
        epoch: 4,
        rolloutPercentage: 50,
        verdicts: [],
        counts: {} as never,
        reason: 'too many failures',
      },
    },
    { type: 'stopped-here', at: BROKEN_AT + 301, decisionId: 'd' },
    { type: 'stopped', at: BROKEN_AT + 350, decisionId: 'd', confirmedBy: 'read-back' },
    {
      type: 'toggled',
      at: BROKEN_AT + 380,
      change: 'off',
      decisionId: 'd',
      by: 'guard-token',
      changedAt: BROKEN_AT + 340,
    },
  ],
  flagOnInUnleash: false,
  history: [
    {
      id: 9,
      type: 'feature-environment-disabled',
      createdBy: 'guard-token',
      createdAt: BROKEN_AT + 340,
      environment: 'development',
      data: undefined,
    },
  ],
  spooledFilesLeft: 0,
};

const unseen = (change: Partial<Evidence>) =>
  claimsOf({ ...GOOD, ...change }).flatMap(({ text, seen }) => (seen ? [] : [text]));

describe('claimsOf', () => {
  it('finds every claim true of a demo that went well', () => expect(unseen({})).toEqual([]));

  it.each<[string, Partial<Evidence>, RegExp]>([
    [
      'a lost upload while all was well',
      {
        healthy: [
          {
            percentage: 10,
            uploads: [
              ...uploads('streaming', 40),
              ...uploads('buffered', 359),
              ...uploads('buffered', 1, false),
            ],
          },
        ],
      },
      /^10 %: 399 of 400/,
    ],
    [
      'no upload on the streaming path',
      { healthy: [{ percentage: 1, uploads: uploads('buffered', 400) }] },
      /^1 %/,
    ],
    [
      'every upload on the streaming path',
      { healthy: [{ percentage: 10, uploads: uploads('streaming', 400) }] },
      /^10 %/,
    ],
    ['a stop before the fault', { eventsBeforeFault: GOOD.events }, /left the flag on/],
    ['no decision', { events: GOOD.events.slice(1) }, /noticed by itself/],
    [
      'no stop in this process',
      { events: GOOD.events.filter(({ type }) => type !== 'stopped-here') },
      /in this process first/,
    ],
    ['a flag that is still on', { flagOnInUnleash: true }, /off in Unleash/],
    ['a user who noticed', { duringFault: uploads('buffered', 3, false) }, /no user noticed/],
    ['streaming after the stop', { afterStop: uploads('streaming', 1) }, /after the stop, 1 of them/],
    [
      'a failure after the stop',
      { faults: { count: 21, firstAt: BROKEN_AT, lastAt: BROKEN_AT + 321 } },
      /no new upload tried streaming/,
    ],
    [
      'another user who turned it off',
      { history: [{ ...GOOD.history[0]!, createdBy: 'admin' }] },
      /who turned it off/,
    ],
    ['an empty history', { history: [] }, /who turned it off/],
    ['a file left behind', { spooledFilesLeft: 1 }, /temporary file/],
  ])('sees %s', (_what, change, claim) => {
    expect(unseen(change)).toContainEqual(expect.stringMatching(claim));
  });
});

describe('timeline', () => {
  it('lists what happened in order, in milliseconds from the fault', () => {
    const lines = timeline(GOOD).split('\n').slice(1);
    expect(lines.map((line) => line.trim().replace(/ {2,}.*/, ''))).toEqual([
      '0 ms',
      '5 ms',
      '300 ms',
      '301 ms',
      '310 ms',
      '350 ms',
    ]);
  });

  it('puts what never happened last', () => {
    expect(
      timeline({ ...GOOD, events: [] })
        .split('\n')
        .at(-1),
    ).toMatch(/never/);
  });
});
