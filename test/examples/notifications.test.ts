import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { SMTPServer } from 'smtp-server';
import { isNotifyError, type Notifier } from 'unleash-rollout-guard';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { discord } from '../../examples/notifications/discord.js';
import { email } from '../../examples/notifications/email.js';
import { pagerDuty } from '../../examples/notifications/pagerduty.js';
import { teams } from '../../examples/notifications/teams.js';
import type { GuardEvent } from '../../src/model/event.js';
import { noticeOf } from '../../src/notify/notifications.js';
import type { GuardNotification } from '../../src/notify/notifier.js';
import { AT, decided, stopFailed, subject } from '../notify/events.js';
import { type Answer, startReceiver } from '../notify/receiver.js';

const HOSTILE =
  '**b** _i_ [a](http://x.test) <@1> @everyone {{DATE(2026-01-01T00:00:00Z)}} <b>&"\'\r\nBcc: a@b.test';
const ROOT = join(import.meta.dirname, '../..');
const signal = new AbortController().signal;

const inDashboard = { ...subject, dashboardUrl: 'https://app.example.com/rollouts/' };
const notificationOf = (event: Parameters<typeof noticeOf>[0]) => noticeOf(event, inDashboard)!.notification;
const DECISION_PAGE = 'https://app.example.com/rollouts/#/flags/async-upload/decisions/d-1';

/** A decision whose texts come from outside, and are long. */
const hostile = (): GuardNotification => {
  const facts = Array.from({ length: 40 }, () => ({ name: HOSTILE, value: HOSTILE.repeat(40) }));
  return { ...notificationOf(decided()), title: HOSTILE.repeat(10), message: HOSTILE.repeat(200), facts };
};

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function posted(
  make: (url: string) => Notifier,
  notification: GuardNotification,
  ...answers: Answer[]
) {
  const receiver = await startReceiver(...answers);
  closing.push(receiver.close);
  await make(receiver.url).notify(notification, { signal });
  return receiver.received.map(({ body }) => JSON.parse(body) as unknown);
}

const text = (most: number) => z.string().min(1).max(most);
const url = z.url({ protocol: /^https?$/ });

/** As a workflow of Teams wants it: https://learn.microsoft.com/power-automate/teams/send-a-message-in-teams */
const teamsMessage = z.strictObject({
  type: z.literal('message'),
  attachments: z.tuple([
    z.strictObject({
      contentType: z.literal('application/vnd.microsoft.card.adaptive'),
      content: z.strictObject({
        $schema: z.literal('http://adaptivecards.io/schemas/adaptive-card.json'),
        type: z.literal('AdaptiveCard'),
        version: z.literal('1.4'),
        body: z.array(
          z.strictObject({
            type: z.literal('RichTextBlock'),
            inlines: z.array(
              z.strictObject({
                type: z.literal('TextRun'),
                text: z.string(),
                weight: z.enum(['Bolder']).optional(),
                size: z.enum(['Large']).optional(),
                color: z.enum(['Attention', 'Warning', 'Default']).optional(),
              }),
            ),
          }),
        ),
        actions: z.array(z.strictObject({ type: z.literal('Action.OpenUrl'), title: text(100), url })),
      }),
    }),
  ]),
});

/** https://docs.discord.com/developers/resources/webhook#execute-webhook, and the limits of embeds */
const discordMessage = z.strictObject({
  allowed_mentions: z.strictObject({ parse: z.tuple([]) }),
  embeds: z.tuple([
    z.strictObject({
      title: text(256),
      url,
      description: text(4_096),
      color: z.int().min(0).max(0xff_ff_ff),
      timestamp: z.iso.datetime(),
      fields: z.array(z.strictObject({ name: text(256), value: text(1_024), inline: z.boolean() })).max(25),
    }),
  ]),
});

/** https://developer.pagerduty.com/docs/send-alert-event */
const pagerDutyResolve = z.strictObject({
  routing_key: z.string().length(32),
  event_action: z.literal('resolve'),
  dedup_key: text(255),
});
const pagerDutyEvent = z.strictObject({
  routing_key: z.string().length(32),
  event_action: z.literal('trigger'),
  dedup_key: text(255),
  payload: z.strictObject({
    summary: text(1_024),
    source: text(255),
    severity: z.enum(['critical', 'error', 'warning', 'info']),
    timestamp: z.iso.datetime(),
    component: z.string(),
    class: z.string(),
    custom_details: z.record(z.string(), z.string()),
  }),
  links: z.array(z.strictObject({ href: url, text: z.string() })),
  client: z.string(),
  client_url: url,
});

describe('the recipe for Microsoft Teams', () => {
  it('posts an Adaptive Card with the link to the decision', async () => {
    const [message] = await posted(teams, notificationOf(decided()), { status: 202 });
    const [{ content }] = teamsMessage.parse(message).attachments;
    expect(content.body[0]?.inlines[0]).toMatchObject({
      text: 'async-upload is being turned off',
      color: 'Attention',
    });
    expect(content.actions.map((action) => action.url)).toEqual([DECISION_PAGE, subject.flagUrl]);
  });

  it('shows foreign text as it is written, and stays below 28 kB', async () => {
    const [message] = await posted(teams, hostile());
    const [{ content }] = teamsMessage.parse(message).attachments;
    expect(content.body[1]?.inlines[0]?.text).toContain(HOSTILE);
    expect(Buffer.byteLength(JSON.stringify(message))).toBeLessThan(28 * 1_024);
  });
});

describe('the recipe for Discord', () => {
  it('posts an embed with the link to the decision', async () => {
    const [message] = await posted(discord, notificationOf(decided()), { status: 204 });
    const [embed] = discordMessage.parse(message).embeds;
    expect(embed).toMatchObject({ title: 'async\\-upload is being turned off', url: DECISION_PAGE });
    expect(embed.description).toContain(`[Open in Unleash](${subject.flagUrl})`);
  });

  it('escapes foreign text, mentions nobody, and stays within 6,000 characters', async () => {
    const [message] = await posted(discord, hostile());
    const [embed] = discordMessage.parse(message).embeds;
    expect(embed.title).toMatch(/^\\\*\\\*b\\\*\\\* \\_i\\_ \\\[a\\\]\\\(http\\:/);
    expect(embed.title).toContain('\\<\\@1\\>');
    const all = [embed.title, embed.description, ...embed.fields.flatMap(({ name, value }) => [name, value])];
    expect(all.join('').length).toBeLessThanOrEqual(6_000);
  });
});

describe('the recipe for PagerDuty', () => {
  const key = 'r'.repeat(32);

  it('triggers one alert for each decision, with its severity and the link to it', async () => {
    const make = (address: string) => pagerDuty(key, address);
    const required = { type: 'action-required', at: 1, decisionId: 'd-1', message: 'By hand.' } as const;
    const [event] = await posted(make, notificationOf(decided()), { status: 202 });
    const [later] = await posted(make, notificationOf(required), { status: 202 });
    const [first, second] = [pagerDutyEvent.parse(event), pagerDutyEvent.parse(later)];
    expect(second.dedup_key).toBe(first.dedup_key);
    expect(first).toMatchObject({
      routing_key: key,
      payload: { severity: 'critical', source: 'default/production', component: 'async-upload' },
      client_url: DECISION_PAGE,
    });
    expect(first.links[0]).toEqual({ href: DECISION_PAGE, text: 'Open the dashboard' });
    expect(pagerDutyEvent.parse((await posted(make, hostile()))[0]).payload.summary).toHaveLength(1_024);
  });

  it('resolves an alert when its cause is over', async () => {
    const make = (address: string) => pagerDuty(key, address);
    const stale = { code: 'stale-flags', message: 'Unleash does not answer.', since: AT };
    const health = { type: 'health', since: AT } as const;
    const unavailable = { type: 'admin-unavailable', code: 'ADMIN_UNAVAILABLE', message: 'Down.' } as const;
    const pairs: [opens: GuardEvent, resolves: GuardEvent][] = [
      [
        { ...health, at: AT, status: 'blind', reasons: [stale], began: ['stale-flags'], ended: [] },
        { ...health, at: AT + 1, status: 'ok', reasons: [], began: [], ended: [stale] },
      ],
      [
        { ...unavailable, at: AT },
        { type: 'admin-available', at: AT + 1 },
      ],
      [decided(), { type: 're-armed', at: AT + 1, epoch: 3, decisionId: 'd-1' }],
      [decided(), { type: 'stopped', at: AT + 1, decisionId: 'd-1', confirmedBy: 'removed' }],
    ];
    for (const [opens, resolves] of pairs) {
      const opened = pagerDutyEvent.parse((await posted(make, notificationOf(opens)))[0]);
      const resolved = pagerDutyResolve.parse((await posted(make, notificationOf(resolves)))[0]);
      expect(resolved.dedup_key, resolves.type).toBe(opened.dedup_key);
    }
  });

  it('keeps the alert of a stop open while the flag is off', async () => {
    const stopped = { type: 'stopped', at: AT, decisionId: 'd-1', confirmedBy: 'read-back' } as const;
    expect(await posted((address) => pagerDuty(key, address), notificationOf(stopped))).toEqual([]);
  });

  it('pages nobody for a dry run, or for what is no emergency', async () => {
    const make = (address: string) => pagerDuty(key, address);
    for (const event of [decided({ dryRun: true }), stopFailed()]) {
      expect(await posted(make, notificationOf(event))).toEqual([]);
    }
  });
});

describe('the recipe for e-mail', () => {
  async function mailServer(refusal?: number) {
    const mails: string[] = [];
    const server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      onData(stream, _session, callback) {
        let mail = '';
        stream.setEncoding('utf8').on('data', (chunk: string) => {
          mail += chunk;
        });
        stream.on('end', () => {
          mails.push(mail);
          callback(refusal === undefined ? null : Object.assign(new Error('no'), { responseCode: refusal }));
        });
      },
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(() => new Promise((resolve) => server.close(() => resolve())));
    const { port } = server.server.address() as AddressInfo;
    return { mails, send: email({ host: '127.0.0.1', port }, 'guard@example.com', 'team@example.com') };
  }

  /** The text of the parts, without the line breaks of the transfer. */
  const decoded = (mail: string) =>
    mail
      .replaceAll('=\r\n', '')
      .replaceAll(/(?:=[0-9A-F]{2})+/g, (bytes) => Buffer.from(bytes.replaceAll('=', ''), 'hex').toString());

  it('sends the message with the link to the decision, under one id', async () => {
    const { mails, send } = await mailServer();
    await send(notificationOf(decided()), { signal });
    await send(notificationOf(decided()), { signal });
    const [first, second] = mails.map(decoded);
    expect(first).toContain('Subject: [critical] async-upload is being turned off');
    expect(first).toContain(`<a href="${DECISION_PAGE}">`);
    const idOf = (mail = '') => /^Message-ID: (.*)$/im.exec(mail)?.[1];
    expect(idOf(first)).toMatch(/^<async-upload\.decided\.d-1\.\d+@rollout-guard>/);
    expect(idOf(second)).toBe(idOf(first));
  });

  it('is one thread with what resolves it', async () => {
    const { mails, send } = await mailServer();
    const reArmed = { type: 're-armed', at: AT + 1, epoch: 3, decisionId: 'd-1' } as const;
    const stopped = { type: 'stopped', at: AT, decisionId: 'd-1', confirmedBy: 'read-back' } as const;
    for (const event of [decided(), reArmed, stopped]) await send(notificationOf(event), { signal });
    const [opened, resolved, other] = mails.map((mail) => /^References:\s+(\S+)/im.exec(decoded(mail))?.[1]);
    expect(opened).toMatch(/^<decision-d-1%3Adefault%2Fproduction%2Fasync-upload@rollout-guard>/);
    expect([resolved, other]).toEqual([opened, undefined]);
  });

  it('escapes HTML, and takes no header from a text', async () => {
    const { mails, send } = await mailServer();
    const { title, message } = { title: HOSTILE, message: HOSTILE };
    await send({ ...hostile(), title, message, facts: [] }, { signal });
    const [head, body] = decoded(mails[0]!).split(/\r\n\r\n(.*)/s);
    expect(head).not.toMatch(/^Bcc:/m);
    expect(body).toContain('&#60;b&#62;&#38;&#34;&#39;');
    expect(body).not.toContain('<b>&"\'\r\nBcc: a@b.test</p>');
  });

  it.each([
    [451, true],
    [550, false],
  ])('says of a refusal with %d that another attempt helps: %s', async (code, retryable) => {
    const { send } = await mailServer(code);
    const error = await Promise.resolve(send(notificationOf(decided()), { signal })).catch((e: unknown) => e);
    expect(isNotifyError(error) && error.retryable).toBe(retryable);
  });

  it('says of a server that is down that another attempt helps', async () => {
    const send = email({ host: '127.0.0.1', port: 1 }, 'guard@example.com', 'team@example.com');
    await expect(send(notificationOf(decided()), { signal })).rejects.toMatchObject({ retryable: true });
  });
});

it.each(['teams', 'discord', 'pagerduty', 'email'])('docs/notifications.md shows %s.ts as it is', (name) => {
  const example = readFileSync(join(ROOT, `examples/notifications/${name}.ts`), 'utf8');
  expect(readFileSync(join(ROOT, 'docs/notifications.md'), 'utf8')).toContain(`\`\`\`ts\n${example}\`\`\`\n`);
});
