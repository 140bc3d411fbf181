import { criticalErrors, failureRegression, successRateBelow } from 'unleash-rollout-guard';

export const flagKey = 'webp-thumbnails';

/** The same for the functions, which record, and the controller, which evaluates. */
export const rules = {
  rollback: [successRateBelow(0.95, { minOutcomes: 50 }), failureRegression(), criticalErrors()],
};
