import { metrics } from '@opentelemetry/api';
import type { GuardObserver } from 'unleash-rollout-guard';
import { openTelemetry } from 'unleash-rollout-guard/opentelemetry';

export const observers: readonly GuardObserver[] = [
  openTelemetry(),
  openTelemetry({ meter: metrics.getMeter('mine') }),
  // @ts-expect-error: no such option
  openTelemetry({ meters: [] }),
];
