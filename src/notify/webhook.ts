import { z } from 'zod';
import { messageOf } from '../support/async/callbacks.js';
import { systemClock } from '../support/clock.js';
import { parseConfig } from '../support/config-error.js';
import { headersSchema, httpUrlSchema } from '../support/connection/http-schemas.js';
import { type GuardNotification, type Notifier, NotifyError } from './notifier.js';
import { type HttpNotifierOptions, httpNotifierOptions, notifierFetch, postJson } from './post-json.js';
import { signatureHeaders, webhookSecretSchema } from './webhook-signature.js';

/** Options of {@link webhook}. */
export interface WebhookOptions extends HttpNotifierOptions {
  /** Where notifications are posted. Treated as a secret: no log or error shows it. */
  readonly url: string;
  /**
   * Signs every request as Standard Webhooks defines it, so that the receiver can reject forged ones: `whsec_` and 24 to 64
   * random bytes in base64. @default unsigned
   */
  readonly secret?: string | undefined;
  /** Sent with every request, for example `Authorization`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /**
   * What is posted of a notification, as JSON, for a receiver that has a format of its own; undefined to post nothing.
   * @default a {@link WebhookPayload}
   */
  readonly body?:
    | ((notification: GuardNotification) => object | undefined | Promise<object | undefined>)
    | undefined;
}

/** A {@link GuardNotification} as a webhook's body. */
export interface WebhookPayload extends GuardNotification {
  /** Raised when a field changes its meaning or is removed. */
  readonly version: 1;
}

/**
 * Posts every notification as JSON ({@link WebhookPayload}, or what `body` makes of it), signed when there is a secret; see
 * `verifyWebhook`.
 *
 * @throws {@link ConfigError} that lists every problem.
 */
export function webhook(options: WebhookOptions): Notifier {
  // Under the name `webhook` no value is shown in an error: an address may be a secret as a whole.
  const { webhook: given } = parseConfig(optionsSchema, { webhook: options }, 'options');
  const { url, secret, headers, name = 'webhook', clock = systemClock } = given;
  const fetchFor = notifierFetch(given);
  return {
    name,
    async notify(notification, { signal, fetch }) {
      const body = await bodyOf(notification, given.body);
      if (body === undefined) return;
      // Each attempt is signed with its own time, or a late one would be rejected as too old.
      const signed = secret === undefined ? {} : signatureHeaders(notification.id, body, secret, clock.now());
      await postJson({
        receiver: 'The webhook',
        url,
        headers: { ...headers, ...signed },
        body,
        fetch: fetchFor(fetch),
        clock,
        signal,
      });
    },
  };
}

/** @throws {@link NotifyError} when it cannot be made: the next attempt would fail alike. */
async function bodyOf(
  notification: GuardNotification,
  make: WebhookOptions['body'] = (given): WebhookPayload => ({ version: 1, ...given }),
): Promise<string | undefined> {
  try {
    return JSON.stringify(await make(notification));
  } catch (error) {
    throw new NotifyError(`The body could not be made: ${messageOf(error)}`, { retryable: false });
  }
}

const optionsSchema = z.strictObject({
  webhook: z.strictObject({
    url: httpUrlSchema(),
    secret: webhookSecretSchema.optional(),
    headers: headersSchema,
    body: z
      .custom<NonNullable<WebhookOptions['body']>>((value) => typeof value === 'function', {
        error: 'a function (notification) => object',
      })
      .optional(),
    ...httpNotifierOptions,
  }),
});
