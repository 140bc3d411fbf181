import { createHmac, timingSafeEqual } from 'node:crypto';

/** The header with the time of the attempt, in whole seconds since 1970. */
export const TIMESTAMP_HEADER = 'x-rollout-guard-timestamp';
/** The header with `v1=` and the signature in hexadecimal digits. */
export const SIGNATURE_HEADER = 'x-rollout-guard-signature';

/** Header names in lower case, as Node's `IncomingMessage.headers` has them, or a `Headers`. */
export type WebhookHeaders = Headers | Readonly<Record<string, string | readonly string[] | undefined>>;

/**
 * The headers that prove a webhook's origin and age: HMAC-SHA256 (RFC 2104) over the timestamp, a full stop, and the body.
 *
 * @param now - Milliseconds since 1970.
 */
export function signatureHeaders(body: string, secret: string, now: number): Record<string, string> {
  const timestamp = String(Math.floor(now / 1_000));
  return {
    [TIMESTAMP_HEADER]: timestamp,
    [SIGNATURE_HEADER]: `v1=${signature(body, timestamp, secret).toString('hex')}`,
  };
}

/**
 * Whether a received webhook was sent by who knows the secret, a short time ago. For receivers; compares in constant time.
 *
 * @param body - The body exactly as it came, before any parsing.
 * @param secret - The secret, or several while one replaces another.
 * @param options.toleranceMs - How far the sender's clock may be off, in milliseconds. @default 300_000
 * @param options.now - Milliseconds since 1970. @default the machine's clock
 */
export function verifyWebhook(
  body: string | Uint8Array,
  headers: WebhookHeaders,
  secret: string | readonly string[],
  { toleranceMs = 300_000, now = Date.now() }: { toleranceMs?: number; now?: number } = {},
): boolean {
  const timestamp = headerOf(headers, TIMESTAMP_HEADER);
  const given = /^v1=([0-9a-f]{64})$/.exec(headerOf(headers, SIGNATURE_HEADER) ?? '')?.[1];
  if (timestamp === undefined || given === undefined || !/^\d{1,12}$/.test(timestamp)) return false;
  if (!(Math.abs(now - Number(timestamp) * 1_000) <= toleranceMs)) return false;
  const received = Buffer.from(given, 'hex');
  const secrets = typeof secret === 'string' ? [secret] : secret;
  // An empty secret is one that was forgotten: anybody could sign with it.
  return secrets.some((one) => one !== '' && timingSafeEqual(signature(body, timestamp, one), received));
}

function signature(body: string | Uint8Array, timestamp: string, secret: string): Buffer {
  return createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest();
}

function headerOf(headers: WebhookHeaders, name: string): string | undefined {
  if (headers instanceof Headers) return headers.get(name) ?? undefined;
  const value = headers[name] ?? Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
  return typeof value === 'string' ? value : value?.[0];
}
