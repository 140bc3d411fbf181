import type { Server } from 'node:http';
import type { RolloutGuard } from 'unleash-rollout-guard';
import type { DashboardOptions } from 'unleash-rollout-guard/dashboard';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { expressService } from '../../examples/dashboards/express-service.js';
import { fastifyService } from '../../examples/dashboards/fastify-service.js';
import { honoService } from '../../examples/dashboards/hono-service.js';
import { httpService } from '../../examples/dashboards/http-service.js';
import type { ApiProblem, Overview } from '../../src/dashboard/api.js';
import type { RolloutView } from '../../src/model/rollout-view.js';
import { EventReader, Served } from '../dashboard/served.js';
import { eventually } from '../helpers/eventually.js';
import { GuardHarness } from '../helpers/guard-harness.js';
import { timeLimit } from '../helpers/machine-time.js';

const TOKEN = 'a-token-of-operators';

const SERVICES: [string, (guard: RolloutGuard, options?: DashboardOptions) => Server | Promise<Server>][] = [
  ['Express', expressService],
  ['Fastify', fastifyService],
  ['Hono', honoService],
  ['node:http', httpService],
];

describe.each(SERVICES)('the dashboard in a service on %s', (_, service) => {
  let harness: GuardHarness;
  let guard: RolloutGuard;
  let served: Served;

  beforeEach(async () => {
    harness = await GuardHarness.create();
    guard = await harness.started({ tickMs: 20, log: false });
    served = await Served.by(await service(guard, { controls: { token: TOKEN } }));
  });

  afterEach(async () => {
    await harness.close();
    await served.close();
  });

  it('is below its path, beside the service', async () => {
    expect((await served.ask('/')).text).toBe('the service');
    const { flags } = await served.json<Overview>('/rollouts/api/flags');
    expect(flags).toMatchObject([{ flagKey: 'async-upload', state: { status: 'armed' } }]);
    expect(await served.json('/rollouts/api/flags/async-upload')).toMatchObject({ flagKey: 'async-upload' });
    const none = await served.ask('/rollouts/api/flags/none');
    expect([none.status, (JSON.parse(none.text) as ApiProblem).message]).toEqual([
      404,
      'No flag "none" is guarded here.',
    ]);
  });

  it('redirects to its folder, for its addresses are relative', async () => {
    for (const query of ['', '?x=1']) {
      const { status, headers } = await served.ask(`/rollouts${query}`);
      expect([status, headers.location]).toEqual([303, 'rollouts/']);
    }
    const signedIn = await served.ask(`/rollouts/?token=${TOKEN}`);
    expect([signedIn.status, signedIn.headers.location]).toEqual([303, './']);
  });

  it('answers HEAD, refuses other methods, and reads bodies', async () => {
    const head = await served.ask('/rollouts/api/flags', { method: 'HEAD' });
    expect([head.status, head.text]).toEqual([200, '']);
    expect((await served.ask('/rollouts/api/flags', { method: 'DELETE' })).status).toBe(405);
    const ask = (body: string) =>
      served.ask('/rollouts/api/flags/async-upload/controls', {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` },
        body,
      });
    const refused = await ask('{"type":"explode"}');
    expect([refused.status, refused.text]).toEqual([400, expect.stringContaining('type')]);
    const held = await ask('{"type":"hold","reason":"lunch"}');
    expect([held.status, JSON.parse(held.text)]).toMatchObject([200, { accepted: true }]);
    expect(guard.controls.hold).toMatchObject({ by: 'dashboard', reason: 'lunch' });
    const again = await ask('{"type":"unmute","trigger":"success-rate-below"}');
    expect(JSON.parse(again.text)).toMatchObject({ accepted: false, code: 'NOT_MUTED' });
  });

  it('shows a live guard within a second, and ends with it', async () => {
    const reader = await EventReader.open(served, '/rollouts/api/events');
    const shown = () =>
      reader.of('view').map(({ data }) => (data as RolloutView).arms.treatment.counts.failures);
    await eventually(() => expect(shown()).toEqual([0]));
    const limit = timeLimit(1_000);
    const began = performance.now();
    await harness.fail(guard, 3);
    await eventually(() => expect(shown().at(-1)).toBe(3));
    expect(reader.of('view').at(-1)!.at - began).toBeLessThan(limit());
    await guard.close();
    await eventually(() => expect(reader.isEnded).toBe(true));
    expect(reader.of('view').at(-1)!.data).toMatchObject({ isClosed: true });
  });
});
