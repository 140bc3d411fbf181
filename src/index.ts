// The public API, in the order in which a request meets it.

// Flags: Unleash behind OpenFeature.
export {
  type ProviderSettings,
  UnleashProvider,
  type UnleashProviderOptions,
} from '../providers/unleash/provider.js';
// Exposures: which arm a user got.
export { OutcomeHook } from '../hooks/outcome-hook.js';
// Operations: run the arm, record how it ended.
export type {
  CallOptions,
  ErrorClass,
  GuardedOperation,
  OperationOptions,
  OperationPolicy,
} from './operation/guarded-operation.js';
export {
  type ArmFunction,
  isOperationTimeoutError,
  OperationTimeoutError,
  type RunContext,
} from './operation/attempts.js';
export { errorTypeOf, isCriticalError, isRetryableError } from './operation/error-type.js';
// Triggers: what a snapshot of outcomes says, literally.
export type { Trigger } from './triggers/trigger.js';
export type { OutcomeRateOptions, OutcomeRateTrigger } from './triggers/outcome-rate.js';
export { successRateBelow } from './triggers/success-rate-below.js';
export { successRateBetween } from './triggers/success-rate-between.js';
export { errorRateAbove } from './triggers/error-rate-above.js';
export { criticalErrors } from './triggers/critical-errors.js';
export { memoryGrowth } from './triggers/memory-growth.js';
export {
  type LatencyAboveOptions,
  type LatencyQuantile,
  latencyAbove,
} from './triggers/latency-above.js';
export { type ComplaintRateRisingOptions, complaintRateRising } from './triggers/complaint-rate-rising.js';
export { type UnreportedAboveOptions, unreportedAbove } from './triggers/unreported-above.js';
// Signals: numbers from elsewhere that triggers judge.
export type { SignalContext, SignalReading, SignalSource } from './triggers/trigger.js';
export type { SignalTiming, SignalTrigger } from './triggers/signals/signal-trigger.js';
export { type SignalFunction, type SignalOptions, signal } from './triggers/signals/signal.js';
export {
  type PrometheusOptions,
  type PrometheusTrigger,
  prometheusAbove,
  prometheusBelow,
} from './triggers/signals/prometheus.js';
// Triggers on evidence: right however often one looks.
export type { EvidenceOptions, EvidenceTrigger } from './triggers/evidence-options.js';
export type { EvidenceRequest } from './statistics/evidence-request.js';
export type { SequentialRateOptions } from './triggers/sequential-rate.js';
export { type FailureRegressionOptions, failureRegression } from './triggers/failure-regression.js';
export { type FailureRateAboveOptions, failureRateAbove } from './triggers/failure-rate-above.js';
export { type LatencyRegressionOptions, latencyRegression } from './triggers/latency-regression.js';
export { DEFAULT_ALPHA_WEIGHTS, splitAlpha } from './statistics/parameters.js';
// Stages: how far a rollout has come.
export type { Stage, StageProgress, StageStatus } from './model/stage.js';
// The guard: decides, and turns the flag off.
export { RolloutGuard } from './guard/rollout-guard.js';
export type { GuardStatus } from './guard/guard-status.js';
export type { ComplaintReport } from './guard/observe/feedback.js';
export type { RolloutGuardOptions, UnleashAdminOptions } from './guard/options.js';

export type { GuardState, OpenReview, StopFailure } from './model/state.js';
export type { GuardEvent, GuardListener } from './model/event.js';
export { asyncUploadRollout, type RolloutPreset } from './guard/async-upload-rollout.js';
// Telemetry: the same numbers elsewhere.
export type { GuardObserver } from './model/observer.js';
export { unleashImpactMetrics } from '../providers/unleash/impact-metrics.js';
// Notifications: tell people.
export type { GuardNotification, NotificationSeverity, NotificationSubject } from './notify/notification.js';
export {
  isNotifyError,
  type Notifier,
  type NotifyContext,
  NotifyError,
  type NotifyFunction,
} from './notify/notifier.js';
export { type SlackOptions, slack } from './notify/slack.js';
export { type WebhookOptions, webhook } from './notify/webhook.js';
export { verifyWebhook } from './notify/webhook-signature.js';
// What goes wrong.
export { ConfigError, type ConfigProblem, isConfigError } from './support/config-error.js';
export {
  AdminError,
  type AdminErrorCode,
  type AdminErrorDetails,
  isAdminError,
  type MissingAtUnleash,
} from './unleash/admin-error.js';
// The shapes that travel, and what may be injected.
export type * from './model/shapes.js';
export type * from './model/flags.js';
export type { Clock } from './support/clock.js';
export type { Logger } from './support/logger.js';
export { version } from './support/version.js';
