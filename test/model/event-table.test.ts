import { describe, expect, it } from 'vitest';
import type { GuardEvent } from '../../src/model/event.js';
import { EVENT_TABLE, type EventTable, entryOf } from '../../src/model/event-table.js';
import { AT, decided, stopFailed } from '../notify/events.js';

describe('EVENT_TABLE', () => {
  it('does not compile with an entry too few or too many', () => {
    const { closed, ...tooFew } = EVENT_TABLE;
    // @ts-expect-error: an event type without an entry.
    const missing: EventTable = tooFew;
    // @ts-expect-error: an entry without an event type.
    const surplus: EventTable = { ...tooFew, closed, opened: closed };
    expect(Object.keys(surplus).length - Object.keys(missing).length).toBe(2);
  });

  it.each<[GuardEvent, level: string, line: string]>([
    [
      { type: 'started', at: AT, epoch: 3, status: 'armed' },
      'info',
      'The guard has started (epoch 3, armed).',
    ],
    [
      { type: 'rollout-changed', at: AT, epoch: 3, enabled: true, rolloutPercentage: 10 },
      'info',
      'The rollout changed in Unleash: the flag is on at 10 %.',
    ],
    [decided(), 'error', 'The flag is being turned off: The success rate is 90 %, below 95 % (90 of 100).'],
    [
      decided({ dryRun: true, action: 'step-back', toPercentage: 1 }),
      'warn',
      'Dry run, the flag would be taken back to 1 %: The success rate is 90 %, below 95 % (90 of 100).',
    ],
    [
      stopFailed(),
      'warn',
      'The flag is not off in Unleash yet. The guard keeps trying. Unleash does not answer.',
    ],
    [
      { type: 'action-required', at: AT, decisionId: 'd-1', message: 'Turn it off by hand.' },
      'error',
      'Action required: Turn it off by hand.',
    ],
    [
      { type: 'stepped-back', at: AT, decisionId: 'd-1', from: 10, to: 1 },
      'warn',
      'The rollout is back from 10 % to 1 % in Unleash.',
    ],
    [
      { type: 'toggled', at: AT, change: 'off', by: 'ada', changedAt: AT, decisionId: 'd-1' },
      'info',
      "Unleash's history names ada for this stop: the guard's token has that name, or an operator was faster.",
    ],
    [
      {
        type: 'health',
        at: AT,
        status: 'blind',
        since: AT,
        reasons: [{ code: 'flag-missing', message: 'Unleash sends no flag.', since: AT }],
        began: ['flag-missing'],
        ended: [],
      },
      'error',
      'The guard is blind: flag-missing: Unleash sends no flag.',
    ],
    [
      {
        type: 'health',
        at: AT,
        status: 'ok',
        since: AT,
        reasons: [],
        began: [],
        ended: [{ code: 'flag-missing', message: 'Unleash sends no flag.', since: AT - 90_000 }],
      },
      'info',
      'The guard is no longer blind. Until now: flag-missing for 90 s.',
    ],
    [{ type: 'fault', at: AT, what: 'a listener', message: 'x' }, 'error', 'Fault (a listener): x'],
    [{ type: 'closed', at: AT }, 'info', 'The guard is closed: it no longer protects the flag.'],
  ])('logs %o', (event, level, line) => {
    expect(entryOf(event).log(event)).toEqual({ level, line });
  });
});
