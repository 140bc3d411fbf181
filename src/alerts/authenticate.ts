import { createHmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isSameSecret } from '../dashboard/server/session.js';
import { verifyWebhook } from '../notify/webhook-signature.js';

/** https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/ */
const GRAFANA = {
  signature: 'x-grafana-alerting-signature',
  timestamp: 'x-grafana-alerting-timestamp',
} as const;
/** How far a sender's clock may be off, in milliseconds. */
const TOLERANCE_MS = 300_000;

/** Whether a request brings the token. In constant time. */
export function hasToken({ authorization }: IncomingHttpHeaders, token: string): boolean {
  const given = /^bearer\s+(.+)$/i.exec(authorization ?? '')?.[1]?.trim();
  return given !== undefined && isSameSecret(given, token);
}

/** Whether a request says that it is signed. */
export function isSigned(headers: IncomingHttpHeaders): boolean {
  return headers['webhook-signature'] !== undefined || headers[GRAFANA.signature] !== undefined;
}

/** Whether the body was signed with the secret, and lately if the signature says when. In constant time. */
export function hasSignature(
  headers: IncomingHttpHeaders,
  body: Buffer,
  secret: string,
  now: number,
): boolean {
  if (headers['webhook-signature'] !== undefined) {
    return secret.startsWith('whsec_') && verifyWebhook(body, headers, secret, { now });
  }
  const { [GRAFANA.signature]: given, [GRAFANA.timestamp]: timestamp } = headers;
  if (typeof given !== 'string') return false;
  const hmac = createHmac('sha256', secret);
  if (typeof timestamp === 'string') {
    if (!(Math.abs(now - Number(timestamp) * 1_000) <= TOLERANCE_MS)) return false;
    hmac.update(`${timestamp}:`);
  }
  return isSameSecret(given.toLowerCase(), hmac.update(body).digest('hex'));
}
