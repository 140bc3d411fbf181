import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import Fastify from 'fastify';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AlertsOptions } from '../../src/alerts/alert-options.js';
import { alertsHandler } from '../../src/alerts/alerts-handler.js';
import { ControlError } from '../../src/guard/control/control-error.js';
import type { Alert } from '../../src/model/control.js';
import { signatureHeaders } from '../../src/notify/webhook-signature.js';
import { isConfigError } from '../../src/support/config-error.js';

const TOKEN = 'a-token-of-the-alerts';
const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

interface Reply {
  readonly message: string;
  readonly results: readonly { readonly action: string; readonly message: string }[];
}

/** As Alertmanager 0.25 sends it. */
const ALERTMANAGER = {
  version: '4',
  groupKey: '{}:{alertname="QueueIsFull"}',
  truncatedAlerts: 0,
  status: 'firing',
  receiver: 'guard',
  groupLabels: { alertname: 'QueueIsFull' },
  commonLabels: { alertname: 'QueueIsFull', severity: 'critical' },
  commonAnnotations: {},
  externalURL: 'http://alertmanager.example.com',
  alerts: [
    {
      status: 'firing',
      labels: { alertname: 'QueueIsFull', severity: 'critical' },
      annotations: { summary: 'nothing\nmoves' },
      startsAt: '2026-11-27T10:00:00.000Z',
      endsAt: '0001-01-01T00:00:00Z',
      generatorURL: 'http://prometheus.example.com/graph',
      fingerprint: '1f2e3d4c5b6a7988',
    },
  ],
};
const [ALERT] = ALERTMANAGER.alerts;

/** As Grafana 11 sends it, without what is not read. */
const GRAFANA = {
  receiver: 'guard',
  status: 'firing',
  orgId: 1,
  alerts: [{ ...ALERT, status: 'resolved', silenceURL: 'http://grafana.example.com', values: { B: 3 } }],
  version: '1',
  title: '[FIRING:1] QueueIsFull',
  state: 'alerting',
  message: '',
};

let server: Server;
let taken: { flag: string; alert: Alert }[];
let answer: () => void;

beforeEach(() => {
  taken = [];
  answer = () => {};
});
afterEach(() => {
  server.close();
  server.closeAllConnections();
});

async function listen(options: AlertsOptions, flags = ['async-upload']): Promise<void> {
  const targets = flags.map((flagKey) => ({
    flagKey,
    alert: async (alert: Alert) => {
      answer();
      taken.push({ flag: flagKey, alert });
      return { accepted: true, message: 'done' };
    },
  }));
  await serve(createServer(alertsHandler(() => targets, options)));
}

async function serve(made: Server): Promise<void> {
  server = made.listen(0, '127.0.0.1');
  await once(server, 'listening');
}

async function send(body: unknown, headers: Record<string, string> = { authorization: `Bearer ${TOKEN}` }) {
  const { port } = server.address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}/`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, reply: (await response.json()) as Reply };
}

describe('the endpoint for alerts', () => {
  it("opens a review for an alert of Alertmanager's, with its words on one line", async () => {
    await listen({ token: TOKEN });
    const { status, reply } = await send(ALERTMANAGER);
    expect(status).toBe(200);
    expect(reply.results).toEqual([
      {
        alert: 'QueueIsFull',
        status: 'firing',
        flag: 'async-upload',
        action: 'review',
        accepted: true,
        message: 'done',
      },
    ]);
    expect(taken).toEqual([
      {
        flag: 'async-upload',
        alert: {
          type: 'alert',
          by: 'Alertmanager',
          trigger: 'alert:QueueIsFull',
          fingerprint: 'Alertmanager:1f2e3d4c5b6a7988',
          isFiring: true,
          since: Date.parse('2026-11-27T10:00:00.000Z'),
          action: 'review',
          reason: 'QueueIsFull: nothing moves',
        },
      },
    ]);
  });

  it.each<[what: string, body: unknown, expected: Partial<Alert>]>([
    ['Grafana', GRAFANA, { by: 'Grafana', isFiring: false, trigger: 'alert:QueueIsFull' }],
    [
      'Datadog, by its own payload',
      {
        id: '77',
        title: '[Triggered on {host:a}] Queue is full',
        event_type: 'query_alert_monitor',
        body: '%%%',
      },
      { by: 'Datadog', isFiring: true, trigger: 'alert:Queue is full' },
    ],
    [
      'Datadog, recovered',
      { title: 'Queue is full', alert_transition: 'Recovered', alert_cycle_key: '9', tags: 'team:a,env:b' },
      { by: 'Datadog', isFiring: false, fingerprint: 'Datadog:9' },
    ],
    [
      'plain JSON',
      { alert: 'queue', status: 'firing', message: 'full', fingerprint: 'q1', since: '2026-11-27T10:00:00Z' },
      {
        by: 'a webhook',
        fingerprint: 'webhook:q1',
        since: Date.parse('2026-11-27T10:00:00Z'),
        reason: 'queue: full',
      },
    ],
  ])('reads what %s sends', async (_, body, expected) => {
    await listen({ token: TOKEN });
    expect((await send(body)).status).toBe(200);
    expect(taken).toMatchObject([{ alert: expected }]);
  });

  it('knows an alert of Datadog again when it recovers, although the event has another id', async () => {
    await listen({ token: TOKEN });
    await send({ id: '1', title: '[Triggered] Queue is full', event_type: 'query_alert_monitor' });
    await send({ id: '2', title: '[Recovered] Queue is full', event_type: 'query_alert_monitor' });
    expect(taken.map(({ alert }) => alert.isFiring)).toEqual([true, false]);
    expect(taken[0]?.alert.fingerprint).toBe(taken[1]?.alert.fingerprint);
  });

  it('does what the first rule says whose labels match', async () => {
    await listen({
      token: TOKEN,
      rules: [
        { match: { severity: 'critical', team: /^upload/ }, action: 'stop' },
        { match: { severity: 'info' }, action: 'ignore' },
      ],
    });
    const labels = (more: object) => ({
      ...ALERTMANAGER,
      alerts: [{ ...ALERT, labels: { alertname: 'a', ...more } }],
    });
    const actions = [];
    for (const more of [
      { severity: 'critical', team: 'uploads' },
      { severity: 'critical', team: 'billing' },
      { severity: 'info', team: 'uploads' },
      {},
    ]) {
      actions.push((await send(labels(more))).reply.results[0]?.action);
    }
    expect(actions).toEqual(['stop', 'review', 'ignore', 'review']);
    expect(taken).toHaveLength(3);
  });

  it('finds the flag by its label, and says what it does not know, after the others were taken', async () => {
    await listen({ token: TOKEN }, ['one', 'two']);
    const alerts = ['two', 'three', undefined].map((flag) => ({
      ...ALERT,
      labels: { alertname: 'a', ...(flag && { flag }) },
    }));
    const { status, reply } = await send({ ...ALERTMANAGER, alerts });
    expect(status).toBe(404);
    expect(taken.map(({ flag }) => flag)).toEqual(['two']);
    expect(reply.results.map(({ message }) => message)).toEqual([
      'done',
      'No flag "three" is guarded here.',
      'It has no label "flag" that names its flag.',
    ]);
  });

  it.each<[what: string, headers: Record<string, string>]>([
    ['no token', {}],
    ['a wrong token', { authorization: 'Bearer a-token-of-the-alertz' }],
    ['a signature that nothing checks', { 'x-grafana-alerting-signature': 'aa' }],
  ])('refuses %s', async (_, headers) => {
    await listen({ token: TOKEN });
    const { status, reply } = await send(ALERTMANAGER, headers);
    expect([status, reply.message]).toEqual([401, 'Send the token as "Authorization: Bearer …".']);
    expect(taken).toEqual([]);
  });

  it('takes what is signed with the secret, as Standard Webhooks or Grafana do, and nothing else', async () => {
    await listen({ secret: SECRET });
    const body = JSON.stringify(GRAFANA);
    const now = Math.floor(Date.now() / 1_000);
    const grafana = (text: string) => createHmac('sha256', SECRET).update(text).digest('hex');
    const signature = (value: string, timestamp?: number) => ({
      'x-grafana-alerting-signature': value,
      ...(timestamp && { 'x-grafana-alerting-timestamp': String(timestamp) }),
    });
    const statuses = [];
    for (const headers of [
      signatureHeaders('msg-1', body, SECRET, Date.now()),
      signature(grafana(body)),
      signature(grafana(`${now}:${body}`), now),
      signature(grafana(`${now - 3_600}:${body}`), now - 3_600),
      signature(grafana(`${body} `)),
      signatureHeaders('msg-1', `${body} `, SECRET, Date.now()),
      signatureHeaders('msg-1', body, SECRET, Date.now() - 3_600_000),
      { authorization: `Bearer ${SECRET}` },
    ]) {
      statuses.push((await send(body, headers)).status);
    }
    expect(statuses).toEqual([200, 200, 200, 401, 401, 401, 401, 401]);
  });

  it.each<[what: string, body: unknown, status: number, message: RegExp]>([
    ['no JSON', '{', 400, /not a JSON object/],
    ['a list', [], 400, /not a JSON object/],
    ['an unknown format', { hello: 1 }, 400, /none of the formats\. Supported: Alertmanager/],
    ['no alerts', { ...ALERTMANAGER, alerts: [] }, 400, /has no alerts/],
    ['a broken alert', { ...ALERTMANAGER, alerts: [{ status: 'odd' }] }, 400, /alerts\.0\.status .*'firing'/],
    ['plain JSON without a status', { alert: 'a' }, 400, /status .*'firing' or 'resolved'/],
    ['Datadog without a transition', { title: 'a', event_type: 'b' }, 400, /ALERT_TRANSITION/],
    ['too many alerts', { ...ALERTMANAGER, alerts: Array(101).fill(ALERT) }, 413, /101 alerts.*max_alerts/],
    ['a long body', { alert: 'x'.repeat(300_000), status: 'firing' }, 413, /longer than 256 kB/],
  ])('says what is wrong with %s', async (_, body, status, message) => {
    await listen({ token: TOKEN });
    const answered = await send(body);
    expect(answered.status).toBe(status);
    expect(answered.reply.message).toMatch(message);
    expect(taken).toEqual([]);
  });

  it('bounds a flood, and a flood without the token does not keep the right token out', async () => {
    await listen({ token: TOKEN });
    const wrong = [];
    for (let n = 0; n < 12; n++) wrong.push((await send(ALERTMANAGER, {})).status);
    expect(wrong).toEqual([...Array(10).fill(401), 429, 429]);
    const right = [];
    for (let n = 0; n < 122; n++) right.push(await send(ALERTMANAGER));
    expect(right.map(({ status }) => status)).toEqual([...Array(120).fill(200), 429, 429]);
    expect(right.at(-1)?.reply.message).toMatch(/Too many notifications/);
    expect(right.at(-1)?.headers.get('retry-after')).toBe('60');
  });

  it.each<[code: 'FLEET' | 'TOO_MANY_ALERTS', status: number]>([
    ['FLEET', 503],
    ['TOO_MANY_ALERTS', 429],
  ])('asks the sender to repeat what was refused with %s', async (code, status) => {
    await listen({ token: TOKEN });
    answer = () => {
      throw new ControlError(code, 'not now');
    };
    const answered = await send(ALERTMANAGER);
    expect([answered.status, answered.headers.get('retry-after')]).toEqual([status, '30']);
    expect(answered.reply.results).toMatchObject([{ accepted: false, message: 'not now' }]);
  });

  it('takes a body that a parser of Express has read, and says that a signature needs the bytes', async () => {
    const app = express();
    app.use(express.json());
    const target = { flagKey: 'f', alert: async () => ({ accepted: true, message: 'done' }) };
    app.post(
      '/',
      alertsHandler(() => [target], { token: TOKEN, secret: SECRET }),
    );
    await serve(createServer(app));
    expect((await send(ALERTMANAGER)).status).toBe(200);
    const signed = await send(ALERTMANAGER, { 'x-grafana-alerting-signature': 'aa' });
    expect([signed.status, signed.reply.message]).toEqual([
      500,
      expect.stringMatching(/before its body parser/),
    ]);
  });

  it('takes a body that Fastify has read, where the application passes it on', async () => {
    const app = Fastify();
    const target = { flagKey: 'f', alert: async () => ({ accepted: true, message: 'done' }) };
    const alerts = alertsHandler(() => [target], { token: TOKEN });
    app.post('/', (request, reply) => {
      reply.hijack();
      alerts(Object.assign(request.raw, { body: request.body }), reply.raw);
    });
    await app.ready();
    await serve(app.server);
    expect((await send(ALERTMANAGER)).status).toBe(200);
  });

  it('says so when it cannot be loaded', async () => {
    vi.doMock('../../src/alerts/alerts-server.js', () => ({
      get AlertsServer() {
        throw new Error('a file is missing');
      },
    }));
    try {
      await listen({ token: TOKEN });
      const { status, reply } = await send(ALERTMANAGER);
      expect([status, reply.results]).toEqual([500, []]);
      expect(reply.message).toBe('The endpoint for alerts cannot be loaded: a file is missing');
    } finally {
      vi.doUnmock('../../src/alerts/alerts-server.js');
    }
  });

  it('answers 405 to GET', async () => {
    await listen({ token: TOKEN });
    const { port } = server.address() as AddressInfo;
    const { status, headers } = await fetch(`http://127.0.0.1:${port}/`);
    expect([status, headers.get('allow')]).toEqual([405, 'POST']);
  });

  it('rejects options that cannot be used, without their secrets', () => {
    const wrong = {
      token: 'short-secret',
      rules: [{ match: {}, action: 'page' }],
      flagLabel: '',
    } as unknown as AlertsOptions;
    for (const [options, fields] of [
      [wrong, ['token', 'rules[0].match', 'rules[0].action', 'flagLabel']],
      [{}, ['token']],
    ] as const) {
      try {
        alertsHandler(() => [], options);
        expect.unreachable();
      } catch (error) {
        expect(isConfigError(error)).toBe(true);
        const { problems, message } = error as { problems: { path: string }[]; message: string };
        expect(problems.map(({ path }) => path)).toEqual(fields);
        expect(message).not.toContain('short-secret');
      }
    }
  });
});
