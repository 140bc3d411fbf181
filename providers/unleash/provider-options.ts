import type { Unleash, UnleashConfig } from 'unleash-client';
import { z } from 'zod';
import { parseConfig } from '../../src/support/config-error.js';
import { durationMsSchema } from '../../src/support/config-schemas.js';
import { proxyOfEnvironment } from '../../src/support/connection/connection.js';
import { type HttpOptions, httpOptionsSchema } from '../../src/support/connection/http-options.js';
import { type Logger, resolveLogger } from '../../src/support/logger.js';
import { version } from '../../src/support/version.js';
import {
  clientTokenProblem,
  clientUrlProblem,
  type TokenScope,
  tokenScope,
} from '../../src/unleash/client-api.js';

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

const nameSchema = z.string({ error: 'a name' }).refine((name) => name.trim() !== '', { error: 'a name' });
const URL_EXPECTED = "the URL of Unleash's API, for example https://unleash.example.com/api";
const urlSchema = z
  .string({ error: "the URL of Unleash's API" })
  .trim()
  .refine((url) => /^https?:\/\//i.test(url) && URL.canParse(url), { error: URL_EXPECTED, abort: true })
  .superRefine((url, context) => {
    const hint = clientUrlProblem(url);
    if (hint !== undefined) context.addIssue({ code: 'custom', message: URL_EXPECTED, params: { hint } });
  });
const intervalSchema = z
  .number({ error: 'a number of milliseconds, 0 or more' })
  .refine((ms) => ms >= 0 && Number.isFinite(ms), { error: 'a number of milliseconds, 0 or more' });
const headersSchema = z
  .record(z.string(), z.string({ error: 'text' }).min(1, { error: 'text that is not empty', abort: true }))
  .superRefine((headers, context) => {
    const [name, token] = authorizationOf(headers) ?? [];
    const hint = token === undefined ? undefined : clientTokenProblem(token);
    if (hint === undefined) return;
    context.addIssue({ code: 'custom', path: [name!], message: 'a client token', params: { hint } });
  });
/** Left to unleash-client. */
const passedOn = z.unknown().optional();

const settingsSchema = z.strictObject({
  initializationTimeoutMs: durationMsSchema.optional(),
  closeTimeoutMs: durationMsSchema.optional(),
  maxDataAgeMs: durationMsSchema.optional(),
  logger: z
    .custom<Logger | false>(
      (logger) =>
        logger === false ||
        ['debug', 'info', 'warn', 'error'].every((level) => typeof Object(logger)[level] === 'function'),
      { error: 'a logger with debug, info, warn and error, or false' },
    )
    .optional(),
} satisfies Record<keyof ProviderSettings, z.ZodType>);

/** All of unleash-client's options: one that a new version adds fails to compile here, and is not refused at run time. */
const configShape = {
  url: urlSchema,
  appName: nameSchema,
  environment: nameSchema.optional(),
  refreshInterval: intervalSchema.optional(),
  metricsInterval: intervalSchema.optional(),
  metricsJitter: intervalSchema.optional(),
  timeout: intervalSchema.optional(),
  customHeaders: headersSchema.optional(),
  instanceId: passedOn,
  projectName: passedOn,
  namePrefix: passedOn,
  disableMetrics: passedOn,
  backupPath: passedOn,
  strategies: passedOn,
  customHeadersFunction: passedOn,
  repository: passedOn,
  httpOptions: passedOn,
  tags: passedOn,
  bootstrap: passedOn,
  bootstrapOverride: passedOn,
  storageProvider: passedOn,
  disableAutoStart: passedOn,
  skipInstanceCountWarning: passedOn,
  experimentalMode: passedOn,
  sdkFlavor: passedOn,
  sdkFlavorVersion: passedOn,
} satisfies Record<keyof UnleashConfig, z.ZodType>;

const optionsSchema = z
  .strictObject({ ...configShape, ...settingsSchema.shape, http: httpOptionsSchema.optional() })
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

/** The name of the header with the token, in whatever case, and the token. */
function authorizationOf(headers: object | undefined): readonly [string, string] | undefined {
  return Object.entries(headers ?? {}).find(
    ([name, token]) => name.toLowerCase() === 'authorization' && typeof token === 'string',
  );
}

/** Which flags the token of a configuration reads; undefined when the token is not known yet, or has another form. */
export function scopeOf(customHeaders: UnleashConfig['customHeaders'] | undefined): TokenScope | undefined {
  const token = authorizationOf(customHeaders)?.[1];
  return token === undefined ? undefined : tokenScope(token);
}

/** Whether this is a client rather than the configuration of one; works across copies of unleash-client. */
export function isUnleash(source: unknown): source is Unleash {
  if (typeof source !== 'object' || source === null) return false;
  return (
    typeof Reflect.get(source, 'isEnabled') === 'function' &&
    typeof Reflect.get(source, 'getVariant') === 'function'
  );
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
function completed(config: UnleashConfig): UnleashConfig {
  // unleash-client would take white space around it for a part of the path.
  const url = config.url.trim();
  if (config.sdkFlavor !== undefined) return { ...config, url };
  return { ...config, url, sdkFlavor: 'unleash-rollout-guard', sdkFlavorVersion: version };
}
