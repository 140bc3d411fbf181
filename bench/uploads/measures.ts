import { median } from '../harness.js';
import { type ArmSettings, type RunningArm, startArm, uploadMany } from './arms.js';
import { makeCertificate } from './certificate.js';
import { generatedFile } from './generated-file.js';
import { less, type Section, times } from './report.js';
import type { ClientFile } from './upload-client.js';

const MB = 1024 * 1024;

/** How much is done; the short form is for a quick check and for CI. */
export interface Effort {
  readonly largeFileBytes: number;
  readonly largeFiles: number;
  readonly memoryRounds: number;
  readonly throughputUploads: number;
  readonly latencyUploads: number;
  readonly stallUploads: number;
}

export const FULL: Effort = {
  largeFileBytes: 100 * MB,
  largeFiles: 20,
  memoryRounds: 3,
  throughputUploads: 600,
  latencyUploads: 150,
  stallUploads: 300,
};
export const SHORT: Effort = {
  largeFileBytes: 30 * MB,
  largeFiles: 5,
  memoryRounds: 1,
  throughputUploads: 100,
  latencyUploads: 20,
  stallUploads: 60,
};

/** As over a network: each connection carries 10 MB/s, a round trip takes 35 ms, the provider needs 50 ms for a file. */
const NETWORK = { roundTripMs: 35, bytesPerSecond: 10 * MB, processingMs: 50 } as const;
const NETWORK_WORDS = '35 ms round trip and 10 MB/s for each connection, 50 ms of the provider for a file';

async function withArms<T>(
  settings: ArmSettings,
  run: (control: RunningArm, treatment: RunningArm) => Promise<T>,
): Promise<T> {
  const control = await startArm('control', settings);
  const treatment = await startArm('treatment', settings);
  try {
    return await run(control, treatment);
  } finally {
    await Promise.all([control.stop(), treatment.stop()]);
  }
}

/** Uploads, of which none may fail: what fails fast would look fast. */
async function allOf(
  arm: RunningArm,
  users: number,
  count: number,
  file: (seed: number) => ClientFile,
): Promise<void> {
  const succeeded = await uploadMany(arm, users, count, file);
  if (succeeded !== count) throw new Error(`${arm.arm}: only ${succeeded} of ${count} uploads succeeded`);
}

/** Peak memory of the service's process above what it had before, each time in processes of their own. */
export async function memory(effort: Effort): Promise<Section> {
  const cases = [
    { what: `one file of ${effort.largeFileBytes / MB} MB`, files: 1, sizeBytes: effort.largeFileBytes },
    { what: `${effort.largeFiles} files of 10 MB at once`, files: effort.largeFiles, sizeBytes: 10 * MB },
  ];
  const figures = [];
  const remarks: string[] = [];
  for (const { what, files, sizeBytes } of cases) {
    const growths: [number[], number[]] = [[], []];
    const peaks: [number[], number[]] = [[], []];
    for (let round = 0; round < effort.memoryRounds; round++) {
      await withArms(NETWORK, async (...arms) => {
        for (const [index, arm] of arms.entries()) {
          const { before, peak } = await peakMemory(arm, files, sizeBytes);
          growths[index]!.push((peak - before) / MB);
          peaks[index]!.push(peak / MB);
        }
      });
    }
    figures.push(less(what, median(growths[0]), median(growths[1]), 'MB', [80, 90]));
    remarks.push(
      `${what}: the whole process, Node and all, peaked at ${median(peaks[0]).toFixed(0)} MB with the control and ` +
        `${median(peaks[1]).toFixed(0)} MB with the treatment.`,
    );
  }
  return {
    title: 'Peak memory that uploads cost',
    setUp:
      `Highest resident memory of the service's process minus what it had before (after 40 uploads of 256 kB, garbage ` +
      `collected); median of ${effort.memoryRounds} round(s), each in new processes; ${NETWORK_WORDS}.`,
    figures,
    remarks,
  };
}

async function peakMemory(
  arm: RunningArm,
  files: number,
  sizeBytes: number,
): Promise<{ before: number; peak: number }> {
  const file = (bytes: number) => (seed: number) => generatedFile('a.pdf', 'application/pdf', bytes, seed);
  await allOf(arm, 10, 40, file(256 * 1024));
  const { rssBytes } = await arm.startPeak();
  await allOf(arm, files, files, file(sizeBytes));
  return { before: rssBytes, peak: (await arm.memory()).peakRssBytes };
}

/** Files a second, for users who upload again and again. */
export async function throughput(effort: Effort): Promise<Section> {
  const sizeBytes = 256 * 1024;
  const file = (seed: number) => generatedFile('a.pdf', 'application/pdf', sizeBytes, seed);
  const figures = await withArms(NETWORK, async (control, treatment) => {
    const rows = [];
    for (const users of [10, 50]) {
      const rate = async (arm: RunningArm, uploads: number) => {
        const startedAt = performance.now();
        await allOf(arm, users, uploads, file);
        return uploads / ((performance.now() - startedAt) / 1000);
      };
      // The control gets a fifth of the uploads: its rate does not depend on how long it is watched.
      const perSecond = [
        await rate(control, effort.throughputUploads / 5),
        await rate(treatment, effort.throughputUploads),
      ];
      rows.push(times(`${users} users at once`, perSecond[0]!, perSecond[1]!, 'files/s', [5, 10]));
    }
    return rows;
  });
  return {
    title: 'Throughput',
    setUp: `Files of 256 kB; ${NETWORK_WORDS}. The treatment keeps at most 16 connections.`,
    figures,
    remarks: [
      'The control sends one file after another, so more users do not make it faster; the treatment sends 16 at a time.',
    ],
  };
}

/** Small files one at a time, arms in turn: the cost of new connections. */
export async function latency(effort: Effort): Promise<Section> {
  const certificate = await makeCertificate();
  const figures = [];
  const remarks: string[] = [];
  try {
    for (const roundTripMs of [20, 50]) {
      const settings = { ...NETWORK, roundTripMs, tls: certificate, trust: certificate.certFile };
      const [control, treatment] = await withArms(settings, async (...arms) => {
        const taken: [number[], number[]] = [[], []];
        for (let i = 0; i < effort.latencyUploads; i++) {
          for (const [index, arm] of arms.entries()) {
            const startedAt = performance.now();
            await allOf(arm, 1, 1, () => generatedFile('a.txt', 'text/plain', 10_000, i));
            taken[index]!.push(performance.now() - startedAt);
          }
        }
        const [, kept] = await Promise.all(arms.map((arm) => arm.provider()));
        remarks.push(
          `Round trip ${roundTripMs} ms: the treatment made ${kept!.connections} connection(s) in all.`,
        );
        return taken;
      });
      for (const [name, rank] of [
        ['p50', 0.5],
        ['p95', 0.95],
      ] as const) {
        const what = `${name}, ${roundTripMs} ms round trip`;
        figures.push(less(what, quantile(control!, rank), quantile(treatment!, rank), 'ms', [30, 50]));
      }
    }
  } finally {
    await certificate.remove();
  }
  return {
    title: 'Latency of small files: kept connections against new ones, with TLS',
    setUp: 'Files of 10 kB, one at a time, arms in turn; TLS 1.3, 10 MB/s, 50 ms of the provider for a file.',
    figures,
    remarks: [
      'A new connection costs two round trips, TCP and TLS, before the request has its own. The gain therefore grows',
      'with the round trip and shrinks with the time that the provider itself needs.',
      ...remarks,
    ],
  };
}

/** Uploads that ran out of time, while a provider stalls now and then. */
export async function stalls(effort: Effort): Promise<Section> {
  const settings: ArmSettings = {
    ...NETWORK,
    stallEvery: 50,
    operation: { retries: 2, timeoutMs: 6_000, fallback: false },
    stallTimeoutMs: 2_000,
  };
  const file = (seed: number) => generatedFile('a.pdf', 'application/pdf', 100_000, seed);
  const [control, treatment] = await withArms(settings, (...arms) =>
    Promise.all(
      arms.map(async (arm) => {
        await uploadMany(arm, 5, effort.stallUploads, file);
        return { ...(await arm.outcomes()), ...(await arm.provider()) };
      }),
    ),
  );
  return {
    title: 'Timeouts under a provider that stalls',
    setUp:
      `${effort.stallUploads} files of 100 kB by 5 users at once; one upload in 50 stalls half-way and never moves ` +
      `again. The guard's 30 s limit and the treatment's 10 s limit for a stall, both five times as short; ${NETWORK_WORDS}.`,
    figures: [less('uploads that timed out', control!.timeouts, treatment!.timeouts, 'uploads', [95, 95])],
    remarks: [
      `${control!.stalled} uploads of the control met a stall, ${treatment!.stalled} of the treatment. In the control`,
      'each holds the queue until its time is up, and those behind it run out of theirs. The treatment notices that',
      'nothing moves and tries again on another connection, while the others go on.',
    ],
  };
}

function quantile(values: readonly number[], rank: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(rank * sorted.length) - 1)]!;
}
