// A service on NestJS: for some users, /search asks the new backend.
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { Rollout } from './rollout.service.js';

async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule);
  app.use('/rollouts', app.get(Rollout).dashboard);
  // Without the option, Nest ends the process by the signal, and not with exit code 0.
  app.enableShutdownHooks(['SIGTERM'], { useProcessExit: true });
  // A connection that is kept alive would delay the end by its time-out.
  process.once('SIGTERM', () => setInterval(() => app.getHttpServer().closeIdleConnections(), 250).unref());
  await app.listen(process.env.PORT ?? 3000, process.env.HOST ?? '127.0.0.1');
  console.log('Listening:', await app.getUrl());
}

void main();
