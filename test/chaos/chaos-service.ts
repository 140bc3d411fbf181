// A service with one guarded operation behind HTTP. Both paths of the operation are requests to another server.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { OpenFeature } from '@openfeature/server-sdk';
import { asyncUploadRollout, OutcomeHook, RolloutGuard, UnleashProvider } from 'unleash-rollout-guard';
import type { FromService, ServiceSettings, ToService } from './messages.js';

const settings = JSON.parse(process.env.SETTINGS!) as ServiceSettings;
const send = (message: FromService) => {
  if (process.connected) process.send!(message);
};
for (const name of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(name, (error: unknown) => send({ type: 'crash', message: `${name}: ${String(error)}` }));
}
let aheadMs = 0;
/** A client of the service's own is not closed by the guard. */
let closeCluster = () => {};

const provider = new UnleashProvider({
  url: settings.clientUrl,
  appName: 'chaos-service',
  customHeaders: { Authorization: settings.clientToken },
  refreshInterval: 1_000,
  storageProvider: { get: async () => undefined, set: async () => {} },
  logger: false,
});
const store = await storeOf(settings.redisUrls);
const guard = new RolloutGuard({
  ...asyncUploadRollout,
  flagKey: settings.flagKey,
  flags: provider,
  unleash: {
    url: settings.adminUrl,
    token: settings.adminToken,
    project: settings.project,
    environment: settings.environment,
    timeoutMs: 3_000,
  },
  operation: { retries: 0, timeoutMs: settings.timeoutMs },
  folder: settings.folder,
  store,
  recheckMs: 2_000,
  clock: { now: () => Date.now() + aheadMs, monotonic: () => performance.now() },
  logger: false,
  onEvent: (event) => send({ type: 'event', event }),
  notify: [(notification) => send({ type: 'notification', notification })],
});
OpenFeature.addHooks(new OutcomeHook(guard));

const operation = guard.operation<string, string>({
  treatment: (user, { signal }) => call('new', user, signal),
  control: (user, { signal }) => call('old', user, signal),
});

const server = createServer(async (request, response) => {
  const user = new URL(request.url!, 'http://service').searchParams.get('user')!;
  try {
    response.end(await operation({ targetingKey: user }, user));
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
});

// Longer than any fault: the users' client would else meet connections that end just when it uses them.
server.keepAliveTimeout = 600_000;
// The time in which the process is frozen is the fault itself: Node would answer 408 after a minute.
server.requestTimeout = 0;
server.headersTimeout = 0;

process.on('message', async (message: ToService) => {
  if (message.type === 'clock') aheadMs = message.aheadMs;
  if (message.type === 'status') send({ type: 'status', status: status() });
  if (message.type === 'close') {
    server.close();
    server.closeAllConnections();
    await guard.close();
    await OpenFeature.close();
    closeCluster();
    process.disconnect();
  }
});

try {
  await OpenFeature.setProviderAndWait(provider);
  await guard.start();
  server.listen(0, '127.0.0.1', () => {
    send({ type: 'ready', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  });
} catch (error) {
  send({ type: 'failed', message: String(error) });
}

async function call(path: 'new' | 'old', user: string, signal: AbortSignal): Promise<string> {
  const answer = await fetch(`${settings.backendUrl}/${path}?user=${user}`, { signal });
  const text = await answer.text();
  if (!answer.ok) throw Object.assign(new Error(`The backend answers ${answer.status}.`), answer);
  return text;
}

function status() {
  const { state, fleet, snapshot } = guard.status();
  const { treatment, control } = snapshot.total;
  const counted = [treatment, control].reduce(
    (sum, arm) => sum + arm.successes + arm.failures + arm.expected + arm.aborted,
    0,
  );
  const peakMemoryMb = process.resourceUsage().maxRSS / 1024;
  return { state: state.status, role: fleet?.role, counted, peakMemoryMb };
}

async function storeOf(urls: readonly string[]) {
  const [url, ...others] = urls;
  if (url === undefined) return undefined;
  // A service without a fleet starts faster without it.
  const { RedisOutcomeStore } = await import('unleash-rollout-guard/redis');
  const timing = { flushMs: 500, leaseMs: 2_000, timeoutMs: 1_000 };
  if (others.length === 0) return new RedisOutcomeStore({ url, ...timing });
  const { createCluster } = await import('redis');
  const cluster = createCluster({ rootNodes: urls.map((node) => ({ url: node })) });
  cluster.on('error', () => {});
  await cluster.connect();
  closeCluster = () => cluster.destroy();
  return new RedisOutcomeStore({ client: cluster, ...timing });
}
