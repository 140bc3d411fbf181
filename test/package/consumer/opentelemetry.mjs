try {
  const { openTelemetry } = await import('unleash-rollout-guard/opentelemetry');
  const exposure = { flagKey: 'async-upload', arm: 'treatment' };
  openTelemetry().outcome({ exposure, result: 'success', durationMs: 12, fallbackUsed: false });
  console.log('observes');
} catch (error) {
  console.log(error.message);
}
