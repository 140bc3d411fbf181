import { describe, expect, it } from 'vitest';
import {
  afterRestart,
  decide,
  type Effect,
  type GuardInput,
  initialState,
  type Step,
} from '../../src/guard/decide/decide.js';
import type { Decision } from '../../src/model/shapes.js';
import type { GuardState } from '../../src/model/state.js';

function decision(fields: Partial<Decision> = {}): Decision {
  return {
    ...({
      id: 'd-1',
      flagKey: 'async-upload',
      epoch: 3,
      dryRun: false,
      at: 5,
      verdicts: [],
    } as unknown as Decision),
    ...fields,
  };
}

const failure = { code: 'UNAVAILABLE', message: 'Unleash is down.', requiresAction: false };
const refusal = { code: 'PERMISSION', message: 'Turn the flag off by hand.', requiresAction: true };

const armed = initialState(0);
const stopping: GuardState & { status: 'stopping' } = { status: 'stopping', since: 5, decision: decision() };
const retrying: GuardState = { ...stopping, failure, reported: [failure.code] };
const refused: GuardState = { ...stopping, failure: refusal, reported: [failure.code, refusal.code] };
const stopped: GuardState & { status: 'stopped' } = {
  status: 'stopped',
  since: 6,
  decision: decision(),
  confirmedBy: 'read-back',
  seenOff: false,
};
const steppedBack: GuardState & { status: 'stopped' } = {
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
  readonly effects: readonly Effect['type'][];
}

const breach: GuardInput = { type: 'breached', at: 9, decision: decision() };
const on: GuardInput = { type: 'definition', at: 9, enabled: true, rolloutPercentage: 10 };
const off: GuardInput = { type: 'definition', at: 9, enabled: false, rolloutPercentage: 10 };

const cases: readonly Case[] = [
  {
    name: 'overrides first, then stops the fleet, then records, then turns off in Unleash',
    from: armed,
    input: breach,
    to: { status: 'stopping', since: 9, decision: decision() },
    effects: ['override', 'stop-fleet', 'record-decision', 'turn-off-in-unleash'],
  },
  {
    name: 'does nothing when an operator turns the flag off while it is armed',
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
    effects: ['confirm'],
  },
  {
    name: 'keeps trying after a failure, and reports it',
    from: stopping,
    input: { type: 'off-failed', at: 9, failure },
    to: { status: 'stopping', since: 5, failure },
    effects: ['report-failure'],
  },
  {
    name: 'does not report an outage for each attempt',
    from: retrying,
    input: { type: 'off-failed', at: 9, failure },
    to: retrying,
    effects: [],
  },
  {
    name: 'reports no cause twice when causes take turns',
    from: refused,
    input: { type: 'off-failed', at: 9, failure },
    to: { ...refused, failure },
    effects: [],
  },
  {
    name: 'requests action where retrying cannot help',
    from: retrying,
    input: { type: 'off-failed', at: 9, failure: refusal },
    to: { status: 'stopping', failure: refusal },
    effects: ['report-failure', 'request-action'],
  },
  {
    name: 'requests action for each cause',
    from: refused,
    input: { type: 'off-failed', at: 9, failure: { ...refusal, code: 'CHANGE_REQUEST' } },
    to: { status: 'stopping', failure: { ...refusal, code: 'CHANGE_REQUEST' } },
    effects: ['report-failure', 'request-action'],
  },
  {
    name: 'requests action for one cause only once',
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
    name: 'is stopped when the definition arrives switched off after a failure',
    from: refused,
    input: off,
    to: { status: 'stopped', confirmedBy: 'definition', seenOff: true },
    effects: ['confirm'],
  },
  {
    name: 'ignores that the flag is still on while stopping',
    from: refused,
    input: on,
    to: refused,
    effects: [],
  },
  {
    name: 're-arms when an operator turned the flag on after the decision',
    from: stopping,
    input: { type: 'turned-on-since', at: 9 },
    to: { status: 'armed', since: 9 },
    effects: ['re-arm'],
  },
  {
    name: 'stays stopped while the definition is on and was never seen off',
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
    name: 'is stopped after a step back until the provider has seen it',
    from: stopping,
    input: { type: 'stepped-back', at: 9 },
    to: { status: 'stopped', steppedBack: true, seenOff: false },
    effects: ['confirm'],
  },
  {
    name: 'stays stopped while the provider still shows the percentage that failed',
    from: steppedBack,
    input: on,
    to: steppedBack,
    effects: [],
  },
  {
    name: 're-arms when the provider shows another percentage after a step back',
    from: steppedBack,
    input: { type: 'definition', at: 9, enabled: true, rolloutPercentage: 1 },
    to: { status: 'armed', since: 9, steppedBackFrom: 10 },
    effects: ['re-arm'],
  },
  {
    name: 'stays stopped when Unleash says on at the percentage of the step back',
    from: steppedBack,
    input: { type: 'flag-read', at: 9, enabled: true, rolloutPercentage: 1 },
    to: steppedBack,
    effects: [],
  },
  {
    name: 're-arms when an operator undid the step back in Unleash',
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

const typesOf = ({ effects }: Step) => effects.map(({ type }) => type);

describe('decide', () => {
  it.each(cases)('$name', ({ from, input, to, effects }) => {
    const step = decide(from, input);
    expect(step.state).toMatchObject(to);
    expect(typesOf(step)).toEqual(effects);
  });

  it('records a decision of a dry run once per epoch, and acts on none', () => {
    const dryRun = decision({ dryRun: true });
    const first = decide(armed, { type: 'breached', at: 1, decision: dryRun });
    expect(typesOf(first)).toEqual(['record-decision']);
    expect(first.state.status).toBe('armed');
    expect(typesOf(decide(first.state, { type: 'breached', at: 2, decision: dryRun }))).toEqual([]);
    const nextEpoch = decision({ dryRun: true, epoch: 4 });
    expect(typesOf(decide(first.state, { type: 'breached', at: 3, decision: nextEpoch }))).toEqual([
      'record-decision',
    ]);
  });

  describe('when an operator asks for a stop', () => {
    const asked = decision({ id: 'd-2', action: 'stop', requestedBy: 'ann', verdicts: [] });
    const input: GuardInput = { type: 'stop-requested', at: 9, decision: asked };
    const stop = ['override', 'stop-fleet', 'record-decision', 'turn-off-in-unleash'];
    const byTriggers = { ...stopped, decision: decision({ action: 'stop' }) };

    it.each<[what: string, from: GuardState, effects: readonly string[]]>([
      ['stops as triggers do', armed, stop],
      ['replaces a step back, which leaves the flag on', steppedBack, [...stop, 'report-end']],
      [
        'replaces one that is under way',
        { ...stopping, decision: steppedBack.decision },
        [...stop, 'report-end'],
      ],
      ['adds nothing to a stop that is under way', { ...stopping, decision: byTriggers.decision }, []],
      ['adds nothing to a stop', byTriggers, []],
    ])('%s', (_what, from, effects) => {
      const step = decide(from, input);
      expect(typesOf(step)).toEqual(effects);
      if (effects.length === 0) expect(step.state).toBe(from);
      else expect(step.state).toEqual({ status: 'stopping', since: 9, decision: asked });
    });

    it('is recorded each time in a dry run, and leaves the triggers in force', () => {
      const step = decide(armed, { ...input, decision: { ...asked, dryRun: true } });
      expect(typesOf(step)).toEqual(['record-decision']);
      expect(step.state).toBe(armed);
    });
  });

  it('returns effects with everything that performing them needs', () => {
    expect(decide(armed, breach).effects).toEqual([
      { type: 'override', decision: decision() },
      { type: 'stop-fleet', decision: decision() },
      { type: 'record-decision', at: 9, decision: decision() },
      { type: 'turn-off-in-unleash', decision: decision() },
    ]);
    expect(decide(stopping, { type: 'off-failed', at: 9, failure: refusal }).effects).toEqual([
      {
        type: 'report-failure',
        event: { type: 'stop-failed', at: 9, decisionId: 'd-1', failure: refusal },
      },
      {
        type: 'request-action',
        event: { type: 'action-required', at: 9, decisionId: 'd-1', message: refusal.message },
      },
    ]);
    const { state: stoppedNow, effects } = decide(stopping, { type: 'off-confirmed', at: 9 });
    expect(effects).toEqual([{ type: 'confirm', stopped: stoppedNow }]);
    expect(decide(stoppedAndSeen, on).effects).toEqual([
      { type: 're-arm', at: 9, decision: decision(), steppedBack: false },
    ]);
  });

  it.each(['fleet', undefined] as const)('records who made a decision of the fleet (%s)', (by) => {
    const input = { type: 'fleet-stopped', at: 9, decision: decision(), done: undefined, by } as const;
    expect(decide(armed, input).effects).toEqual([
      { type: 'override', decision: decision() },
      { type: 'record-decision', at: 9, decision: decision(), by },
    ]);
  });

  it('says which decision one of the fleet replaces, and which one the fleet has refused', () => {
    const input = {
      type: 'fleet-stopped',
      at: 9,
      decision: decision({ id: 'd-2' }),
      done: 'off',
      by: 'fleet',
    } as const;
    for (const from of [stopping, stopped]) {
      const { effects } = decide(from, input);
      expect(effects.map(({ type }) => type)).toEqual([
        'override',
        'record-decision',
        'report-end',
        'confirm',
      ]);
      expect(effects[2]).toMatchObject({
        event: { type: 'superseded', decisionId: 'd-1', replacedBy: 'd-2' },
      });
    }
    const [end, reArm] = decide(stopping, { type: 'fleet-released', at: 9, isRefused: true }).effects;
    expect(end).toEqual({ type: 'report-end', event: { type: 'superseded', at: 9, decisionId: 'd-1' } });
    expect(reArm).toMatchObject({ type: 're-arm' });
    expect(typesOf(decide(stopping, { type: 'fleet-released', at: 9 }))).toEqual(['re-arm']);
  });

  it('forgets at a restart that the flag was seen off, and what was reported', () => {
    expect(afterRestart({ ...stopped, seenOff: true })).toEqual({ ...stopped, seenOff: false });
    expect(afterRestart({ ...stopping, failure, reported: [failure.code] })).toEqual(stopping);
  });

  it('keeps its state serialisable', () => {
    for (const { from, input } of cases) {
      const { state } = decide(from, input);
      expect(JSON.parse(JSON.stringify(state))).toEqual(state);
    }
  });
});
