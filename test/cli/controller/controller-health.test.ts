import { describe, expect, it } from 'vitest';
import { healthOf } from '../../../src/cli/controller/health.js';
import type { FleetStatus, GuardStatus } from '../../../src/guard/guard-status.js';
import { MemoryOutcomeStore } from '../../../src/measure/memory-outcome-store.js';
import type { FlagFacts } from '../../../src/model/flags.js';
import { outcomeOf } from '../../measure/outcomes.js';

const now = 1_000_000;
const judging: FleetStatus = { instance: 'a', role: 'judge', epoch: 4, problem: undefined, lostDeltas: 0 };

function status(
  parts: { enabled?: boolean; fleet?: Partial<FleetStatus>; dryRun?: boolean } = {},
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
    epoch: 1,
    flag: parts.enabled === undefined ? undefined : flag,
    fleet: { ...judging, ...parts.fleet },
    snapshot: store.snapshot(now),
  } as GuardStatus;
}

describe('healthOf', () => {
  it.each([
    ['judging', status({ enabled: true }), 'async-upload is on at 10 % | armed | judges | epoch 4'],
    [
      'waiting for another judge',
      status({ enabled: false, fleet: { role: 'follower' }, dryRun: true }),
      'async-upload is off | dry run, armed | stands by | epoch 4',
    ],
    [
      'without Unleash and Redis',
      status({ fleet: { role: 'alone', epoch: undefined, problem: 'Redis is out of memory.' } }),
      'async-upload is not known from Unleash yet | armed | alone: Redis is out of memory. | epoch 1',
    ],
  ])('says where a judge stands: %s', (_what, given, line) => {
    expect(healthOf(given)).toEqual({ standing: line, counted: 'outcomes: 3 treatment, 0 control' });
  });
});
