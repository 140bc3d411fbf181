import type { Server } from 'node:http';
import Fastify from 'fastify';
import type { RolloutGuard } from 'unleash-rollout-guard';
import type { DashboardOptions } from 'unleash-rollout-guard/dashboard';

/** A service on Fastify with the dashboard below /rollouts. */
export async function fastifyService(guard: RolloutGuard, options?: DashboardOptions): Promise<Server> {
  const app = Fastify();
  app.get('/', async () => 'the service');
  app.register(async (scope) => {
    // The dashboard reads the bodies of its requests itself.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
    const dashboard = guard.dashboard({ ...options, baseUrl: '/rollouts' });
    for (const url of ['/rollouts', '/rollouts/*']) {
      scope.all(url, (request, reply) => {
        reply.hijack();
        dashboard(request.raw, reply.raw);
      });
    }
  });
  await app.ready();
  return app.server;
}
