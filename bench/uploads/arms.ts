import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Arm, OperationPolicy } from '../../src/index.js';
import { type Child, startChild } from './child.js';
import { generatedFile } from './generated-file.js';
import type { ProviderCounts, ProviderReady, ProviderSettings } from './provider-process.js';
import type { MemoryUse, OutcomeCounts } from './service-process.js';
import { type ClientFile, uploadTo, usersConnections } from './upload-client.js';

/** The service with one path in front of a provider of its own: three processes with this one. */
export interface RunningArm {
  readonly arm: Arm;
  /** Uploads one file and returns whether the provider has it. */
  upload(file: ClientFile): Promise<boolean>;
  memory(): Promise<MemoryUse>;
  /** Collects the garbage of the service's process and starts to measure its peak; returns what it uses now. */
  startPeak(): Promise<MemoryUse>;
  outcomes(): Promise<OutcomeCounts>;
  provider(): Promise<ProviderCounts>;
  stop(): Promise<void>;
}

/** How to start an arm. */
export interface ArmSettings extends ProviderSettings {
  readonly operation?: OperationPolicy;
  readonly stallTimeoutMs?: number;
  /** A file for `NODE_EXTRA_CA_CERTS`. */
  readonly trust?: string;
}

/** The guard's policy, without the fallback (each arm stands for itself) and with time enough for 100 MB. */
const LONG_TIMEOUT: OperationPolicy = { retries: 2, timeoutMs: 300_000, fallback: false };

/** Starts one arm and uploads a few small files with it, so that nothing is measured cold. */
export async function startArm(arm: Arm, settings: ArmSettings): Promise<RunningArm> {
  const spoolDirectory = await mkdtemp(join(tmpdir(), 'uploads-bench-'));
  const provider: Child<ProviderReady> = await startChild('./provider-process.ts', settings);
  const service: Child<{ url: string }> = await startChild(
    './service-process.ts',
    {
      arm,
      spoolDirectory,
      ...provider.ready,
      operation: settings.operation ?? LONG_TIMEOUT,
      stallTimeoutMs: settings.stallTimeoutMs,
    },
    settings.trust === undefined ? {} : { NODE_EXTRA_CA_CERTS: settings.trust },
  );
  const connections = usersConnections();
  const running: RunningArm = {
    arm,
    async upload(file) {
      const { status } = await uploadTo(service.ready.url, file, 'ada', connections);
      return status === 201;
    },
    memory: () => service.call('memory'),
    startPeak: () => service.call('startPeak'),
    outcomes: () => service.call('outcomes'),
    provider: () => provider.call('counts'),
    async stop() {
      await connections.destroy();
      await service.stop();
      await provider.stop();
      await rm(spoolDirectory, { recursive: true });
    },
  };
  for (let i = 0; i < 5; i++) await running.upload(generatedFile('warm-up.txt', 'text/plain', 1_000, i));
  return running;
}

/** `count` uploads by `users` who each begin the next when the last has ended. Returns how many succeeded. */
export async function uploadMany(
  arm: RunningArm,
  users: number,
  count: number,
  file: (index: number) => ClientFile,
): Promise<number> {
  let next = 0;
  let succeeded = 0;
  const user = async () => {
    while (next < count) if (await arm.upload(file(next++))) succeeded++;
  };
  await Promise.all(Array.from({ length: users }, user));
  return succeeded;
}
