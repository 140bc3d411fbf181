import { createHmac, timingSafeEqual } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { signatureHeaders, verifyWebhook } from '../../src/notify/webhook-signature.js';
import { ConfigError } from '../../src/support/config-error.js';

const NOW = Date.UTC(2026, 2, 1, 12);
const secretOf = (text: string) => `whsec_${Buffer.from(text).toString('base64')}`;
const SECRET = secretOf('a made-up signing secret of 32 b');
const OTHER = secretOf('another made-up secret of 33 byte');
const BODY = '{"title":"caf\u00e9"}';
const ID = 'async-upload:decided:d-1:1772366400000';
const headers = signatureHeaders(ID, BODY, SECRET, NOW);

/**
 * A receiver that knows Standard Webhooks and nothing of this package, written from its specification: "Signature scheme" and
 * "Verifying signatures" of spec/standard-webhooks.md.
 */
function receives(body: string, received: Record<string, string>, secret: string, nowS: number): boolean {
  const id = received['webhook-id'];
  const timestamp = received['webhook-timestamp'];
  const signatures = received['webhook-signature'];
  if (id === undefined || timestamp === undefined || signatures === undefined) return false;
  if (Math.abs(nowS - Number.parseInt(timestamp, 10)) > 5 * 60) return false;
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const expected = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest();
  return signatures.split(' ').some((versioned) => {
    const [version, signature = ''] = versioned.split(',');
    const bytes = Buffer.from(signature, 'base64');
    return version === 'v1' && bytes.length === expected.length && timingSafeEqual(bytes, expected);
  });
}

describe('signatureHeaders', () => {
  it('are accepted by an independent receiver of Standard Webhooks', () => {
    expect(receives(BODY, headers, SECRET, NOW / 1_000)).toBe(true);
    expect(receives(`${BODY} `, headers, SECRET, NOW / 1_000)).toBe(false);
    expect(receives(BODY, headers, OTHER, NOW / 1_000)).toBe(false);
  });

  it('contain id, seconds since 1970 and one versioned signature', () => {
    expect(headers).toEqual({
      'webhook-id': ID,
      'webhook-timestamp': String(NOW / 1_000),
      'webhook-signature': expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}=$/),
    });
  });

  it('give the signature that any other implementation gives', () => {
    // printf 'msg_1.1772366400.{}' | openssl dgst -sha256 -hmac 'a made-up signing secret of 32 b' -binary | base64
    expect(signatureHeaders('msg_1', '{}', SECRET, 1_772_366_400_999)['webhook-signature']).toBe(
      'v1,aYqP/hnv2tcygCnRLBJJk8axZEQtVdLI/YW6rvg5gd8=',
    );
  });
});

describe('verifyWebhook', () => {
  const verify = (
    given: Parameters<typeof verifyWebhook>[1],
    now = NOW,
    secret: string | string[] = SECRET,
  ) => verifyWebhook(BODY, given, secret, { now });

  it.each<[string, Parameters<typeof verifyWebhook>[1]]>([
    ["Node's headers", headers],
    ['Headers', new Headers(headers)],
    [
      'headers as they are written',
      {
        'Webhook-Id': headers['webhook-id'],
        'Webhook-Timestamp': headers['webhook-timestamp'],
        'Webhook-Signature': [headers['webhook-signature']!],
      },
    ],
  ])('accepts %s', (_, given) => {
    expect(verify(given)).toBe(true);
  });

  it('accepts a body of bytes', () => {
    expect(verifyWebhook(Buffer.from(BODY), headers, SECRET, { now: NOW })).toBe(true);
  });

  it('accepts the old secret beside the new one', () => {
    expect(verify(headers, NOW, [OTHER, SECRET])).toBe(true);
    expect(verify(headers, NOW, [OTHER])).toBe(false);
  });

  it('accepts one valid signature among several, also beside unknown versions', () => {
    const signature = headers['webhook-signature']!;
    const wrong = signatureHeaders(ID, BODY, OTHER, NOW)['webhook-signature']!;
    expect(verify({ ...headers, 'webhook-signature': `v1a,xyz ${wrong} ${signature}` })).toBe(true);
    expect(verify({ ...headers, 'webhook-signature': `v1a,xyz ${wrong}` })).toBe(false);
  });

  it.each([
    [-300_000, true],
    [300_000, true],
    [300_001, false],
    [-300_001, false],
  ])('at %i ms from the timestamp says %s', (offset, expected) => {
    expect(verify(headers, NOW + offset)).toBe(expected);
  });

  it('accepts another tolerance, and uses the machine\u2019s clock', () => {
    const fresh = signatureHeaders(ID, BODY, SECRET, Date.now());
    expect(verifyWebhook(BODY, fresh, SECRET, { toleranceMs: 60_000 })).toBe(true);
    expect(verifyWebhook(BODY, headers, SECRET, { toleranceMs: 60_000, now: NOW + 60_001 })).toBe(false);
  });

  it.each([{ toleranceMs: Number.NaN }, { toleranceMs: -1 }, { now: Number.NaN }, { tolerance: 1 }])(
    'refuses the options %j',
    (options) => {
      expect(() => verifyWebhook(BODY, headers, SECRET, options as object)).toThrow(
        /Invalid verifyWebhook arguments: options\./,
      );
    },
  );

  it("reads another library's headers", () => {
    const others = new Map(Object.entries(headers)) as unknown as Headers;
    expect(verifyWebhook(BODY, others, SECRET, { now: NOW })).toBe(true);
  });

  const signature = headers['webhook-signature']!;
  const timestamp = headers['webhook-timestamp']!;
  it.each<[string, Record<string, string>]>([
    ['nothing', {}],
    ['no id', { 'webhook-timestamp': timestamp, 'webhook-signature': signature }],
    ['no timestamp', { 'webhook-id': ID, 'webhook-signature': signature }],
    ['no signature', { 'webhook-id': ID, 'webhook-timestamp': timestamp }],
    ['another id', { ...headers, 'webhook-id': `${ID}1` }],
    ['another time', { ...headers, 'webhook-timestamp': String(Number(timestamp) + 1) }],
    ['an invalid time', { ...headers, 'webhook-timestamp': `${timestamp}e0` }],
    ['another version', { ...headers, 'webhook-signature': signature.replace('v1', 'v0') }],
    ['a cut signature', { ...headers, 'webhook-signature': signature.slice(0, -4) }],
    [
      'a wrong character',
      { ...headers, 'webhook-signature': signature.replace(/,./, (d) => (d === ',A' ? ',B' : ',A')) },
    ],
  ])('rejects %s', (_, given) => {
    expect(verify(given)).toBe(false);
  });

  it.each<[string, unknown[], RegExp]>([
    ['a secret that was forgotten', [BODY, headers, undefined], /secret: expected whsec_.*got nothing/],
    ['an empty secret', [BODY, headers, ''], /secret: expected whsec_.*got an empty string/],
    ['no secrets', [BODY, headers, []], /secret: /],
    ['a secret that is too short', [BODY, headers, [secretOf('short')]], /secret\[0\]: expected whsec_/],
    ['headers that were forgotten', [BODY, undefined, SECRET], /headers: expected the request's headers/],
    ['a body that was parsed already', [{ title: 'x' }, headers, SECRET], /body: expected the raw body/],
    ['nothing but a body', [BODY, undefined], /headers: .*\n.*secret: /],
  ])('throws a ConfigError for %s, without showing a secret', (_, given, expected) => {
    const call = () => verifyWebhook(...(given as Parameters<typeof verifyWebhook>));
    expect(call).toThrow(ConfigError);
    expect(call).toThrow(expected);
    expect(call).not.toThrow(secretOf('short'));
  });
});
