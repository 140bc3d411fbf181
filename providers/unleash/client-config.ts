import type { UnleashConfig } from 'unleash-client';
import { z } from 'zod';
import { hasMethods, isRecord } from '../../src/support/config-error.js';
import { clientTokenProblem, clientUrlProblem } from '../../src/unleash/client-api.js';

const nameSchema = z.string({ error: 'a name' }).refine((name) => name.trim() !== '', { error: 'a name' });
const URL_EXPECTED = "the URL of Unleash's API, for example https://unleash.example.com/api";
const urlSchema = z
  .string({ error: "the URL of Unleash's API" })
  .trim()
  .refine((url) => /^https?:\/\/(?![/\\])/i.test(url) && URL.canParse(url), {
    error: URL_EXPECTED,
    abort: true,
  })
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
/** An empty text is what an empty variable of the environment gives: unleash-client takes it for none. */
const textSchema = z.string({ error: 'text' }).optional();
const switchSchema = z.boolean({ error: 'true or false' }).optional();

/** A value that is left to unleash-client, which would ignore one of another form, or fail long afterwards. */
function like(expected: string, isLike: (value: unknown) => boolean) {
  return z.custom(isLike, { error: expected }).optional();
}

const having =
  (...methods: readonly string[]) =>
  (value: unknown): boolean =>
    hasMethods(value, methods);

const BOOTSTRAPS = ['url', 'filePath', 'data', 'bootstrapProvider'];

function isBootstrap(value: unknown): boolean {
  if (!isRecord(value) || !BOOTSTRAPS.some((name) => name in value)) return false;
  return value.data === undefined || Array.isArray(value.data);
}

function isMode(value: unknown): boolean {
  const { type, format = 'full' } = Object(value);
  return type === 'streaming' || (type === 'polling' && (format === 'full' || format === 'delta'));
}

/** unleash-client's options. One that a new version adds fails to compile here. */
export const clientConfigShape = {
  url: urlSchema,
  appName: nameSchema,
  environment: nameSchema.optional(),
  refreshInterval: intervalSchema.optional(),
  metricsInterval: intervalSchema.optional(),
  metricsJitter: intervalSchema.optional(),
  timeout: intervalSchema.optional(),
  customHeaders: headersSchema.optional(),
  instanceId: textSchema,
  projectName: textSchema,
  namePrefix: textSchema,
  disableMetrics: switchSchema,
  backupPath: textSchema,
  strategies: like('an array of strategies', Array.isArray),
  customHeadersFunction: like('a function', (value) => typeof value === 'function'),
  repository: like(
    'a repository with start, stop, getToggle and on',
    having('start', 'stop', 'getToggle', 'on'),
  ),
  httpOptions: like('an object', isRecord),
  tags: like('an array of { name, value }', Array.isArray),
  bootstrap: like(
    'an object with url, filePath, bootstrapProvider, or data: the array "features" of what the client API of Unleash answers',
    isBootstrap,
  ),
  bootstrapOverride: switchSchema,
  storageProvider: like('a storage provider with get and set', having('get', 'set')),
  disableAutoStart: switchSchema,
  skipInstanceCountWarning: switchSchema,
  experimentalMode: like("{ type: 'streaming' }, or { type: 'polling', format: 'full' } or 'delta'", isMode),
  sdkFlavor: textSchema,
  sdkFlavorVersion: textSchema,
} satisfies Record<keyof UnleashConfig, z.ZodType>;

/** The name of the header with the token, in whatever case, and the token. */
export function authorizationOf(headers: object | undefined): readonly [string, string] | undefined {
  return Object.entries(headers ?? {}).find(
    ([name, token]) => name.toLowerCase() === 'authorization' && typeof token === 'string',
  );
}
