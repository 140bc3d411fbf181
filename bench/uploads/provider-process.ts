/** A strict loopback provider at the far end of an emulated network, as a process of its own. */
import type { Conditions } from '../../examples/upload-service/loopback/conditions.js';
import { startLoopbackProvider } from '../../examples/upload-service/loopback-provider.js';
import { childSettings, serveParent } from './child.js';
import { startLink } from './link.js';

/** How the provider and the way to it are. */
export interface ProviderSettings {
  readonly roundTripMs: number;
  readonly bytesPerSecond: number;
  /** What the provider itself needs for a file. */
  readonly processingMs: number;
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Every so many uploads, one stalls half-way. */
  readonly stallEvery?: number;
}

/** What it reports when it is ready. */
export interface ProviderReady {
  readonly baseUrl: string;
  readonly apiKey: string;
}

/** Its answer to `counts`. */
export interface ProviderCounts {
  readonly received: number;
  readonly stalled: number;
  readonly connections: number;
}

const settings = childSettings<ProviderSettings>();
const { stallEvery } = settings;
const provider = await startLoopbackProvider({ tls: settings.tls });
const conditions: Conditions = { delayMs: settings.processingMs };
provider.set(
  stallEvery === undefined
    ? conditions
    : { ...conditions, fault: 'stall', strikes: ({ number }) => number % stallEvery === stallEvery >> 1 },
);
const direct = new URL(provider.baseUrl('kimi'));
const link = await startLink({ ...settings, targetPort: Number(direct.port) });
direct.port = String(link.port);

const ready: ProviderReady = { baseUrl: direct.href, apiKey: provider.apiKey };
serveParent(
  ready,
  {
    counts: (): ProviderCounts => ({
      received: provider.receivedCount,
      stalled: provider.faults?.count ?? 0,
      connections: link.connectionCount,
    }),
  },
  () => {
    link.close();
    return provider.close();
  },
);
