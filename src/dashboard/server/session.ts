import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** How long an operator who gave the token is known, in milliseconds. */
const SESSION_MS = 12 * 3_600_000;

/** What a reader's cookie says. */
interface Session {
  /** Random; what a control is confirmed with follows from it. */
  readonly nonce: string;
  /** The token that was given when it began; undefined: none. */
  readonly token: string | undefined;
}

/** The name of the cookie: dashboards on other ports of one machine have others, because cookies know no ports. */
function cookieName(tokens: readonly string[]): string {
  const digest = createHash('sha256').update(tokens.join('\n')).digest('hex');
  return tokens.length === 0 ? 'rollout_guard' : `rollout_guard_${digest.slice(0, 8)}`;
}

/** Whether two secrets are equal, in a time that does not depend on where they differ. */
export function isSameSecret(given: string, secret: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(secret));
}

/** The value of the cookie of a new session. No process must remember it: any that knows the token can check it. */
export function newSession(token: string | undefined, now: number): string {
  const stem = `${now.toString(36)}.${randomBytes(24).toString('base64url')}`;
  return `${stem}.${signatureOf(stem, token)}`;
}

/** The session of a request; undefined without one, or when it is over or forged. */
export function sessionOf(
  request: IncomingMessage,
  tokens: readonly string[],
  now: number,
): Session | undefined {
  const value = cookieOf(request, cookieName(tokens));
  const [begun = '', nonce = '', signature = ''] = value?.split('.') ?? [];
  const at = Number.parseInt(begun, 36);
  // A clock may be a little behind that of the process that began it.
  if (!(now - at < SESSION_MS && at - now < 60_000) || nonce.length !== 32) return undefined;
  for (const token of [...tokens, undefined]) {
    if (isSameSecret(signature, signatureOf(`${begun}.${nonce}`, token))) return { nonce, token };
  }
  return undefined;
}

/** What the page sends back with each control: no other page can know it. */
export function csrfTokenOf({ nonce }: Session): string {
  return createHmac('sha256', nonce).update('csrf').digest('base64url');
}

/** The header that sets the cookie. Its path is, by default, that of the request as the browser sees it. */
export function setCookie(request: IncomingMessage, tokens: readonly string[], value: string): string {
  const isSecure =
    'encrypted' in request.socket || request.headers['x-forwarded-proto'] === 'https' ? '; Secure' : '';
  return `${cookieName(tokens)}=${value}; HttpOnly; SameSite=Strict; Max-Age=${SESSION_MS / 1_000}${isSecure}`;
}

function signatureOf(stem: string, token: string | undefined): string {
  return createHmac('sha256', token ?? 'no token')
    .update(stem)
    .digest('base64url');
}

function cookieOf({ headers }: IncomingMessage, wanted: string): string | undefined {
  for (const each of headers.cookie?.split(';') ?? []) {
    const [name, value] = each.trim().split('=');
    if (name === wanted) return value;
  }
  return undefined;
}
