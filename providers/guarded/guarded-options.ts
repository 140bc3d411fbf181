import { z } from 'zod';
import { hasMethods, parseConfig } from '../../src/support/config-error.js';
import { durationMsSchema } from '../../src/support/config-schemas.js';
import { type HttpOptions, httpOptionsSchema } from '../../src/support/connection/http-options.js';
import { httpUrlSchema } from '../../src/support/connection/http-schemas.js';
import { type Logger, resolveLogger } from '../../src/support/logger.js';
import { adminTokenProblem, baseUrlOf, unleashUrlProblem } from '../../src/unleash/admin-access.js';
import { type TokenScope, tokenScope } from '../../src/unleash/client-api.js';
import { tokenFormProblem } from '../../src/unleash/token-form.js';

/** From where a {@link GuardedProvider} reads how its flags roll out; the guard's own `unleash` fits. */
export interface FlagFactsOptions {
  /** Unleash's address, with or without `/api` at its end. */
  readonly url: string;
  /**
   * A client token, with which one request reads all flags, or a token for the admin API: then one request reads one guarded
   * flag.
   */
  readonly token: string;
  /** The environment of the flags. @default that of a client token; required for a token for the admin API */
  readonly environment?: string | undefined;
  /** The project of the flags. @default that of a client token, else `default` */
  readonly project?: string | undefined;
  /** How often the definitions are polled, in milliseconds. @default 15_000 */
  readonly refreshIntervalMs?: number | undefined;
  /** Time for one request, in milliseconds. @default 5_000 */
  readonly timeoutMs?: number | undefined;
  /** What constraints on `appName` see. @default 'unleash-rollout-guard' */
  readonly appName?: string | undefined;
  /** Of no use here: the guard's option. */
  readonly reportUrl?: string | undefined;
}

/** Options of {@link GuardedProvider}. */
export interface GuardedProviderOptions {
  /** The Unleash in which the guarded flags are: its address, the admin token, the project and the environment. */
  readonly unleash: FlagFactsOptions;
  /**
   * How long `initialize` waits for Unleash when the wrapped provider is ready, in milliseconds. Evaluations need no answer
   * of Unleash. @default 1_000
   */
  readonly initializationTimeoutMs?: number | undefined;
  /**
   * How Unleash is reached: proxy, CA, client certificate. The guards of the provider connect alike; the wrapped provider has options of
   * its own. @default by the environment (`HTTPS_PROXY`, `NO_PROXY` and others)
   */
  readonly http?: HttpOptions | undefined;
  /** A pino logger, or `false` for silence. @default pino, JSON lines on standard output */
  readonly logger?: Logger | false | undefined;
}

/** {@link GuardedProviderOptions}, checked and complete. */
export interface ResolvedGuardedOptions {
  /** Ends in `/api`. */
  readonly apiUrl: string;
  readonly token: string;
  readonly api: 'client' | 'admin';
  readonly scope: TokenScope;
  readonly refreshIntervalMs: number;
  readonly timeoutMs: number;
  readonly appName: string;
  readonly initializationTimeoutMs: number;
  readonly http: HttpOptions | undefined;
  readonly logger: Logger;
}

const nameSchema = z.string({ error: 'a name' }).refine((name) => name.trim() !== '', { error: 'a name' });

const TOKEN = 'a client token, or a token for the admin API';

const unleashSchema = z.lazy(() =>
  z
    .strictObject({
      url: httpUrlSchema('the URL of Unleash, for example https://unleash.example.com/api').superRefine(
        (url, context) => {
          const hint = unleashUrlProblem(url);
          if (hint !== undefined)
            context.addIssue({ code: 'custom', message: 'the URL of Unleash', params: { hint } });
        },
      ),
      token: z.string({ error: TOKEN }),
      environment: nameSchema.optional(),
      project: nameSchema.optional(),
      refreshIntervalMs: durationMsSchema.optional(),
      timeoutMs: durationMsSchema.optional(),
      appName: nameSchema.optional(),
      reportUrl: z.unknown().optional(),
    } satisfies Record<keyof FlagFactsOptions, z.ZodType>)
    .superRefine(({ token, environment, project }, context) => {
      const refuse = (path: string, message: string, hint?: string) =>
        context.addIssue({ code: 'custom', path: [path], message, ...(hint && { params: { hint } }) });
      const scope = tokenScope(token);
      const form =
        tokenFormProblem(token, TOKEN) ?? (scope === undefined ? adminTokenProblem(token) : undefined);
      if (form !== undefined) {
        refuse('token', TOKEN, form);
        return;
      }
      if (scope === undefined) {
        if (environment === undefined)
          refuse('environment', 'the environment of the flags, which an admin token does not name');
        return;
      }
      const hint = 'Unleash sends the flags of the token, whatever this option says';
      if (environment !== undefined && environment !== scope.environment)
        refuse('environment', `"${scope.environment}", that of the client token`, hint);
      if (project !== undefined && scope.project !== undefined && project !== scope.project)
        refuse('project', `"${scope.project}", that of the client token`, hint);
    }),
);

const providerSchema = z
  .custom<object>(
    (provider) =>
      typeof Object(provider).metadata?.name === 'string' &&
      hasMethods(
        provider,
        ['Boolean', 'String', 'Number', 'Object'].map((type) => `resolve${type}Evaluation`),
      ),
    { error: 'an OpenFeature provider for servers', abort: true },
  )
  .refine(
    ({ events }: { readonly events?: unknown }) =>
      events === undefined || hasMethods(events, ['addHandler', 'removeHandler']),
    { error: 'an OpenFeature provider whose events are an OpenFeatureEventEmitter, or which has none' },
  );

const schema = z.lazy(() =>
  z.object({
    provider: providerSchema,
    options: z.strictObject({
      unleash: unleashSchema,
      initializationTimeoutMs: durationMsSchema.optional(),
      http: httpOptionsSchema.optional(),
      logger: z.unknown().optional(),
    } satisfies Record<keyof GuardedProviderOptions, z.ZodType>),
  }),
);

/**
 * Checks what a guarded provider is made of.
 *
 * @throws ConfigError that lists every problem; a token is never shown.
 */
export function resolveGuardedOptions(
  provider: unknown,
  options: GuardedProviderOptions,
): ResolvedGuardedOptions {
  parseConfig(schema, { provider, options }, 'GuardedProvider');
  const { unleash, initializationTimeoutMs, http, logger } = options;
  const { url, token, environment, project, refreshIntervalMs, timeoutMs, appName } = unleash;
  const scope = tokenScope(token);
  return {
    apiUrl: `${baseUrlOf(url)}/api`,
    token,
    api: scope === undefined ? 'admin' : 'client',
    scope: {
      project: project ?? (scope === undefined ? 'default' : scope.project),
      environment: environment ?? scope?.environment,
    },
    refreshIntervalMs: refreshIntervalMs ?? 15_000,
    timeoutMs: timeoutMs ?? 5_000,
    appName: appName ?? 'unleash-rollout-guard',
    initializationTimeoutMs: initializationTimeoutMs ?? 1_000,
    http,
    logger: resolveLogger(logger),
  };
}
