import { afterEach, expect, it, vi } from 'vitest';
import { dashboardHandler } from '../../src/dashboard/handler.js';
import { Served } from './served.js';

let served: Served;

afterEach(async () => {
  vi.doUnmock('../../src/dashboard/server/dashboard-server.js');
  await served.close();
});

it('a dashboard that cannot be loaded says so, and is loaded with a later request', async () => {
  let failures = 1;
  vi.doMock('../../src/dashboard/server/dashboard-server.js', async (original) => {
    const actual = await original<typeof import('../../src/dashboard/server/dashboard-server.js')>();
    return {
      get DashboardServer() {
        if (failures-- > 0) throw new Error('a file is missing');
        return actual.DashboardServer;
      },
    };
  });
  served = await Served.of(dashboardHandler(() => []));
  const reply = await served.ask('/api/flags');
  expect([reply.status, reply.text]).toEqual([500, 'The dashboard cannot be loaded: a file is missing\n']);
  expect((await served.ask('/api/flags')).status).toBe(200);
});
