import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { isRecord, parseConfig } from '../support/config-error.js';

/**
 * Signatures as Standard Webhooks 1.0 defines them (https://www.standardwebhooks.com): HMAC-SHA256 over
 * `<id>.<timestamp>.<body>`, in base64, after `v1,`.
 */
const HEADERS = { id: 'webhook-id', timestamp: 'webhook-timestamp', signature: 'webhook-signature' } as const;

/** Header names in any case, as Node's `IncomingMessage.headers` has them, or a `Headers`. */
export type WebhookHeaders = Headers | Readonly<Record<string, string | readonly string[] | undefined>>;

const SECRET =
  'whsec_ and 24 to 64 random bytes in base64 (make one: echo "whsec_$(openssl rand -base64 32)")';

/** A secret of Standard Webhooks. */
export const webhookSecretSchema = z
  .string({ error: SECRET })
  .refine((secret) => keyOf(secret) !== undefined, { error: SECRET });

const TOLERANCE = 'a number of milliseconds, 0 or more';

const verificationSchema = z.lazy(() =>
  z.object({
    body: z.union([z.string(), z.instanceof(Uint8Array)], {
      error: 'the raw body as it arrived, a string or bytes',
    }),
    headers: z.custom<WebhookHeaders>(isRecord, { error: "the request's headers" }),
    secret: z.union([webhookSecretSchema, z.array(webhookSecretSchema).min(1)], { error: SECRET }),
    options: z
      .strictObject({
        toleranceMs: z
          .custom<number>((value) => typeof value === 'number' && value >= 0, { error: TOLERANCE })
          .default(300_000),
        now: z.number({ error: 'milliseconds since 1970' }).optional(),
      })
      .default({ toleranceMs: 300_000 }),
  }),
);

/**
 * The headers that prove a webhook's origin and age.
 *
 * @param id - The same for every attempt to deliver one message; without full stops.
 * @param secret - `whsec_` and the key in base64.
 * @param now - Milliseconds since 1970.
 */
export function signatureHeaders(
  id: string,
  body: string,
  secret: string,
  now: number,
): Record<string, string> {
  const timestamp = String(Math.floor(now / 1_000));
  return {
    [HEADERS.id]: id,
    [HEADERS.timestamp]: timestamp,
    [HEADERS.signature]: `v1,${signature(id, timestamp, body, secret).toString('base64')}`,
  };
}

/**
 * Whether a received webhook was sent a short time ago by a sender that has the secret. For receivers; compares in
 * constant time.
 *
 * @param body - The body exactly as it arrived, before any parsing.
 * @param secret - The secret, or several while one replaces another.
 * @param options.toleranceMs - How far the sender's clock may be off, in milliseconds. @default 300_000
 * @param options.now - Milliseconds since 1970. @default the machine's clock
 * @throws {@link ConfigError} when `body`, `headers`, `secret` or an option is not what it should be; whatever the sender wrote in them
 *   gives `false`.
 */
export function verifyWebhook(
  body: string | Uint8Array,
  headers: WebhookHeaders,
  secret: string | readonly string[],
  options?: { readonly toleranceMs?: number | undefined; readonly now?: number | undefined },
): boolean {
  const args = { body, headers, secret, options };
  const { toleranceMs, now = Date.now() } = parseConfig(
    verificationSchema,
    args,
    'verifyWebhook arguments',
  ).options;
  const [id, timestamp, given] = [HEADERS.id, HEADERS.timestamp, HEADERS.signature].map((name) =>
    headerOf(headers, name),
  );
  if (!id || given === undefined || timestamp === undefined || !/^\d{1,12}$/.test(timestamp)) return false;
  if (!(Math.abs(now - Number(timestamp) * 1_000) <= toleranceMs)) return false;
  const signed = given.split(' ').filter((one) => one.startsWith('v1,'));
  const received = signed.map((one) => Buffer.from(one.slice(3), 'base64'));
  const secrets = typeof secret === 'string' ? [secret] : secret;
  return secrets.some((one) => {
    const expected = signature(id, timestamp, body, one);
    return received.some((one) => one.length === expected.length && timingSafeEqual(one, expected));
  });
}

function signature(id: string, timestamp: string, body: string | Uint8Array, secret: string): Buffer {
  return createHmac('sha256', keyOf(secret)!).update(`${id}.${timestamp}.`).update(body).digest();
}

/** The key's bytes; undefined when the text is not a secret of Standard Webhooks. */
function keyOf(secret: string): Buffer | undefined {
  const [, base64] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? [];
  const key = Buffer.from(base64 ?? '', 'base64');
  return key.length >= 24 && key.length <= 64 ? key : undefined;
}

/** Of this platform, or of another library. */
function isHeaders(headers: WebhookHeaders): headers is Headers {
  return typeof headers.get === 'function';
}

function headerOf(headers: WebhookHeaders, name: string): string | undefined {
  if (isHeaders(headers)) return headers.get(name) ?? undefined;
  const value = headers[name] ?? Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
  return typeof value === 'string' ? value : value?.[0];
}
