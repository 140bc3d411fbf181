import type { ArmCounts, Decision } from '../../src/model/shapes.js';

function countsOf(successes: number, failures: number): ArmCounts {
  return {
    successes,
    failures,
    expected: 0,
    aborted: 0,
    critical: 0,
    fallbacks: 0,
    retried: 0,
    complaints: 0,
  };
}

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
  counts: { treatment: countsOf(80, 20), control: countsOf(890, 10) },
  reason: 'Too many failures.',
};
