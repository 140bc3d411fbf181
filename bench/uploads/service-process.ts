/** The upload service with one of its two paths, as a process of its own, so that its memory is its own. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createProviderClient } from '../../examples/upload-service/provider-client.js';
import { guardedUpload } from '../../examples/upload-service/rollout.js';
import { createUploadService } from '../../examples/upload-service/service.js';
import { createBufferedUpload } from '../../examples/upload-service/upload-buffered.js';
import { createStreamingUpload } from '../../examples/upload-service/upload-streaming.js';
import {
  type Arm,
  asyncUploadRollout,
  type FlagSource,
  type OperationPolicy,
  RolloutGuard,
} from '../../src/index.js';
import { collectGarbage } from '../harness.js';
import { childSettings, serveParent } from './child.js';

/** Which path, to which provider. */
export interface ServiceSettings {
  readonly arm: Arm;
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly spoolDirectory: string;
  readonly operation: OperationPolicy;
  readonly stallTimeoutMs?: number;
}

/** Its answer to `memory`, in bytes. */
export interface MemoryUse {
  readonly rssBytes: number;
  /** The highest since `startPeak` was asked for. */
  readonly peakRssBytes: number;
}

/** Its answer to `outcomes`. */
export interface OutcomeCounts {
  readonly successes: number;
  readonly failures: number;
  readonly timeouts: number;
}

const settings = childSettings<ServiceSettings>();
const { arm } = settings;
const flags: FlagSource = {
  flag: () => undefined,
  override: () => {},
  clearOverride: () => {},
  isOverridden: () => false,
  onChange: () => () => {},
  onTrack: () => () => {},
  defaultClient: () => ({
    getBooleanDetails: async () => ({ value: arm === 'treatment', reason: 'STATIC' }),
  }),
};
const guard = new RolloutGuard({
  flagKey: 'async-upload',
  flags,
  unleash: { url: 'http://127.0.0.1:9/api', token: '*:*.none', environment: 'none' },
  rollback: asyncUploadRollout.rollback,
  // Never started: it wraps and records, and polls no Unleash.
  folder: false,
  logger: false,
  operation: settings.operation,
});
const client = createProviderClient('kimi', settings);
const streaming = createStreamingUpload(client, { stallTimeoutMs: settings.stallTimeoutMs });
const buffered = createBufferedUpload(client);
const service = await createUploadService({
  upload: guardedUpload(guard, streaming, buffered),
  rolloutStatus: () => guard.status(),
  maxFileBytes: 100 * 1024 * 1024,
  spoolDirectory: settings.spoolDirectory,
  // Under load a queued upload leaves its client waiting on purpose.
  clientSilenceMs: 120_000,
});
await service.listen({ host: '127.0.0.1', port: 0 });
const { port } = service.server.address() as AddressInfo;

/** Linux reports the peak as VmHWM, https://man7.org/linux/man-pages/man5/proc_pid_status.5.html */
function memoryUse(): MemoryUse {
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return { rssBytes: process.memoryUsage.rss(), peakRssBytes: Number(peak) * 1024 };
}

serveParent(
  { url: `http://127.0.0.1:${port}` },
  {
    startPeak: () => {
      collectGarbage();
      // Linux forgets the peak so far, which was that of the start.
      writeFileSync('/proc/self/clear_refs', '5');
      return memoryUse();
    },
    memory: memoryUse,
    outcomes: (): OutcomeCounts => {
      const { successes, failures, errorTypes } = guard.status().snapshot.total[arm];
      const timeouts = errorTypes.find(({ errorType }) => errorType === 'OPERATION_TIMEOUT')?.count ?? 0;
      return { successes, failures, timeouts };
    },
  },
  () => service.server.closeAllConnections(),
);
