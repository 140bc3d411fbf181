import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { AlertsHandler } from '../../src/alerts/alerts-handler.js';
import { GuardHarness } from '../helpers/guard-harness.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { RealAlertmanager } from '../helpers/real-alertmanager.js';

const TOKEN = 'what-alertmanager-sends';
const HOW = 'apt-get install --no-install-recommends prometheus-alertmanager';

describeWithBinary('a real Alertmanager', 'prometheus-alertmanager', HOW, (program) => {
  let handler: AlertsHandler | undefined;
  let statuses: number[] = [];
  let server: Server;
  let alertmanager: RealAlertmanager;
  let harness: GuardHarness;

  beforeAll(async () => {
    server = createServer((request, response) => {
      response.once('finish', () => statuses.push(response.statusCode));
      if (handler === undefined) response.writeHead(503).end();
      else handler(request, response);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/alerts`;
    alertmanager = await RealAlertmanager.start(program, { url, token: TOKEN });
  });
  afterAll(async () => {
    await alertmanager.close();
    server.closeAllConnections();
    server.close();
  });
  beforeEach(async () => {
    harness = await GuardHarness.create();
  });
  afterEach(async () => {
    handler = undefined;
    await harness.close();
  });

  const reviews = () => harness.reported('review-opened').map(({ verdict }) => verdict);

  it('opens a review with an alert, once however often it is repeated, and closes it when it is resolved', async () => {
    const guard = await harness.started({ tickMs: 10 });
    handler = guard.alerts({ token: TOKEN });
    statuses = [];
    const since = new Date(Date.now() - 60_000);
    await alertmanager.post({ alertname: 'QueueIsFull', flag: 'async-upload' }, 'nothing moves', since);
    await harness.until('opened', () => reviews().length > 0);
    expect(guard.status().openReviews).toMatchObject([{ trigger: 'alert:QueueIsFull' }]);
    expect(reviews()[0]?.message).toMatch(
      /^An alert from Alertmanager fires \(\d+ s ago\): QueueIsFull: nothing moves/,
    );
    expect(reviews()[0]?.blame).toBeUndefined();
    await harness.until('repeated', () => statuses.length >= 2);
    await alertmanager.post({ alertname: 'QueueIsFull', flag: 'async-upload' }, '', since, new Date());
    await harness.until('closed', () => harness.reported('review-closed').length > 0);
    await harness.until('reported', () => harness.reported('alert').length > 1);
    expect(guard.status().openReviews).toEqual([]);
    expect(harness.reported('alert').map(({ alert }) => alert.isFiring)).toEqual([true, false]);
    expect(reviews()).toHaveLength(1);
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(guard.state.status).toBe('armed');
  });

  it('stops the flag where a rule says so, and tries again until it was taken', async () => {
    const guard = await harness.started({ tickMs: 10 });
    statuses = [];
    const labels = { alertname: 'DatabaseDown', severity: 'page' };
    await alertmanager.post(labels, 'no connections', new Date());
    await harness.until('refused', () => statuses.includes(503));
    handler = guard.alerts({ token: TOKEN, rules: [{ match: { severity: 'page' }, action: 'stop' }] });
    await harness.until('stopped', () => guard.state.status === 'stopped');
    const { decision } = harness.reported('decided')[0]!;
    expect(decision).toMatchObject({
      verdicts: [],
      requestedBy: 'An alert from Alertmanager',
      reason: 'An alert from Alertmanager stopped it: DatabaseDown: no connections',
    });
    expect(harness.unleash.enabled).toBe(false);
  });
});
