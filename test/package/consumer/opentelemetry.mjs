try {
  const { openTelemetry } = await import('unleash-rollout-guard/opentelemetry');
  const exposure = { flagKey: 'async-upload', arm: 'treatment' };
  const flag = { flagKey: 'async-upload', project: 'default', environment: 'production' };
  openTelemetry().outcome({ exposure, result: 'success', durationMs: 12, fallbackUsed: false }, flag);
  console.log('observes');
} catch (error) {
  console.log(error.message);
}
