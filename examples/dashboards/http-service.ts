import { createServer, type Server } from 'node:http';
import type { RolloutGuard } from 'unleash-rollout-guard';
import type { DashboardOptions } from 'unleash-rollout-guard/dashboard';

/** A service on plain node:http with the dashboard below /rollouts. */
export function httpService(guard: RolloutGuard, options?: DashboardOptions): Server {
  const dashboard = guard.dashboard({ ...options, baseUrl: '/rollouts' });
  return createServer((request, response) => {
    if (/^\/rollouts(?=[/?]|$)/.test(request.url ?? '')) dashboard(request, response);
    else response.end('the service');
  });
}
