import type { Server } from 'node:http';
import Fastify from 'fastify';
import type { RolloutGuard } from 'unleash-rollout-guard';
import type { DashboardOptions } from 'unleash-rollout-guard/dashboard';

/** A service on Fastify with the dashboard below /rollouts. */
export async function fastifyService(guard: RolloutGuard, options?: DashboardOptions): Promise<Server> {
  const app = Fastify();
  app.get('/', async () => 'the service');
  const dashboard = guard.dashboard({ ...options, baseUrl: '/rollouts' });
  for (const path of ['/rollouts', '/rollouts/*']) {
    app.all(path, (request, reply) => {
      reply.hijack();
      dashboard(Object.assign(request.raw, { body: request.body }), reply.raw);
    });
  }
  await app.ready();
  return app.server;
}
