import { criticalErrors, failureRegression, successRateBelow } from 'unleash-rollout-guard';

export const flagKey = 'indexed-search';

/** The same for the services, which record, and the controller, which evaluates: both are in one image. */
export const rules = {
  rollback: [successRateBelow(0.95, { minOutcomes: 50 }), failureRegression(), criticalErrors()],
};

/** The time for one path of a search, in milliseconds. A pod's grace period has room for both. */
export const OPERATION_TIMEOUT_MS = 10_000;
