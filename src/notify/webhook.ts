import { z } from 'zod';
import { type Clock, systemClock } from '../support/clock.js';
import { parseConfig } from '../support/config-error.js';
import type { GuardNotification } from './notification.js';
import type { Notifier } from './notifier.js';
import { clockSchema, fetchSchema, headersSchema, webhookUrlSchema } from './notify-schemas.js';
import { postJson } from './post-json.js';
import { signatureHeaders } from './webhook-signature.js';

/** What {@link webhook} takes. */
export interface WebhookOptions {
  /** Where notifications are posted. Treated as a secret: no log or error shows it. */
  readonly url: string;
  /** Signs every request, so that the receiver can tell it from a forged one: at least 16 characters. @default unsigned */
  readonly secret?: string | undefined;
  /** Sent with every request, for example `Authorization`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** What faults call it. @default 'webhook' */
  readonly name?: string | undefined;
  /** @default the global fetch */
  readonly fetch?: typeof fetch | undefined;
  /** @default the machine's clocks */
  readonly clock?: Clock | undefined;
}

/** A {@link GuardNotification} as a webhook's body. */
export interface WebhookPayload extends GuardNotification {
  /** Raised when a field changes its meaning or goes away. */
  readonly version: 1;
}

/**
 * Posts every notification as JSON ({@link WebhookPayload}), signed when there is a secret; see `verifyWebhook`.
 *
 * @throws {@link ConfigError} that lists every problem.
 */
export function webhook(options: WebhookOptions): Notifier {
  // Under the name `webhook` no value is shown in an error: an address may be a secret as a whole.
  const { webhook: given } = parseConfig(optionsSchema, { webhook: options }, 'options') as {
    webhook: WebhookOptions;
  };
  const { url, secret } = given;
  const name = given.name ?? 'webhook';
  const headers = given.headers ?? {};
  const fetch = given.fetch ?? globalThis.fetch;
  const clock = given.clock ?? systemClock;
  return {
    name,
    notify(notification, { signal }) {
      const payload: WebhookPayload = { version: 1, ...notification };
      const body = JSON.stringify(payload);
      // Signed anew for each attempt, or a late one would be refused as too old.
      const signed = secret === undefined ? {} : signatureHeaders(body, secret, clock.now());
      return postJson({
        receiver: 'The webhook',
        url,
        headers: { ...headers, ...signed },
        body,
        fetch,
        clock,
        signal,
      });
    },
  };
}

const optionsSchema = z.strictObject({
  webhook: z.strictObject({
    url: webhookUrlSchema,
    secret: z
      .string({ error: 'a secret of at least 16 characters' })
      .min(16, { error: 'a secret of at least 16 characters' })
      .optional(),
    headers: headersSchema,
    name: z.string().min(1).optional(),
    fetch: fetchSchema,
    clock: clockSchema,
  }),
});
