/** The failure rate of the treatment against the control's: tests 2 and, where no control remains, 4. */
export interface FailureRegressionRequest {
  readonly test: 'failure-regression';
  readonly alpha: number;
  /** The odds ratio of failing that is tolerated; against a frozen control, the ratio of failure rates. */
  readonly ratio: number;
}

/** The failure rate of the treatment against a limit: test 1. */
export interface FailureRateRequest {
  readonly test: 'failure-rate';
  readonly alpha: number;
  /** A fraction above 0 and below 1. */
  readonly maxFailureRate: number;
}

/** The durations of the treatment's successes against the control's: test 3. */
export interface LatencyRegressionRequest {
  readonly test: 'latency-regression';
  readonly alpha: number;
  /** How many times the control's durations are tolerated. */
  readonly ratio: number;
}

/** What a trigger asks the store to gather; plain data. */
export type EvidenceRequest = FailureRegressionRequest | FailureRateRequest | LatencyRegressionRequest;
