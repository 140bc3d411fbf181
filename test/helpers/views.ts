import { type RolloutView, VIEW_VERSION } from '../../src/model/rollout-view.js';
import { armCounts, NOW } from '../triggers/snapshots.js';

/** A view of an armed guard at 10 % without any outcome. */
export function viewOf(overrides: Partial<RolloutView> = {}): RolloutView {
  const arm = { counts: armCounts(), errorTypes: [] };
  return {
    version: VIEW_VERSION,
    at: NOW,
    flagKey: 'async-upload',
    project: 'default',
    environment: 'production',
    flagUrl: 'https://unleash.example.com/projects/default/features/async-upload',
    dryRun: false,
    state: { status: 'armed', since: NOW - 600_000 },
    isClosed: false,
    health: { status: 'ok', since: NOW - 600_000, reasons: [] },
    problems: [],
    flag: { enabled: true, percentage: 10 },
    epoch: 1,
    epochStartedAt: NOW - 600_000,
    stages: [],
    advance: 'manual',
    isComplete: false,
    arms: { treatment: arm, control: arm },
    triggers: [],
    failing: [],
    openReviews: [],
    controls: { mutes: [] },
    guardVersion: '0.1.0',
    ...overrides,
  };
}
