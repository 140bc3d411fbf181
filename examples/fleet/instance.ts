// One process of the fleet: a service like any other, with one line more for its guard, `store`.
import type { AddressInfo } from 'node:net';
import { OpenFeature } from '@openfeature/server-sdk';
import { InMemStorageProvider } from 'unleash-client';
import {
  asyncUploadRollout,
  type GuardEvent,
  OutcomeHook,
  RolloutGuard,
  UnleashProvider,
} from 'unleash-rollout-guard';
import { RedisOutcomeStore } from 'unleash-rollout-guard/redis';
import {
  count,
  FLAG_KEY,
  type FromInstance,
  type InstanceSettings,
  noCounts,
  preciseNow,
  type ToInstance,
} from './messages.js';
import { createService } from './service.js';
import { faulty, type Upload, uploadBuffered, uploadStreaming } from './upload-paths.js';

const send = (message: FromInstance) => {
  if (process.connected) process.send!(message);
};
// Ctrl-C reaches all processes of a terminal: the one that started this one ends it.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit());

const settings = await new Promise<InstanceSettings>((resolve) => process.once('message', resolve));

const provider = new UnleashProvider({
  url: settings.apiUrl,
  appName: 'upload-service',
  customHeaders: { Authorization: settings.clientToken },
  // It polls every 15 seconds, as by default. Only its backup on disk is left out: the next Unleash is another one.
  storageProvider: new InMemStorageProvider(),
});

const guard = new RolloutGuard({
  flagKey: FLAG_KEY,
  flags: provider,
  unleash: {
    url: settings.apiUrl,
    token: settings.adminToken,
    project: settings.project,
    environment: settings.environment,
  },
  ...asyncUploadRollout,
  store: new RedisOutcomeStore({ url: settings.redisUrl, prefix: settings.keyPrefix }),
  folder: settings.folder,
  logger: false,
  onEvent: sendMoment,
});

OpenFeature.addHooks(new OutcomeHook(guard));
await OpenFeature.setProviderAndWait(provider);
await guard.start();

const counts = noCounts();
let startedAfterStop = 0;

const upload = guard.operation<Upload, string>({
  treatment: (file) => {
    if (provider.isOverridden(FLAG_KEY)) startedAfterStop++;
    return uploadStreaming(file);
  },
  control: uploadBuffered,
});

const service = createService({
  upload,
  rolloutStatus: () => guard.status(),
  onReceipt: ({ tried }) => count(counts, tried),
});
await service.listen({ host: '127.0.0.1', port: 0 });

process.on('message', async ({ type }: ToInstance) => {
  if (type === 'break') faulty.streaming = true;
  if (type === 'fix') faulty.streaming = false;
  if (type === 'report') send({ type: 'report', report: { counts, startedAfterStop } });
  if (type === 'close') await close();
});

const { port } = service.server.address() as AddressInfo;
send({ type: 'ready', url: `http://127.0.0.1:${port}` });

async function close(): Promise<void> {
  await service.close();
  await guard.close();
  await OpenFeature.close();
  process.disconnect();
}

function sendMoment(event: GuardEvent): void {
  const at = preciseNow();
  switch (event.type) {
    case 'decided': {
      const isOthers = event.by === 'fleet';
      send({ type: 'moment', what: 'decided', at, reason: event.decision.reason, isOthers });
      return;
    }
    case 'stopped-here':
    case 'stopped':
    case 're-armed':
      send({ type: 'moment', what: event.type, at });
      return;
    case 'fault':
      send({ type: 'fault', message: `${event.what}: ${event.message}` });
      return;
    case 'fleet-connection':
      if (event.problem !== undefined) send({ type: 'redis-away', message: event.problem });
  }
}
