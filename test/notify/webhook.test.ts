import { afterEach, describe, expect, it } from 'vitest';
import { type GuardNotification, isNotifyError, type NotifyError } from '../../src/notify/notifier.js';
import { type WebhookOptions, webhook } from '../../src/notify/webhook.js';
import { verifyWebhook } from '../../src/notify/webhook-signature.js';
import { ConfigError } from '../../src/support/config-error.js';
import { AT, decided, notificationFor } from './events.js';
import { type Answer, startReceiver } from './receiver.js';

const SECRET = `whsec_${Buffer.from('a made-up signing secret').toString('base64')}`;
const clock = { now: () => AT, monotonic: () => 0 };
const notification = notificationFor(decided());
const signal = new AbortController().signal;

let close: (() => Promise<void>) | undefined;
afterEach(async () => {
  await close?.();
  close = undefined;
});

async function receiver(...answers: Answer[]) {
  const started = await startReceiver(...answers);
  close = started.close;
  return started;
}

const failureOf = (call: Promise<unknown>): Promise<NotifyError> =>
  call.then(
    () => expect.unreachable('the call succeeded'),
    (error: unknown) => {
      expect(isNotifyError(error)).toBe(true);
      return error as NotifyError;
    },
  );

describe('webhook', () => {
  it('takes the status of a long reply, and reads little of it', async () => {
    const { url } = await receiver({ status: 200, body: 'x'.repeat(20_000_000) });
    await webhook({ url }).notify(notification, { signal });
  });

  it('posts what a function makes of the notification, signed, and nothing where it makes nothing', async () => {
    const { url, received } = await receiver();
    const body = ({ title, severity }: GuardNotification) =>
      severity === 'critical' ? { text: title } : undefined;
    const notifier = webhook({ url, secret: SECRET, clock, body });
    await notifier.notify(notification, { signal });
    await notifier.notify({ ...notification, severity: 'info' }, { signal });
    expect(received.map((each) => JSON.parse(each.body))).toEqual([{ text: notification.title }]);
    expect(verifyWebhook(received[0]!.body, received[0]!.headers, SECRET, { now: AT })).toBe(true);
  });

  it('waits for a body that is made later', async () => {
    const { url, received } = await receiver();
    const body = async ({ title }: { title: string }) => ({ text: title });
    await webhook({ url, body }).notify(notification, { signal });
    expect(received.map((each) => JSON.parse(each.body))).toEqual([{ text: notification.title }]);
  });

  it.each<[string, () => object | Promise<object>]>([
    ['is rejected', () => Promise.reject(new Error('no body'))],
    [
      'throws',
      () => {
        throw new Error('no body');
      },
    ],
    ['returns what JSON does not have', () => ({ count: 1n })],
  ])('does not repeat an attempt whose body %s', async (_, body) => {
    const { url, received } = await receiver();
    const failure = await failureOf(webhook({ url, body }).notify(notification, { signal }));
    expect([failure.retryable, received.length]).toEqual([false, 0]);
    expect(failure.message).toMatch(/^The body could not be made: /);
  });

  it('refuses a body that is no function', () => {
    expect(() => webhook({ url: 'http://a.test', body: {} as () => object })).toThrow(
      /body: .*a function \(notification\) => object/,
    );
  });

  it('posts the notification as JSON, signed so that the receiver can verify it', async () => {
    const { url, received } = await receiver();
    await webhook({ url, secret: SECRET, clock, headers: { authorization: 'made-up' } }).notify(
      notification,
      {
        signal,
      },
    );

    const [{ headers, body }] = received as [(typeof received)[0]];
    expect(JSON.parse(body)).toEqual({ version: 1, ...notification });
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'user-agent': 'unleash-rollout-guard',
      authorization: 'made-up',
      'webhook-id': notification.id,
      'webhook-timestamp': String(AT / 1_000),
    });
    expect(verifyWebhook(body, headers, SECRET, { now: AT })).toBe(true);
    expect(verifyWebhook(`${body} `, headers, SECRET, { now: AT })).toBe(false);
  });

  it('is not signed without a secret', async () => {
    const { url, received } = await receiver();
    await webhook({ url }).notify(notification, { signal });
    expect(Object.keys(received[0]!.headers).filter((name) => name.startsWith('webhook-'))).toEqual([]);
  });

  it.each([
    { status: 400, retryable: false },
    { status: 401, retryable: false },
    { status: 302, retryable: false },
    { status: 408, retryable: true },
    { status: 429, retryable: true },
    { status: 500, retryable: true },
    { status: 503, retryable: true },
  ])('says whether $status may be retried', async ({ status, retryable }) => {
    const { url, received } = await receiver({
      status,
      headers: { location: '/elsewhere', 'retry-after': '7' },
    });
    const error = await failureOf(webhook({ url }).notify(notification, { signal }));
    expect(error).toMatchObject({
      retryable,
      retryAfterMs: 7_000,
      message: `The webhook answered ${status}.`,
    });
    expect(received).toHaveLength(1);
  });

  it('may be retried when there is no answer', async () => {
    const { url, close } = await startReceiver();
    await close();
    const error = await failureOf(webhook({ url }).notify(notification, { signal }));
    expect(error).toMatchObject({
      retryable: true,
      message: 'The webhook does not answer (ECONNREFUSED).',
    });
  });

  it('ends with its signal', async () => {
    const { url } = await receiver('hang');
    const controller = new AbortController();
    const result = webhook({ url }).notify(notification, { signal: controller.signal });
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(result).rejects.toBe(reason);
  });

  it('shows neither address nor secret in an error, whatever the receiver replies', async () => {
    const { url } = await receiver({ status: 500, body: `hush-hush ${SECRET}` });
    const error = await failureOf(webhook({ url, secret: SECRET }).notify(notification, { signal }));
    const shown = `${JSON.stringify(error)} ${error.stack}`;
    expect(shown).not.toMatch(/hush-hush|whsec_|127\.0\.0\.1/);
  });

  it.each<[string, object, string]>([
    ['no URL', {}, 'webhook.url: expected a URL'],
    ['an invalid URL', { url: 'example.com/pass-word' }, 'url: expected a URL'],
    ['another scheme', { url: 'ftp://example.com' }, 'url: expected a URL'],
    ['a password in the URL', { url: 'https://ada:pass-word@example.com' }, 'without user and password'],
    [
      'a secret of 23 bytes',
      { url: 'https://example.com', secret: `whsec_${Buffer.from('short'.padEnd(23)).toString('base64')}` },
      'webhook.secret: expected whsec_ and 24 to 64 random bytes in base64',
    ],
    [
      'a secret without its prefix',
      { url: 'https://example.com', secret: 'short-or-not-it-is-plain-text-and-no-base64' },
      'webhook.secret: expected whsec_',
    ],
    ['a broken header', { url: 'https://example.com', headers: { 'a b': 'c' } }, 'headers'],
    ['an unknown option', { url: 'https://example.com', timeout: 1 }, 'timeout'],
  ])('rejects %s', (_, options, expected) => {
    const attempt = () => webhook(options as WebhookOptions);
    expect(attempt).toThrow(ConfigError);
    expect(attempt).toThrow(expected);
    expect(attempt).not.toThrow(/pass-word|short|c2hvcnQ/);
  });
});
