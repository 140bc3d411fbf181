import type { Server } from 'node:http';
import { createAdaptorServer, type HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { Hono } from 'hono';
import type { RolloutGuard } from 'unleash-rollout-guard';
import type { DashboardOptions } from 'unleash-rollout-guard/dashboard';

/** A service on Hono with the dashboard below /rollouts. */
export function honoService(guard: RolloutGuard, options?: DashboardOptions): Server {
  const app = new Hono<{ Bindings: HttpBindings }>();
  app.get('/', (context) => context.text('the service'));
  const dashboard = guard.dashboard({ ...options, baseUrl: '/rollouts' });
  // The path itself is among these.
  app.all('/rollouts/*', ({ env: { incoming, outgoing } }) => {
    dashboard(incoming, outgoing);
    return RESPONSE_ALREADY_SENT;
  });
  return createAdaptorServer(app) as Server;
}
