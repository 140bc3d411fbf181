import { createServer, type Server } from 'node:http';
import express from 'express';
import type { RolloutGuard } from 'unleash-rollout-guard';
import type { DashboardOptions } from 'unleash-rollout-guard/dashboard';

/** A service on Express with the dashboard below /rollouts. */
export function expressService(guard: RolloutGuard, options?: DashboardOptions): Server {
  const app = express();
  app.get('/', (_request, response) => {
    response.send('the service');
  });
  app.use('/rollouts', guard.dashboard(options));
  return createServer(app);
}
