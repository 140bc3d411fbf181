import { afterEach, describe, expect, it } from 'vitest';
import { slack, slackMessage } from '../../src/notify/slack.js';
import { ConfigError } from '../../src/support/config-error.js';
import { decided, notificationFor } from './events.js';
import { type Answer, startReceiver } from './receiver.js';

const notification = notificationFor(decided());
const signal = new AbortController().signal;

let close: (() => Promise<void>) | undefined;
afterEach(async () => {
  await close?.();
  close = undefined;
});

async function channel(answer: Answer) {
  const started = await startReceiver(answer);
  close = started.close;
  return started;
}

interface Text {
  readonly type: string;
  readonly text: string;
}

interface Message {
  readonly text: string;
  readonly blocks: readonly { type: string; text?: Text; fields?: Text[]; elements?: Text[] }[];
}

const messageOf = (given: Partial<typeof notification>) =>
  slackMessage({ ...notification, ...given }) as Message;

describe('slackMessage', () => {
  it('has a text for phones, and blocks', () => {
    const { text, blocks } = messageOf({});
    expect(text).toContain('async-upload is being turned off');
    expect(blocks.map(({ type }) => type)).toEqual(['header', 'section', 'section', 'context']);
    expect(blocks[1]!.text).toMatchObject({ type: 'mrkdwn', text: notification.message });
    expect(blocks[2]!.fields!.map(({ text }) => text)).toEqual([
      '*Flag*\nasync-upload',
      '*Project*\ndefault',
      '*Environment*\nproduction',
      '*Rollout*\n10 %',
    ]);
    expect(blocks[3]!.elements![0]!.text).toContain(`<${notification.flagUrl}|Open in Unleash>`);
    expect(blocks[3]!.elements![0]!.text).not.toContain('dashboard');
  });

  it('links to the dashboard where there is one', () => {
    const { blocks } = messageOf({ dashboardUrl: 'https://app.example.com/rollouts/#/flags/a' });
    expect(blocks[3]!.elements![0]!.text).toContain(
      '<https://app.example.com/rollouts/#/flags/a|Open the dashboard>',
    );
  });

  it('leaves out a percentage that is not known', () => {
    const given = notificationFor(decided({ rolloutPercentage: undefined }));
    expect(messageOf(given).blocks[2]!.fields).toHaveLength(3);
  });

  it('shows the first facts of a notification that has more than Slack allows', () => {
    const facts = Array.from({ length: 20 }, (_, index) => ({ name: `trigger-<${index}>`, value: '2.1×' }));
    const { fields } = messageOf({ facts }).blocks[2]!;
    expect(fields).toHaveLength(10);
    expect(fields![3]!.text).toBe('*trigger-&lt;0&gt;*\n2.1×');
  });

  it("escapes Slack's control characters, so that no user is mentioned", () => {
    const { text, blocks } = messageOf({ message: '<!channel> a & b' });
    expect(blocks[1]!.text!.text).toBe('&lt;!channel&gt; a &amp; b');
    expect(text).not.toContain('<!channel>');
  });

  it.each([
    ['text', 'x'],
    ['escapes', '&'],
    ['characters of two units', '\u{1F6D1}'],
  ])("keeps long %s within Slack's limits", (_, unit) => {
    const { text, blocks } = messageOf({ title: unit.repeat(500), message: unit.repeat(5_000) });
    const [header, section] = blocks as [Message['blocks'][0], Message['blocks'][0]];
    expect(header.text!.text.length).toBeLessThanOrEqual(150);
    expect(section.text!.text.length).toBeLessThanOrEqual(3_000);
    for (const cut of [text, header.text!.text, section.text!.text]) {
      expect(cut).toMatch(/\u2026$/);
      // Half a character cannot be encoded.
      expect(() => encodeURIComponent(cut)).not.toThrow();
    }
    expect(section.text!.text.replaceAll('&amp;', '')).not.toContain('&');
  });
});

describe('slack', () => {
  it('posts to the incoming webhook', async () => {
    const { url, received } = await channel({ status: 200 });
    await slack({ webhookUrl: url }).notify(notification, { signal });
    expect(JSON.parse(received[0]!.body)).toEqual(slackMessage(notification));
    expect(received[0]!.headers['content-type']).toBe('application/json');
  });

  it.each([
    [{ status: 404, body: 'no_service' }, 'Slack answered 404 (no_service).', false],
    [{ status: 429, body: 'rate_limited' }, 'Slack answered 429 (rate_limited).', true],
    [{ status: 502, body: '<html>/services/T000/B000/hush-hush</html>' }, 'Slack answered 502.', true],
  ])('says what Slack says: %o', async (answer, message, retryable) => {
    const { url } = await channel(answer);
    const notifier = slack({ webhookUrl: url });
    await expect(notifier.notify(notification, { signal })).rejects.toMatchObject({ message, retryable });
  });

  it('rejects an invalid URL without showing it', () => {
    const attempt = () => slack({ webhookUrl: 'hooks.slack.com/services/hush-hush' });
    expect(attempt).toThrow(ConfigError);
    expect(attempt).not.toThrow('hush-hush');
  });
});
