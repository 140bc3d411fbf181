import { z } from 'zod';
import { systemClock } from '../support/clock.js';
import { parseConfig } from '../support/config-error.js';
import { headersSchema, httpUrlSchema } from '../support/connection/http-schemas.js';
import type { GuardNotification, Notifier } from './notifier.js';
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
}

/** A {@link GuardNotification} as a webhook's body. */
export interface WebhookPayload extends GuardNotification {
  /** Raised when a field changes its meaning or is removed. */
  readonly version: 1;
}

/**
 * Posts every notification as JSON ({@link WebhookPayload}), signed when there is a secret; see `verifyWebhook`.
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
    notify(notification, { signal, fetch }) {
      const body = JSON.stringify({ version: 1, ...notification } satisfies WebhookPayload);
      // Each attempt is signed with its own time, or a late one would be rejected as too old.
      const signed = secret === undefined ? {} : signatureHeaders(notification.id, body, secret, clock.now());
      return postJson({
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

const optionsSchema = z.strictObject({
  webhook: z.strictObject({
    url: httpUrlSchema(),
    secret: webhookSecretSchema.optional(),
    headers: headersSchema,
    ...httpNotifierOptions,
  }),
});
