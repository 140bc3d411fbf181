/**
 * The version of the service that this process is of, as its environment says: `OTEL_SERVICE_VERSION`, `service.version` in
 * `OTEL_RESOURCE_ATTRIBUTES` (OpenTelemetry's "Resource SDK", percent-encoded pairs), or `npm_package_version`, which npm sets.
 */
export function serviceVersionOf(environment: NodeJS.ProcessEnv): string | undefined {
  const named = environment.OTEL_SERVICE_VERSION || resourceVersion(environment.OTEL_RESOURCE_ATTRIBUTES);
  return named || environment.npm_package_version || undefined;
}

function resourceVersion(attributes = ''): string | undefined {
  for (const pair of attributes.split(',')) {
    const [name, ...value] = pair.split('=');
    if (name?.trim() !== 'service.version') continue;
    const text = value.join('=').trim();
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  }
  return undefined;
}
