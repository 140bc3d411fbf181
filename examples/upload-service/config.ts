import { tmpdir } from 'node:os';
import { z } from 'zod';

const url = z.url({ protocol: /^https?$/ });

const unleashSchema = z.object({
  /** Unleash's API, for example `https://unleash.example.com/api`. */
  UNLEASH_URL: url,
  /** Reads flags: a client (backend) token. */
  UNLEASH_CLIENT_TOKEN: z.string().min(1),
  /** Turns the flag off: a service account's or personal token that may do that in the environment. */
  UNLEASH_ADMIN_TOKEN: z.string().min(1),
  UNLEASH_PROJECT: z.string().min(1).default('default'),
  UNLEASH_ENVIRONMENT: z.string().min(1).default('production'),
});

const providerSchema = z.object({
  FILE_API: z.enum(['kimi', 'glm']).default('kimi'),
  FILE_API_KEY: z.string().min(1),
  /** Another address than the provider's public one. */
  FILE_API_URL: url.optional(),
  /** Another purpose than the usual one of the API. */
  FILE_API_PURPOSE: z.string().min(1).optional(),
  /** A second provider, for files that the first does not accept. */
  FALLBACK_FILE_API: z.enum(['kimi', 'glm']).optional(),
  FALLBACK_FILE_API_KEY: z.string().min(1).optional(),
  FALLBACK_FILE_API_URL: url.optional(),
  FALLBACK_FILE_API_PURPOSE: z.string().min(1).optional(),
});

const serviceSchema = z.object({
  HOST: z.string().min(1).default('127.0.0.1'),
  PORT: z.coerce.number().int().min(0).max(65_535).default(3000),
  MAX_FILE_BYTES: z.coerce
    .number()
    .int()
    .positive()
    .default(100 * 1024 * 1024),
  SPOOL_DIRECTORY: z.string().min(1).default(tmpdir()),
  /** Files in this folder can be uploaded by path. */
  IMPORT_DIRECTORY: z.string().min(1).optional(),
  /** Connections to the provider that the streaming path keeps open. */
  PROVIDER_CONNECTIONS: z.coerce.number().int().positive().default(16),
});

/** Where Unleash is, and the tokens for it. */
export type UnleashSettings = z.infer<typeof unleashSchema>;
/** Which file provider. */
export type ProviderSettings = z.infer<typeof providerSchema>;
/** The service's own settings. */
export type ServiceSettings = z.infer<typeof serviceSchema>;

/** A variable of the environment is missing or wrong; the message names every one, and shows no value. */
export class ConfigurationError extends Error {
  readonly code = 'CONFIGURATION';
  override readonly name = 'ConfigurationError';
}

/** Reads the service's own settings. @throws {@link ConfigurationError} */
export const serviceSettings = (env: NodeJS.ProcessEnv): ServiceSettings => read(serviceSchema, env);
/** Reads everything: the service's own settings, where Unleash is, which file provider. @throws {@link ConfigurationError} */
export const completeSettings = (
  env: NodeJS.ProcessEnv,
): ServiceSettings & UnleashSettings & ProviderSettings => read(completeSchema, env);

const completeSchema = z
  .object({ ...serviceSchema.shape, ...unleashSchema.shape, ...providerSchema.shape })
  .refine((env) => env.FALLBACK_FILE_API === undefined || env.FALLBACK_FILE_API_KEY !== undefined, {
    path: ['FALLBACK_FILE_API_KEY'],
    message: 'the fallback needs a key of its own',
  });

function read<T>(schema: z.ZodType<T>, env: NodeJS.ProcessEnv): T {
  const result = schema.safeParse(env);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new ConfigurationError(`Invalid environment variables:\n  ${problems.join('\n  ')}`);
}
