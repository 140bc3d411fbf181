import type { EvidenceRequest } from './evidence-request.js';
import type { EvidenceSources, EvidenceTest, EvidenceTestState } from './evidence-test.js';
import { FailureRate } from './failure-rate.js';
import { FailureRegression } from './failure-regression-test.js';
import { LatencyRegression } from './latency-regression-test.js';

/** @throws {@link ConfigError} when the request has a parameter that cannot be. */
export function evidenceTest(request: EvidenceRequest, sources: EvidenceSources): EvidenceTest {
  switch (request.test) {
    case 'failure-regression':
      return new FailureRegression(request, sources.frozenControl);
    case 'failure-rate':
      return new FailureRate(request);
    case 'latency-regression':
      return new LatencyRegression(request, sources);
  }
}

/** A test that goes on from a state. @throws {@link ConfigError} for a state that cannot be. */
export function restoredTest(state: EvidenceTestState, sources: EvidenceSources): EvidenceTest {
  if ('comparison' in state) return FailureRegression.restored(state, sources.frozenControl);
  if ('limit' in state) return FailureRate.restored(state);
  return LatencyRegression.restored(state, sources);
}
