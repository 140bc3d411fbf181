import { z } from 'zod';
import type { NotificationSeverity } from '../model/event-entry.js';
import { parseConfig } from '../support/config-error.js';
import { httpUrlSchema } from '../support/connection/http-schemas.js';
import type { GuardNotification, Notifier } from './notifier.js';
import { type HttpNotifierOptions, httpNotifierOptions, notifierFetch, postJson } from './post-json.js';

/** Options of {@link slack}. */
export interface SlackOptions extends HttpNotifierOptions {
  /** The incoming webhook's URL. Anyone who has it can post, so it is a secret: no log or error shows it. */
  readonly webhookUrl: string;
}

/**
 * Posts every notification to a Slack channel through an incoming webhook.
 *
 * @throws {@link ConfigError} that lists every problem.
 */
export function slack(options: SlackOptions): Notifier {
  const { webhookUrl, name = 'slack', clock, ...own } = parseConfig(slackSchema, options, 'slack options');
  const fetchFor = notifierFetch(own);
  return {
    name,
    notify: (notification, { signal, fetch }) =>
      postJson({
        receiver: 'Slack',
        url: webhookUrl,
        body: JSON.stringify(slackMessage(notification)),
        fetch: fetchFor(fetch),
        clock,
        signal,
        quote: errorCode,
      }),
  };
}

const slackSchema = z.strictObject({ webhookUrl: httpUrlSchema(), ...httpNotifierOptions });

/** Slack explains a refusal with a code such as `no_service`; anything else is not Slack's. */
function errorCode(body: string): string | undefined {
  return /^[a-z_]{1,50}$/.exec(body.trim())?.[0];
}

const SIGNS: Readonly<Record<NotificationSeverity, string>> = { critical: '🛑', warning: '⚠️', info: 'ℹ️' };

// Slack refuses a message with more fields or longer texts: https://docs.slack.dev/reference/block-kit/blocks
const MAX_FIELDS = 10;
const MAX_HEADER = 150;
const MAX_SECTION = 3_000;
const MAX_FIELD = 2_000;

/** A notification as blocks of Slack's Block Kit; `text` is what phones show, and clients without blocks. */
export function slackMessage(notification: GuardNotification): object {
  const { severity, title, message, facts, flagKey, project, environment, time } = notification;
  const { flagUrl, dashboardUrl } = notification;
  const inDashboard = dashboardUrl === undefined ? '' : ` · <${escaped(dashboardUrl)}|Open the dashboard>`;
  const fields = [
    { name: 'Flag', value: flagKey },
    { name: 'Project', value: project },
    { name: 'Environment', value: environment },
    ...facts,
  ].slice(0, MAX_FIELDS);
  return {
    text: cut(escaped(`${SIGNS[severity]} ${title}: ${message}`), MAX_SECTION),
    unfurl_links: false,
    blocks: [
      {
        type: 'header',
        text: { type: 'plain_text', text: cut(`${SIGNS[severity]} ${title}`, MAX_HEADER), emoji: true },
      },
      { type: 'section', text: markdown(cut(escaped(message), MAX_SECTION)) },
      {
        type: 'section',
        fields: fields.map(({ name, value }) =>
          markdown(cut(`*${escaped(name)}*\n${escaped(value)}`, MAX_FIELD)),
        ),
      },
      {
        type: 'context',
        elements: [markdown(`<${escaped(flagUrl)}|Open in Unleash>${inDashboard} · ${time}`)],
      },
    ],
  };
}

/** `verbatim`: names and addresses stay as they are, and no Slack user is mentioned by accident. */
function markdown(text: string): object {
  return { type: 'mrkdwn', text, verbatim: true };
}

/** Slack's three control characters. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Shortens escaped text, and splits neither an escape nor a character. */
function cut(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  return `${text.slice(0, maxLength - 1).replace(/(&[a-z]{0,3}|[\uD800-\uDBFF])$/, '')}…`;
}
