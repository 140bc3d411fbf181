import { describe, expect, it } from 'vitest';
import { healthOf } from '../../../src/cli/controller/controller.js';
import type { FleetStatus, GuardStatus } from '../../../src/guard/guard-status.js';
import { MemoryOutcomeStore } from '../../../src/measure/memory-outcome-store.js';
import type { FlagFacts } from '../../../src/model/flags.js';
import { outcomeOf } from '../../measure/outcomes.js';

const now = 1_000_000;
const leading: FleetStatus = {
  instance: 'a',
  role: 'leader',
  epoch: 4,
  problem: undefined,
  lostDeltas: 0,
  rebuilt: 0,
  unreadable: 0,
  unfed: [],
};

function status(
  parts: { enabled?: boolean; fleet?: Partial<FleetStatus>; dryRun?: boolean; blind?: string } = {},
): GuardStatus {
  const store = new MemoryOutcomeStore({ flagKey: 'async-upload', windowsMs: [60_000], now });
  for (const result of ['success', 'success', 'failure'] as const) {
    store.record(outcomeOf({ arm: 'treatment', result, at: now }));
  }
  const flag = { enabled: parts.enabled, rolloutPercentage: 10 } as FlagFacts;
  return {
    flagKey: 'async-upload',
    dryRun: parts.dryRun ?? false,
    state: { status: 'armed', since: now },
    health: {
      status: parts.blind === undefined ? 'ok' : 'blind',
      since: now,
      reasons: parts.blind === undefined ? [] : [{ code: parts.blind, message: 'why', since: now }],
    },
    epoch: 1,
    flag: parts.enabled === undefined ? undefined : flag,
    fleet: { ...leading, ...parts.fleet },
    snapshot: store.snapshot(now),
  } as unknown as GuardStatus;
}

describe('healthOf', () => {
  it.each([
    ['the leader', status({ enabled: true }), 'async-upload is on at 10 % | armed | leader | epoch 4'],
    [
      'one that stands by, in a dry run',
      status({ enabled: false, fleet: { role: 'follower' }, dryRun: true }),
      'async-upload is off | dry run, armed | follower | epoch 4',
    ],
    [
      'one whose rules others do not have',
      status({
        enabled: true,
        fleet: { unfed: [{ rule: 'failure-regression', needs: 'test', processes: 2 }] },
      }),
      'async-upload is on at 10 % | armed | leader | epoch 4 | failure-regression is not fed by all: 2 have other rules',
    ],
    [
      'one without Unleash and Redis',
      status({ fleet: { role: 'standalone', epoch: undefined, problem: 'Redis is out of memory.' } }),
      'async-upload is not known from Unleash yet | armed | standalone: Redis is out of memory. | epoch 1',
    ],
    [
      'one that is blind',
      status({ enabled: true, blind: 'stale-flags' }),
      'async-upload is on at 10 % | armed | leader | epoch 4 | blind: stale-flags',
    ],
  ])('describes the state of a controller: %s', (_what, given, line) => {
    expect(healthOf(given)).toEqual({ standing: line, counted: 'outcomes: 3 treatment, 0 control' });
  });
});
