import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { signatureHeaders, verifyWebhook } from '../../src/notify/webhook-signature.js';

const NOW = Date.UTC(2026, 2, 1, 12);
const SECRET = 'made-up-signing-secret';
const BODY = '{"title":"caf\u00e9"}';
const headers = signatureHeaders(BODY, SECRET, NOW);

describe('signatureHeaders', () => {
  it('signs timestamp, full stop and body with HMAC-SHA256', () => {
    const expected = createHmac('sha256', SECRET)
      .update(`${NOW / 1_000}.${BODY}`)
      .digest('hex');
    expect(headers).toEqual({
      'x-rollout-guard-timestamp': String(NOW / 1_000),
      'x-rollout-guard-signature': `v1=${expected}`,
    });
  });

  it('gives the signature that any other implementation gives', () => {
    // printf '1772366400.{}' | openssl dgst -sha256 -hmac made-up-signing-secret
    expect(signatureHeaders('{}', SECRET, 1_772_366_400_999)['x-rollout-guard-signature']).toBe(
      'v1=c73a339b43276a05b673eaa552ab529d2ff2c47357728405a0fbeab17ca64c02',
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
        'X-Rollout-Guard-Timestamp': headers['x-rollout-guard-timestamp'],
        'X-Rollout-Guard-Signature': [headers['x-rollout-guard-signature']!],
      },
    ],
  ])('accepts %s', (_, given) => {
    expect(verify(given)).toBe(true);
  });

  it('accepts a body of bytes', () => {
    expect(verifyWebhook(Buffer.from(BODY), headers, SECRET, { now: NOW })).toBe(true);
  });

  it('accepts the old secret beside the new one', () => {
    expect(verify(headers, NOW, ['the-new-secret', SECRET])).toBe(true);
    expect(verify(headers, NOW, ['the-new-secret'])).toBe(false);
  });

  it.each([
    [-300_000, true],
    [300_000, true],
    [300_001, false],
    [-300_001, false],
  ])('at %i ms from the timestamp says %s', (offset, expected) => {
    expect(verify(headers, NOW + offset)).toBe(expected);
  });

  it('takes another tolerance, and the machine\u2019s clock', () => {
    const fresh = signatureHeaders(BODY, SECRET, Date.now());
    expect(verifyWebhook(BODY, fresh, SECRET, { toleranceMs: 60_000 })).toBe(true);
    expect(verifyWebhook(BODY, headers, SECRET, { toleranceMs: 60_000, now: NOW + 60_001 })).toBe(false);
    expect(verifyWebhook(BODY, headers, SECRET, { toleranceMs: Number.NaN, now: NOW })).toBe(false);
  });

  const signature = headers['x-rollout-guard-signature']!;
  const timestamp = headers['x-rollout-guard-timestamp']!;
  it.each<[string, Record<string, string>]>([
    ['nothing', {}],
    ['no timestamp', { 'x-rollout-guard-signature': signature }],
    ['no signature', { 'x-rollout-guard-timestamp': timestamp }],
    ['another time', { ...headers, 'x-rollout-guard-timestamp': String(Number(timestamp) + 1) }],
    ['a time that is none', { ...headers, 'x-rollout-guard-timestamp': `${timestamp}e0` }],
    ['another version', { ...headers, 'x-rollout-guard-signature': signature.replace('v1', 'v0') }],
    ['a cut signature', { ...headers, 'x-rollout-guard-signature': signature.slice(0, -2) }],
    [
      'a wrong digit',
      { ...headers, 'x-rollout-guard-signature': signature.replace(/.$/, (d) => (d === '0' ? '1' : '0')) },
    ],
  ])('refuses %s', (_, given) => {
    expect(verify(given)).toBe(false);
  });

  it('refuses a secret that was forgotten', () => {
    expect(verify(signatureHeaders(BODY, '', NOW), NOW, '')).toBe(false);
    expect(verify(headers, NOW, [])).toBe(false);
  });
});
