import type { SentRollups } from '../../src/fleet/fleet-link.js';
import type { Decision } from '../../src/model/shapes.js';
import { armCounts } from '../triggers/snapshots.js';

/** A decision as a guard makes it: the shared store refuses anything less. */
export const DECISION: Decision = {
  id: 'decision-1',
  flagKey: 'async-upload',
  action: 'stop',
  dryRun: false,
  at: 1_700_000_000_000.25,
  epoch: 1,
  rolloutPercentage: 10,
  verdicts: [
    {
      trigger: 'success-rate-below',
      status: 'breach',
      observed: 0.8,
      threshold: 0.95,
      unit: 'fraction',
      sampleSize: { treatment: 100, control: 900 },
      windowMs: 300_000,
      freshnessMs: 12,
      message: 'Too many failures.',
    },
  ],
  counts: {
    treatment: armCounts({ successes: 80, failures: 20 }),
    control: armCounts({ successes: 890, failures: 10 }),
  },
  reason: 'Too many failures.',
};

/** A checkpoint without rollups. */
export const NO_ROLLUPS: SentRollups = {
  earlier: { book: { running: [], versions: [] }, pending: [] },
  lines: [],
  linesAdded: 0,
  events: [],
};
