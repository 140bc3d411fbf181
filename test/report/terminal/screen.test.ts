import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RolloutView } from '../../../src/model/rollout-view.js';
import type { Verdict } from '../../../src/model/shapes.js';
import type { RolloutStatus } from '../../../src/report/status/rollout-status.js';
import { type Paint, screenOf, type Watched } from '../../../src/report/terminal/screen.js';
import { widthOf } from '../../../src/report/terminal/text.js';
import { viewOf } from '../../helpers/views.js';
import { decision } from '../../notify/events.js';
import { armOf, rollupOf } from '../../rollups/rollups.js';
import { armCounts, NOW } from '../../triggers/snapshots.js';

const HOSTILE = 'x\u001b[2J\u001b]0;owned\u0007\r\n\u202e<b>\u200b';
const MINUTE = 60_000;

const plain: Paint = (_tone, text) => text;

const verdict: Verdict = {
  trigger: 'success-rate-below',
  status: 'ok',
  observed: 0.992,
  threshold: 0.95,
  unit: 'fraction',
  rate: 'success',
  sampleSize: { treatment: 312, control: 900 },
  windowMs: 300_000,
  message: 'fine',
};

const stage = {
  stage: { percentage: 10, minOutcomes: 500, minSuccessRate: 0.99 },
  index: 1,
  status: 'collecting',
  outcomes: 312,
  successRate: 1,
  elapsedMs: 9,
  message: 'The stage needs more.',
} as const;

function watchedOf(view: Partial<RolloutView> = {}, status: Partial<RolloutStatus> = {}): Watched {
  const shown = viewOf({
    stage,
    stageText: '312 of 500 outcomes, about 40 min at this rate',
    stages: [stage.stage, stage.stage],
    triggers: [
      { name: 'success-rate-below', severity: 'rollback', verdict },
      {
        name: 'failure-regression',
        severity: 'rollback',
        evidence: 0.5,
        verdict: { ...verdict, unit: 'ratio', observed: 1.1, threshold: 1 },
      },
    ],
    arms: {
      treatment: { counts: armCounts({ successes: 310, failures: 2 }), p95Ms: 412, errorTypes: [] },
      control: { counts: armCounts({ successes: 900 }), p95Ms: 640, errorTypes: [] },
    },
    ...view,
  });
  return {
    statuses: [
      {
        folder: '/logs',
        flagKey: shown.flagKey,
        state: 'armed',
        since: NOW - 3 * 3_600_000,
        health: shown.health,
        epoch: 1,
        rollout: { at: NOW, epoch: 1, enabled: true, percentage: 10 },
        stage: shown.stage,
        openReviews: [],
        decision: undefined,
        view: shown,
        lastOutcomeAt: NOW,
        lastEventAt: NOW,
        isClosed: false,
        openProblems: [],
        lastFault: undefined,
        problems: [],
        ...status,
      },
    ],
    history: {
      rollups: Array.from({ length: 60 }, (_, index) =>
        rollupOf({
          at: NOW - (60 - index) * MINUTE,
          arms: {
            treatment: armOf({ successes: 98, failures: index > 50 ? 20 : 2 }, [400]),
            control: armOf({ successes: 200, failures: 2 }, [600]),
          },
        }),
      ),
      annotations: [{ at: NOW - 60_000, type: 'percentage', title: '10 %', text: 'The rollout is at 10 %.' }],
    },
    now: NOW,
  };
}

const text = (watched: Watched, columns = 100, rows = 40) =>
  screenOf(watched, { columns, rows }, plain).join('\n');

describe('the screen of watch', () => {
  it('says where the rollout stands, what the stage needs, how the arms do and what happened', () => {
    const shown = text(watchedOf());
    expect(shown).toMatch(/● async-upload {2}armed at 10 % for 3 h/);
    expect(shown).toMatch(/Stage 2\/2, 10 % █+▏?[▏▎▍▌▋▊▉]?░+ 62 %/);
    expect(shown).toContain('312 of 500 outcomes, about 40 min at this rate');
    expect(shown).toMatch(/treatment +▂{20,}[▂-█]+█ 0\.64 % of 312/);
    expect(shown).toMatch(/failure-regression +█{6}░{6} ok: 1\.1×, threshold 1×/);
    expect(shown).toMatch(/60 s ago +10 %: The rollout is at 10 %\.|60 s ago +The rollout is at 10 %\./);
  });

  it.each([
    [
      'blind',
      {
        health: {
          status: 'blind',
          since: 0,
          reasons: [{ code: 'silent', message: 'No sign of life.', since: 0 }],
        },
      },
      'blind: silent, No sign of life.',
    ],
    ['closed', { isClosed: true }, 'Nothing protects the flag'],
  ] as const)('says that the guard is %s', (_what, status, expected) => {
    expect(text(watchedOf({}, status))).toContain(expected);
  });

  it('says that a stopped flag is off, why in a sentence, and shows the breach before all else', () => {
    const breach = { ...verdict, trigger: 'failure-regression', status: 'breach' } as const;
    const stop = decision({
      verdicts: [{ ...breach, message: 'It fails; the evidence E is 9.' }],
      reason: 'It fails; the evidence E is 9.',
    });
    const shown = text(
      watchedOf(
        {
          triggers: [
            { name: 'success-rate-below', severity: 'rollback', verdict },
            { name: 'failure-regression', severity: 'rollback', verdict: breach },
          ],
        },
        {
          state: 'stopped',
          stage: undefined,
          rollout: { at: NOW, epoch: 2, enabled: false, percentage: 10 },
          decision: { decision: stop, failures: [] },
        },
      ),
    );
    expect(shown).toMatch(/stopped, off for 3 h\n.*\nIt fails\.\nFix the cause and deploy;/);
    expect(shown).toMatch(/failure-regression[\s\S]*success-rate-below/);
  });

  it('names holds, mutes, reviews and problems', () => {
    const controls = {
      hold: { since: NOW, by: 'ada', reason: 'Black Friday' },
      mutes: [{ trigger: 'failure-regression', since: NOW, until: NOW + 1e6, by: 'ada', reason: 'known' }],
    };
    const openReviews = [
      {
        epoch: 1,
        openedAt: NOW - 600_000,
        closedAt: undefined,
        verdict: { ...verdict, message: 'Success rate 97 %.' },
      },
    ];
    const shown = text(watchedOf({ controls }, { openReviews, problems: ['journal.json: damaged'] }));
    for (const part of [
      'Hold by ada: Black Friday',
      'muted',
      'Review, 10 min ago: Success rate 97 %. Check it; then acknowledge the review, or turn the flag off.',
      'journal.json: damaged',
    ]) {
      expect(shown).toContain(part);
    }
  });

  it('shows the whole reason why the guard is blind, and that a token has expired', () => {
    const message = `${'The definition is out of date, and '.repeat(4)}a new token is needed.`;
    const health = {
      status: 'blind',
      since: NOW,
      reasons: [{ code: 'stale-flags', message, since: NOW }],
    } as const;
    const screen = (watched: Watched) => screenOf(watched, { columns: 100, rows: 30 }, plain).join('\n');
    expect(screen(watchedOf({}, { health }))).toContain('a new token is needed.');
    expect(screen(watchedOf({ tokenExpiresAt: NOW - 1 }))).toContain('healthy · token expired');
  });

  it('fits any terminal, whatever names come from outside', () => {
    const names = fc.constantFrom(
      'async-upload',
      HOSTILE,
      '漢字の旗'.repeat(20),
      '🚀'.repeat(50),
      'é'.repeat(300),
      '',
    );
    const size = fc.record({
      columns: fc.integer({ min: 20, max: 220 }),
      rows: fc.integer({ min: 1, max: 60 }),
    });
    fc.assert(
      fc.property(names, names, size, fc.boolean(), (flagKey, other, { columns, rows }, isStopped) => {
        const triggers = Array.from({ length: 12 }, (_, index) => ({
          name: `${other}${index}`,
          severity: 'review' as const,
          evidence: index / 11,
          verdict,
        }));
        const watched = watchedOf(
          { flagKey, triggers, stageText: other },
          { problems: [other, HOSTILE], ...(isStopped && { state: 'stopped' as const }) },
        );
        const annotations = [{ at: NOW, type: 'deploy' as const, title: other, text: HOSTILE }];
        const lines = screenOf(
          { ...watched, history: { ...watched.history, annotations } },
          { columns, rows },
          plain,
        );
        expect(lines.length).toBeLessThanOrEqual(Math.max(2, rows));
        for (const line of lines) {
          expect(widthOf(line)).toBeLessThanOrEqual(columns);
          expect(line).not.toMatch(/[\p{Cc}\u202e]/u);
        }
      }),
    );
  });

  it('leaves out what matters least where rows are few', () => {
    const shown = text(watchedOf(), 80, 6);
    expect(shown).toContain('● async-upload');
    expect(shown).toContain('312 of 500');
    expect(shown).not.toContain('Last events');
  });
});

it('says which trigger is in dry run, and paints its breach as one that stops nothing', () => {
  const breach = { ...verdict, status: 'breach' } as const;
  const triggers = [{ name: 'tried', severity: 'rollback', dryRun: true, verdict: breach }] as const;
  const marked: Paint = (tone, text) => `<${tone}>${text}`;
  const shown = screenOf(watchedOf({ triggers }), { columns: 100, rows: 40 }, marked).join('\n');
  expect(shown).toContain('<warn>breach: 99.2 %, threshold 95 %, dry run');
});
