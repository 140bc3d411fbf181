import type { Unleash, UnleashConfig } from 'unleash-client';
import { z } from 'zod';
import { ConfigError, hasMethods, parseConfig } from '../../src/support/config-error.js';
import { durationMsSchema } from '../../src/support/config-schemas.js';
import { proxyOfEnvironment } from '../../src/support/connection/connection.js';
import { type HttpOptions, httpOptionsSchema } from '../../src/support/connection/http-options.js';
import { type Logger, resolveLogger } from '../../src/support/logger.js';
import { version } from '../../src/support/version.js';
import { type TokenScope, tokenScope } from '../../src/unleash/client-api.js';
import { staticContextOf } from './client/client-access.js';
import { authorizationOf, clientConfigShape } from './client-config.js';

/** The provider's own settings, beside the connection to Unleash. */
export interface ProviderSettings {
  /**
   * How long `initialize` waits for the first flag data, in milliseconds. The provider keeps trying afterwards.
   * @default 10_000
   */
  readonly initializationTimeoutMs?: number | undefined;
  /** How long `onClose` waits for the last usage metrics to be sent, in milliseconds. @default 3_000 */
  readonly closeTimeoutMs?: number | undefined;
  /**
   * Up to what age the flags count as current, in milliseconds. Older ones keep answering, with reason `STALE`.
   * @default three times `refreshInterval`, but at least 3 s more than once
   */
  readonly maxDataAgeMs?: number | undefined;
  /** A pino logger, or `false` for silence. @default pino, JSON lines on standard output */
  readonly logger?: Logger | false | undefined;
}

/** unleash-client's configuration, and the provider's own settings. */
export interface UnleashProviderOptions extends UnleashConfig, ProviderSettings {
  /**
   * How the provider connects to Unleash, in place of `httpOptions`: proxy, CA, client certificate. Guards of the provider connect
   * alike. @default `httpOptions`, or by the environment (`HTTPS_PROXY`, `NO_PROXY` and others)
   */
  readonly http?: HttpOptions | undefined;
}

/** {@link ProviderSettings}, checked and complete. */
export interface ResolvedSettings {
  readonly initializationTimeoutMs: number;
  readonly closeTimeoutMs: number;
  readonly maxDataAgeMs: number | undefined;
  readonly logger: Logger;
}

const settingsSchema = z.strictObject({
  initializationTimeoutMs: durationMsSchema.optional(),
  closeTimeoutMs: durationMsSchema.optional(),
  maxDataAgeMs: durationMsSchema.optional(),
  logger: z
    .custom<Logger | false>(
      (logger) => logger === false || hasMethods(logger, ['debug', 'info', 'warn', 'error']),
      { error: 'a logger with debug, info, warn and error, or false' },
    )
    .optional(),
} satisfies Record<keyof ProviderSettings, z.ZodType>);

const optionsSchema = z
  .strictObject({ ...clientConfigShape, ...settingsSchema.shape, http: httpOptionsSchema.optional() })
  .superRefine(({ http, httpOptions, experimentalMode }, context) => {
    const refuse = (message: string) => context.addIssue({ code: 'custom', path: ['http'], message });
    if (http === undefined) return;
    if (httpOptions !== undefined) refuse('nothing beside httpOptions');
    if (Object(experimentalMode).type === 'streaming')
      refuse("nothing beside streaming: unleash-client's stream connects directly");
  })
  .superRefine(({ environment, projectName, customHeaders }, context) => {
    const scope = scopeOf(customHeaders);
    const refuse = (option: string, expected: string) =>
      context.addIssue({
        code: 'custom',
        path: [option],
        message: `"${expected}", that of the client token`,
        params: { hint: 'Unleash sends the flags of the token, whatever this option says' },
      });
    if (scope?.environment !== undefined && environment !== undefined && environment !== scope.environment)
      refuse('environment', scope.environment);
    if (scope?.project !== undefined && typeof projectName === 'string' && projectName !== scope.project)
      refuse('projectName', scope.project);
  });

/** Which flags the token of a configuration reads; undefined when the token is not known yet, or has another form. */
export function scopeOf(customHeaders: UnleashConfig['customHeaders'] | undefined): TokenScope | undefined {
  const token = authorizationOf(customHeaders)?.[1];
  return token === undefined ? undefined : tokenScope(token);
}

/** What clients for browsers lack. */
const SERVER_METHODS = ['start', 'getFeatureToggleDefinitions', 'count', 'flushMetrics'];

/** Whether this is a client rather than the configuration of one; works across copies of unleash-client. */
export function isUnleash(source: unknown): source is Unleash {
  return typeof source === 'object' && source !== null && hasMethods(source, ['isEnabled', 'getVariant']);
}

/** The environment of the flags; undefined where neither the token nor the configuration shows it. */
export function environmentOf(source: UnleashConfig | Unleash): string | undefined {
  if (!isUnleash(source)) return scopeOf(source.customHeaders)?.environment ?? source.environment;
  const { environment } = staticContextOf(source);
  // unleash-client's own name for one that it was not given.
  return environment === 'default' ? undefined : environment;
}

/** Whether unleash-client polls nothing at all. A custom repository, and streaming, have no interval. */
export function neverFetches({ refreshInterval, repository, experimentalMode }: UnleashConfig): boolean {
  return refreshInterval === 0 && repository === undefined && experimentalMode?.type !== 'streaming';
}

/** The connection that unleash-client's own options describe. */
function ofHttpOptions(options: UnleashConfig['httpOptions']): HttpOptions | undefined {
  if (options?.agent !== undefined) return { agent: options.agent };
  const { rejectUnauthorized } = options ?? {};
  return rejectUnauthorized === undefined ? undefined : { rejectUnauthorized };
}

/**
 * Checks what a provider is made of, and separates the provider's own settings from unleash-client's configuration.
 *
 * @throws ConfigError that lists every problem, unknown options included; a header's value is never shown.
 */
export function resolveOptions(
  source: UnleashProviderOptions | Unleash,
  settings: ProviderSettings,
): {
  readonly source: UnleashConfig | Unleash;
  readonly settings: ResolvedSettings;
  readonly http: HttpOptions | undefined;
} {
  if (isUnleash(source) && !hasMethods(source, SERVER_METHODS)) {
    const [expected, got] = [
      'options, or an Unleash of unleash-client',
      'another client, such as one for browsers',
    ];
    throw new ConfigError('UnleashProvider', [{ path: '', expected, got }]);
  }
  const given = isUnleash(source) ? settings : source;
  parseConfig(isUnleash(source) ? settingsSchema : optionsSchema, given, 'UnleashProvider');
  const { initializationTimeoutMs, closeTimeoutMs, maxDataAgeMs, logger, http, ...config } =
    given as UnleashProviderOptions;
  const resolvedLogger = resolveLogger(logger);
  if (!isUnleash(source) && streamsPastProxy(config as UnleashConfig)) {
    resolvedLogger.warn(
      {},
      "unleash-client's stream connects directly: neither the proxy of the environment nor httpOptions apply to it. Where Unleash is " +
        'reached through a proxy only, leave out experimentalMode: flags are then polled through the proxy',
    );
  }
  return {
    http: http ?? ofHttpOptions(config.httpOptions),
    source: isUnleash(source) ? source : completed(config as UnleashConfig),
    settings: {
      initializationTimeoutMs: initializationTimeoutMs ?? 10_000,
      closeTimeoutMs: closeTimeoutMs ?? 3_000,
      maxDataAgeMs,
      logger: resolvedLogger,
    },
  };
}

function streamsPastProxy({ url, experimentalMode, httpOptions }: UnleashConfig): boolean {
  const isStreaming = Object(experimentalMode).type === 'streaming';
  return isStreaming && (httpOptions !== undefined || proxyOfEnvironment(url) !== '');
}

/** As unleash-client is to have it: Unleash's UI shows which SDKs are connected. */
function completed({ backupPath, ...config }: UnleashConfig): UnleashConfig {
  const sdk = config.sdkFlavor === undefined && {
    sdkFlavor: 'unleash-rollout-guard',
    sdkFlavorVersion: version,
  };
  // unleash-client would take white space around the URL for a part of the path, and fail at an empty folder.
  return { ...config, ...sdk, url: config.url.trim(), ...(backupPath && { backupPath }) };
}
