import { afterEach, describe, expect, it } from 'vitest';
import {
  type HealthReport,
  HealthServer,
  healthOptionsSchema,
} from '../../../src/cli/controller/health-server.js';

const servers: HealthServer[] = [];
const options = healthOptionsSchema.parse({ port: 0 });
const ok: HealthReport = {
  status: 'ok',
  since: 1,
  reasons: [],
  flagKey: 'async-upload',
  dryRun: false,
  guard: 'armed',
  role: 'leader',
};

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function listen(report: () => HealthReport): Promise<HealthServer> {
  const server = await HealthServer.listen(options, report);
  servers.push(server);
  return server;
}

describe('the health of a controller over HTTP', () => {
  it('answers 200 while the guard can do its work, and 503 with the reasons while it is blind', async () => {
    let report = ok;
    const { url } = await listen(() => report);
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/health$/);
    const fine = await fetch(url);
    expect([fine.status, await fine.json()]).toEqual([200, ok]);
    report = { ...ok, status: 'blind', reasons: [{ code: 'stale-flags', message: 'old', since: 2 }] };
    const blind = await fetch(`${url}?verbose`);
    expect([blind.status, await blind.json()]).toEqual([503, report]);
    expect(blind.headers.get('cache-control')).toBe('no-store');
    expect((await fetch(url, { method: 'HEAD' })).status).toBe(503);
  });

  it('answers nothing else', async () => {
    const { url } = await listen(() => ok);
    expect((await fetch(url.replace('/health', '/'))).status).toBe(404);
    expect((await fetch(url, { method: 'POST' })).status).toBe(405);
  });

  it('rejects when the port is taken', async () => {
    const { url } = await listen(() => ok);
    const port = Number(new URL(url).port);
    await expect(HealthServer.listen({ ...options, port }, () => ok)).rejects.toThrow('EADDRINUSE');
  });

  it('closes at once although a client keeps its connection', async () => {
    const server = await listen(() => ok);
    await (await fetch(server.url)).arrayBuffer();
    await server.close();
    await expect(fetch(server.url)).rejects.toThrow();
    await server.close();
  });
});
