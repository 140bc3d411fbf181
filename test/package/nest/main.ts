// A NestJS application as its CLI makes one: decorators, and CommonJS.
import 'reflect-metadata';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Controller, Get, Injectable, Module, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { OpenFeature } from '@openfeature/server-sdk';
import { asyncUploadRollout, OutcomeHook, RolloutGuard, UnleashProvider } from 'unleash-rollout-guard';

let enabled = true;
const unleash = createServer((request, response) => {
  const path = request.url ?? '';
  if (path.endsWith('/off')) enabled = false;
  const flag = { name: 'async-upload', project: 'default', enabled };
  const strategies = [{ name: 'default', parameters: {}, constraints: [] }];
  const body = path.startsWith('/api/client/features')
    ? { version: 2, features: [{ ...flag, strategies }] }
    : path.startsWith('/api/admin/events')
      ? { events: [] }
      : { ...flag, type: 'release', environments: [{ name: 'production', enabled, strategies: [] }] };
  response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
});

@Injectable()
class UploadService implements OnModuleInit, OnModuleDestroy {
  private guard!: RolloutGuard;
  private run!: (context: { targetingKey: string }, input: undefined) => Promise<string>;

  async onModuleInit(): Promise<void> {
    const url = `http://127.0.0.1:${(unleash.address() as AddressInfo).port}/api`;
    const provider = new UnleashProvider({ url, appName: 'nest', disableMetrics: true, logger: false });
    this.guard = new RolloutGuard({
      ...asyncUploadRollout,
      flagKey: 'async-upload',
      flags: provider,
      unleash: { url, token: '*:*.made-up', environment: 'production' },
      folder: false,
      logger: false,
    });
    OpenFeature.addHooks(new OutcomeHook(this.guard));
    await OpenFeature.setProviderAndWait(provider);
    await this.guard.start();
    this.run = this.guard.operation<undefined, string>({
      treatment: () => Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' })),
      control: () => 'stored',
      retries: 0,
    });
  }

  async onModuleDestroy(): Promise<void> {
    await this.guard.close();
    await OpenFeature.close();
  }

  upload(user: number): Promise<string> {
    return this.run({ targetingKey: `user-${user}` }, undefined);
  }

  get state(): string {
    return this.guard.status().state.status;
  }
}

@Controller()
class UploadController {
  constructor(private readonly uploads: UploadService) {}

  @Get('upload')
  upload(): Promise<string> {
    return this.uploads.upload(Math.random());
  }

  @Get('state')
  state(): string {
    return this.uploads.state;
  }
}

@Module({ controllers: [UploadController], providers: [UploadService] })
class AppModule {}

async function main(): Promise<void> {
  await new Promise<void>((resolve) => unleash.listen(0, '127.0.0.1', resolve));
  const app = await NestFactory.create(AppModule, { logger: false });
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  const get = async (path: string) => (await fetch(`${url}/${path}`)).text();
  for (let call = 0; call < 300 && (await get('state')) !== 'stopped'; call++) {
    if ((await get('upload')) !== 'stored') throw new Error('a request failed');
  }
  console.log(await get('state'));
  await app.close();
  unleash.close();
  unleash.closeAllConnections();
}

void main();
