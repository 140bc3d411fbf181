import { describe, expect, it } from 'vitest';
import { decide, type Effect, type GuardInput, initialState } from '../../src/guard/decide/decide.js';
import type { Decision } from '../../src/model/shapes.js';
import type { GuardState } from '../../src/model/state.js';

function decision(fields: Partial<Decision> = {}): Decision {
  return {
    ...({ id: 'd-1', flagKey: 'async-upload', epoch: 3, dryRun: false, at: 5 } as Decision),
    ...fields,
  };
}

const failure = { code: 'UNAVAILABLE', message: 'Unleash is down.', requiresAction: false };
const refusal = { code: 'PERMISSION', message: 'Turn the flag off by hand.', requiresAction: true };

const armed = initialState(0);
const stopping: GuardState = { status: 'stopping', since: 5, decision: decision() };
const retrying: GuardState = { ...stopping, failure, reported: [failure.code] };
const refused: GuardState = { ...stopping, failure: refusal, reported: [failure.code, refusal.code] };
const stopped: GuardState = {
  status: 'stopped',
  since: 6,
  decision: decision(),
  confirmedBy: 'read-back',
  seenOff: false,
};
const steppedBack: GuardState = {
  ...stopped,
  decision: decision({ action: 'step-back', rolloutPercentage: 10, toPercentage: 1 }),
  steppedBack: true,
};
const stoppedAndSeen: GuardState = { ...stopped, seenOff: true };

interface Case {
  readonly name: string;
  readonly from: GuardState;
  readonly input: GuardInput;
  readonly to: Partial<GuardState>;
  readonly effects: readonly Effect[];
}

const breach: GuardInput = { type: 'breached', at: 9, decision: decision() };
const on: GuardInput = { type: 'definition', at: 9, enabled: true, rolloutPercentage: 10 };
const off: GuardInput = { type: 'definition', at: 9, enabled: false, rolloutPercentage: 10 };

const cases: readonly Case[] = [
  {
    name: 'stops here first, then in the fleet, then records, then turns to Unleash',
    from: armed,
    input: breach,
    to: { status: 'stopping', since: 9, decision: decision() },
    effects: ['stop-here', 'stop-fleet', 'record-decision', 'stop-in-unleash'],
  },
  {
    name: 'does nothing about a person who turns the flag off while it is armed',
    from: armed,
    input: off,
    to: armed,
    effects: [],
  },
  { name: 'does not decide twice', from: stopping, input: breach, to: stopping, effects: [] },
  {
    name: 'is stopped only when Unleash confirms',
    from: stopping,
    input: { type: 'off-confirmed', at: 9 },
    to: { status: 'stopped', since: 9, confirmedBy: 'read-back', seenOff: false },
    effects: ['confirm-stopped'],
  },
  {
    name: 'keeps trying after a failure, and tells it',
    from: stopping,
    input: { type: 'off-failed', at: 9, failure },
    to: { status: 'stopping', since: 5, failure },
    effects: ['tell-failure'],
  },
  {
    name: 'does not tell an outage for each attempt',
    from: retrying,
    input: { type: 'off-failed', at: 9, failure },
    to: retrying,
    effects: [],
  },
  {
    name: 'tells nothing twice when causes take turns',
    from: refused,
    input: { type: 'off-failed', at: 9, failure },
    to: { ...refused, failure },
    effects: [],
  },
  {
    name: 'asks a person where trying cannot help',
    from: retrying,
    input: { type: 'off-failed', at: 9, failure: refusal },
    to: { status: 'stopping', failure: refusal },
    effects: ['tell-failure', 'ask-person'],
  },
  {
    name: 'asks a person once more when something else is in the way',
    from: refused,
    input: { type: 'off-failed', at: 9, failure: { ...refusal, code: 'CHANGE_REQUEST' } },
    to: { status: 'stopping', failure: { ...refusal, code: 'CHANGE_REQUEST' } },
    effects: ['tell-failure', 'ask-person'],
  },
  {
    name: 'asks a person only once',
    from: refused,
    input: { type: 'off-failed', at: 9, failure: refusal },
    to: { status: 'stopping', failure: refusal },
    effects: [],
  },
  {
    name: 'waits for its own read-back while the first request is under way',
    from: stopping,
    input: off,
    to: stopping,
    effects: [],
  },
  {
    name: 'takes the definition as proof after a failure: a person turned the flag off',
    from: refused,
    input: off,
    to: { status: 'stopped', confirmedBy: 'definition', seenOff: true },
    effects: ['confirm-stopped'],
  },
  {
    name: 'ignores that the flag is still on while stopping',
    from: refused,
    input: on,
    to: refused,
    effects: [],
  },
  {
    name: 'gives way to a person who turned the flag on after the decision',
    from: stopping,
    input: { type: 'turned-on-since', at: 9 },
    to: { status: 'armed', since: 9 },
    effects: ['re-arm'],
  },
  {
    name: 'does not take old news for a person: on before it was ever seen off',
    from: stopped,
    input: on,
    to: stopped,
    effects: [],
  },
  {
    name: 'remembers that it saw the flag off',
    from: stopped,
    input: off,
    to: { seenOff: true },
    effects: [],
  },
  {
    name: 're-arms when the flag is on again after it was seen off',
    from: stoppedAndSeen,
    input: on,
    to: { status: 'armed', since: 9 },
    effects: ['re-arm'],
  },
  {
    name: 're-arms when Unleash itself says on after the stop',
    from: stopped,
    input: { type: 'flag-read', at: 9, enabled: true, rolloutPercentage: 10 },
    to: { status: 'armed' },
    effects: ['re-arm'],
  },
  {
    name: 'stays stopped when Unleash itself says off',
    from: stopped,
    input: { type: 'flag-read', at: 9, enabled: false, rolloutPercentage: 10 },
    to: stopped,
    effects: [],
  },
  {
    name: 'takes a step back for a stop that lasts until the provider has seen it',
    from: stopping,
    input: { type: 'stepped-back', at: 9 },
    to: { status: 'stopped', steppedBack: true, seenOff: false },
    effects: ['confirm-stopped'],
  },
  {
    name: 'holds the stop while the provider still shows the percentage that failed',
    from: steppedBack,
    input: on,
    to: steppedBack,
    effects: [],
  },
  {
    name: 'watches anew when the provider shows another percentage after a step back',
    from: steppedBack,
    input: { type: 'definition', at: 9, enabled: true, rolloutPercentage: 1 },
    to: { status: 'armed', since: 9, steppedBackFrom: 10 },
    effects: ['re-arm'],
  },
  {
    name: 'does not take the flag that it left on after a step back for a person',
    from: steppedBack,
    input: { type: 'flag-read', at: 9, enabled: true, rolloutPercentage: 1 },
    to: steppedBack,
    effects: [],
  },
  {
    name: 're-arms when Unleash itself says that a person undid the step back',
    from: steppedBack,
    input: { type: 'flag-read', at: 9, enabled: true, rolloutPercentage: 10 },
    to: { status: 'armed', since: 9, steppedBackFrom: 10 },
    effects: ['re-arm'],
  },
  {
    name: 'stays stopped when the flag was turned off after the step back',
    from: steppedBack,
    input: { type: 'flag-read', at: 9, enabled: false, rolloutPercentage: 10 },
    to: steppedBack,
    effects: [],
  },
  {
    name: 'stays stopped when Unleash shows no single percentage after the step back',
    from: steppedBack,
    input: { type: 'flag-read', at: 9, enabled: true, rolloutPercentage: undefined },
    to: steppedBack,
    effects: [],
  },
  {
    name: 'ignores breaches of outcomes that come late',
    from: stopped,
    input: breach,
    to: stopped,
    effects: [],
  },
];

describe('decide', () => {
  it.each(cases)('$name', ({ from, input, to, effects }) => {
    const step = decide(from, input);
    expect(step.state).toMatchObject(to);
    expect(step.effects).toEqual(effects);
  });

  it('records a decision of a dry run once per epoch, and acts on none', () => {
    const first = decide(armed, { type: 'breached', at: 1, decision: decision({ dryRun: true }) });
    expect(first.effects).toEqual(['record-decision']);
    expect(first.state.status).toBe('armed');
    expect(
      decide(first.state, { type: 'breached', at: 2, decision: decision({ dryRun: true }) }).effects,
    ).toEqual([]);
    const nextEpoch = decision({ dryRun: true, epoch: 4 });
    expect(decide(first.state, { type: 'breached', at: 3, decision: nextEpoch }).effects).toEqual([
      'record-decision',
    ]);
  });

  it('keeps its state serialisable', () => {
    for (const { from, input } of cases) {
      const { state } = decide(from, input);
      expect(JSON.parse(JSON.stringify(state))).toEqual(state);
    }
  });
});
