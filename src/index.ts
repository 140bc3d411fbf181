// The public API, in the order in which a request meets it.

// Flags: Unleash behind OpenFeature.
export {
  type ImpressionEvent,
  type ProviderSettings,
  UnleashProvider,
  type UnleashProviderOptions,
} from '../providers/unleash/provider.js';
export {
  type FlagFactsOptions,
  GuardedProvider,
  type GuardedProviderOptions,
} from '../providers/guarded/guarded-provider.js';
export type { OverridableProvider } from '../providers/shared/overridable-provider.js';
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
export { ConsumedInputError, isConsumedInputError } from './operation/consumed-input.js';
export { errorTypeOf, isCriticalError, isRetryableError } from './operation/error-type.js';
// Triggers: rules on a snapshot of outcomes.
export type { ThresholdTrigger, Trigger, TriggerOptions, VerdictOfTrigger } from './triggers/trigger.js';
export type {
  OutcomeRateOptions,
  OutcomeRateTrigger,
  RateTriggerFactory,
  SequentialRateOptions,
} from './triggers/outcome-rate.js';
export { successRateBelow } from './triggers/success-rate-below.js';
export { type SuccessRateBetweenOptions, successRateBetween } from './triggers/success-rate-between.js';
export { errorRateAbove } from './triggers/error-rate-above.js';
export { type CriticalErrorsOptions, criticalErrors } from './triggers/critical-errors.js';
export { type MemoryGrowthOptions, memoryGrowth } from './triggers/memory-growth.js';
export {
  type LatencyAboveOptions,
  type LatencyQuantile,
  latencyAbove,
} from './triggers/latency-above.js';
// Signals: numbers from elsewhere that triggers evaluate.
export type { SignalContext, SignalReading, SignalSource } from './triggers/trigger.js';
export type { SignalReadOptions, SignalTrigger } from './triggers/signals/signal-trigger.js';
export { type SignalFunction, type SignalOptions, signal } from './triggers/signals/signal.js';
export {
  type PrometheusOptions,
  type PrometheusTrigger,
  prometheusAbove,
  prometheusBelow,
} from './triggers/signals/prometheus.js';
// Triggers on evidence: right however often they are evaluated.
export type { EvidenceOptions, EvidenceTrigger } from './triggers/evidence-rule.js';
export type { EvidenceRequest } from './statistics/evidence-state.js';
export {
  complaintRateRising,
  type EventRegressionOptions,
  eventRegression,
  failureRegression,
  type RegressionEvent,
  unreportedAbove,
} from './triggers/event-regression.js';
export { type LatencyRegressionOptions, latencyRegression } from './triggers/latency-regression.js';
export {
  type ConversionMetricOptions,
  type MetricOptions,
  metric,
  type NumericMetricOptions,
  type RatioMetricOptions,
} from './triggers/metrics/metric.js';
export {
  type SampleRatioMismatchOptions,
  sampleRatioMismatch,
  type UsersInBothArmsOptions,
  usersInBothArms,
} from './triggers/sample-ratio-mismatch.js';
export { DEFAULT_ALPHA_WEIGHTS, splitAlpha } from './statistics/parameters.js';
// Stages: how far a rollout has come.
export type { Stage, StageProgress, StageStatus } from './model/stage.js';
// The guard: decides, and turns the flag off.
export { RolloutGuard } from './guard/rollout-guard.js';
export type { FleetStatus, GuardProblem, GuardState, GuardStatus } from './guard/guard-status.js';
export type { ComplaintReport, TrackContext, TrackDetails } from './guard/observe/tracked-outcomes.js';
export type { FlapLimit, RolloutGuardOptions, UnleashAdminOptions } from './guard/options/options.js';
// Several flags: a guard for each, and one of all else.
export { GuardedFlags, guardFlags } from '../hooks/guard-flags.js';
export type { FlagGuards, FlagsHealth } from './guard/flag-guards.js';
export type { FlagGuardsOptions, FlagOptions } from './guard/several/flag-options.js';
// Controls: what operators may ask of a guard.
export type { AlertAction, AlertRule, AlertsOptions } from './alerts/alert-options.js';
export type { AlertsHandler } from './alerts/alerts-handler.js';
export type { MetricsHandler } from './dashboard/metrics-handler.js';
export type { Alert, Control, ControlReply, ControlsInForce, ControlType } from './model/control.js';
export { ControlError, type ControlErrorCode, isControlError } from './guard/control/control-error.js';
export type { ControllableGuard, ControlRequest } from './guard/control/controllable-guard.js';
export type { ChangeWindow } from './guard/options/change-windows.js';
export type { Health, HealthReason } from './model/health.js';
export type { OpenReview, StopFailure } from './model/state.js';
export type { GuardEvent, GuardEventOf, GuardListener } from './model/event.js';
export { asyncUploadRollout, type RolloutPreset } from './guard/options/async-upload-rollout.js';
// The log: every outcome on disk.
export type { OutcomeLogOptions } from './log/log-options.js';
export type { ExecutionTypes } from './log/log-row.js';
// The whole rollout: by minute, ten minutes and hour.
export { mergeHistories } from './rollups/history.js';
export { readHistory } from './rollups/read-history.js';
export type {
  Annotation,
  MetricRollup,
  RolloutHistory,
  Rollup,
  RollupArm,
  TriggerRollup,
} from './rollups/rollup.js';
export type { TimeRange } from './rollups/rollup.js';
// Fleets: processes that guard a flag together; see `unleash-rollout-guard/redis`.
export type { FleetRole, FleetTiming, SharedStore, UnfedRule } from './fleet/fleet-options.js';
// Telemetry: the same numbers elsewhere.
export type { DecisionCount, GuardedFlag, GuardFigures, GuardObserver } from './model/observer.js';
export { unleashImpactMetrics } from '../providers/unleash/impact-metrics.js';
// Notifications: what operators must know.
export type { NotificationFact, NotificationSeverity } from './model/event-entry.js';
export {
  type GuardNotification,
  isNotifyError,
  type NotificationIncident,
  type NotificationSubject,
  type Notifier,
  type NotifyContext,
  NotifyError,
  type NotifyFunction,
} from './notify/notifier.js';
// Connections: proxy and certificates of all that leaves the process.
export type { HttpOptions, PemSource } from './support/connection/http-options.js';
export type { HttpNotifierOptions } from './notify/post-json.js';
export { type SlackOptions, slack } from './notify/slack.js';
export { type WebhookOptions, type WebhookPayload, webhook } from './notify/webhook.js';
export { verifyWebhook, type WebhookHeaders } from './notify/webhook-signature.js';
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
export type {
  ArmTotals,
  Assignment,
  Blame,
  Evidence,
  ExposureCounts,
  FrozenControl,
  MemorySnapshot,
  MetricArm,
  MetricFigures,
  OutcomeDetail,
  OutcomeDetails,
  QuantileEvidence,
  RecentOutcomes,
  SettledCounts,
  SignalValue,
  Snapshot,
  TrialsSince,
  WindowSnapshot,
} from './model/snapshot.js';
export type {
  Arm,
  ArmCounts,
  Attributes,
  Concentration,
  Decision,
  Evaluation,
  EvidenceShare,
  Exposure,
  Outcome,
  Result,
  Trials,
  Unit,
  Verdict,
  VerdictEvidence,
} from './model/shapes.js';
export type { Baseline, ControlReference, LatencySummary, MemoryReference } from './model/baseline.js';
export type {
  EvaluationContextLike,
  ExposureSink,
  FlagClient,
  FlagFacts,
  FlagScope,
  FlagSource,
  FlagSourceHealth,
  ProviderIdentity,
  TrackedEvent,
  Unsubscribe,
  VariantFacts,
} from './model/flags.js';
export type { Clock } from './support/clock.js';
export type { Logger } from './support/logger.js';
export { version } from './support/version.js';
