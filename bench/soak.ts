/**
 * Many uploads through the whole service, on a real Unleash with the flag at 10 %, while one in a hundred fails: the
 * provider refuses it three times in a row, by whichever path it comes. The new path is thus no worse than the old one,
 * and the guard must not stop the flag; nothing may pile up, and guard, log, provider, users and Unleash must have counted the same.
 *
 *     npx tsx bench/soak.ts                    # 30,000 uploads
 *     npx tsx bench/soak.ts --uploads 3000     # shorter, as in CI
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { InMemStorageProvider } from 'unleash-client';
import { filesHeld } from '../examples/demo/files-held.js';
import { startLoopbackProvider } from '../examples/upload-service/loopback-provider.js';
import { createProviderClient } from '../examples/upload-service/provider-client.js';
import { FLAG_KEY, startUploadRollout } from '../examples/upload-service/rollout.js';
import { createUploadService } from '../examples/upload-service/service.js';
import { createBufferedUpload } from '../examples/upload-service/upload-buffered.js';
import { createStreamingUpload } from '../examples/upload-service/upload-streaming.js';
import type { ArmCounts } from '../src/index.js';
import { readOutcomeLog } from '../src/log/read-log.js';
import { startEmbeddedUnleash } from '../src/testing/index.js';
import { collectGarbage } from './harness.js';
import { Claims } from './soak/claims.js';
import { soakFiles, UNLUCKY } from './soak/files.js';
import { flagUsage } from './uploads/flag-usage.js';
import { uploadTo, usersConnections } from './uploads/upload-client.js';

const { values } = parseArgs({ options: { uploads: { type: 'string', default: '30000' } } });
const uploads = Number(values.uploads);
const CONCURRENCY = 16;
const APP_NAME = 'upload-soak';

const folder = await mkdtemp(join(tmpdir(), 'upload-soak-'));
const spoolDirectory = await mkdtemp(join(folder, 'spool-'));
const guardFolder = join(folder, 'guard');
const unleash = await startEmbeddedUnleash();
await unleash.createFlag(FLAG_KEY, { percentage: 10 });
const files = soakFiles();
const hashes = new Set(files.map(({ sha256 }) => sha256));
const provider = await startLoopbackProvider();
const ATTEMPTS = 3;
const struck = new Map<string, number>();
provider.set({
  fault: 'answer-500',
  // An arm fails after three attempts; the fallback after them gets through.
  strikes: ({ fileName }) => {
    if (!fileName.startsWith(UNLUCKY)) return false;
    const times = (struck.get(fileName) ?? 0) + 1;
    struck.set(fileName, times);
    return times <= ATTEMPTS;
  },
  accepts: ({ sha256 }) => hashes.has(sha256),
});
const client = createProviderClient('kimi', { baseUrl: provider.baseUrl('kimi'), apiKey: provider.apiKey });
const streaming = createStreamingUpload(client);
const buffered = createBufferedUpload(client);
const rollout = await startUploadRollout({
  unleash: {
    UNLEASH_URL: unleash.apiUrl,
    UNLEASH_CLIENT_TOKEN: unleash.clientToken,
    UNLEASH_ADMIN_TOKEN: unleash.adminToken,
    UNLEASH_PROJECT: unleash.project,
    UNLEASH_ENVIRONMENT: unleash.environment,
  },
  streaming,
  buffered,
  provider: { appName: APP_NAME, refreshInterval: 1_000, storageProvider: new InMemStorageProvider() },
  guard: {
    folder: guardFolder,
    logger: false,
    onEvent: (event) => {
      if (event.type === 'decided') console.log(`The guard decided: ${event.decision.reason}`);
      if (event.type === 'fault') console.log(`A fault: ${event.what}: ${event.message}`);
    },
  },
});
const { guard } = rollout;
const service = await createUploadService({
  upload: rollout.upload,
  rolloutStatus: () => guard.status(),
  maxFileBytes: 1_000_000,
  spoolDirectory,
});
await service.listen({ host: '127.0.0.1', port: 0 });
const url = `http://127.0.0.1:${(service.server.address() as AddressInfo).port}`;
const connections = usersConnections();
while (guard.status().flag?.rolloutPercentage !== 10) await sleep(20);

// What the users saw, counted apart from all others.
const seen = { ok: 0, streaming: 0, buffered: 0, failed: 0 };
const heap: number[] = [];
let next = 0;
const startedAt = performance.now();

async function user(): Promise<void> {
  while (next < uploads) {
    const index = next++;
    const { file } = files[index % files.length]!;
    const name = index % 100 === 37 ? `${UNLUCKY}${index}-${file.name}` : file.name;
    const { status, body } = await uploadTo(url, { ...file, name }, `user-${index}`, connections);
    if (status === 201 && body.via !== undefined) {
      seen.ok++;
      seen[body.via]++;
    } else {
      seen.failed++;
    }
    if ((index + 1) % Math.max(1, Math.floor(uploads / 10)) === 0) sample(index + 1);
  }
}

function sample(done: number): void {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  heap.push((heapUsed + external) / 1024 / 1024);
  const perSecond = done / ((performance.now() - startedAt) / 1000);
  console.log(`${done} uploads, ${perSecond.toFixed(0)}/s, ${heap.at(-1)!.toFixed(1)} MB live`);
}

await Promise.all(Array.from({ length: CONCURRENCY }, user));

const { total } = guard.status().snapshot;
const { status } = guard.state;
const flagStillOn = (await unleash.flag(FLAG_KEY)).enabled;
const spooled = await filesHeld(spoolDirectory);
await connections.close();
await service.close();
await rollout.close();
await Promise.all([streaming.close(), buffered.close(), provider.close()]);
const leftBehind = await readdir(spoolDirectory);

const logged = { treatment: 0, control: 0, failures: 0 };
for await (const row of readOutcomeLog(join(guardFolder, 'metrics.jsonl'))) {
  logged[row.arm] += row.weight;
  if (row.result === 'failure') logged.failures += row.weight;
}

const exposures = { yes: recorded('treatment'), no: recorded('control') };
const usage = await settledUsage();
await unleash.stop();
await rm(folder, { recursive: true });
await sleep(100); // Closed sockets leave the event loop.
const handles = process.getActiveResourcesInfo().filter((name) => !/^(TTYWrap|PipeWrap)$/.test(name));

const { treatment, control } = total;
const claims = new Claims();
claims.isTrue('the guard left the flag on', status === 'armed' && flagStillOn);
claims.equal('every upload was recorded once', exposures.yes + exposures.no, uploads);
claims.equal('errors injected, 1 %', treatment.failures + control.failures, Math.floor((uploads + 62) / 100));
claims.isTrue(`some of them on the new path: ${treatment.failures}`, treatment.failures > 0);
claims.equal('for those the old path served the user', treatment.fallbacks, treatment.failures);
claims.equal('the guard and the users agree on the new path', treatment.successes, seen.streaming);
claims.equal('and on the old path', control.successes + treatment.fallbacks, seen.buffered);
claims.equal('and on who got nothing', control.failures, seen.failed);
claims.equal('the provider has every other file, each with the right hash', provider.receivedCount, seen.ok);
claims.equal(
  'it refused each injected error three times',
  provider.faults?.count ?? 0,
  ATTEMPTS * (treatment.failures + control.failures),
);
claims.equal('nothing was aborted, expected or critical', notable(treatment) + notable(control), 0);
claims.equal('the log has a line for each upload by the new path', logged.treatment, exposures.yes);
claims.equal('and for each by the old path', logged.control, exposures.no);
claims.equal('and the same failures', logged.failures, treatment.failures + control.failures);
claims.equal('Unleash counted the exposures to the new path', usage.yes, exposures.yes);
claims.equal('Unleash counted the exposures to the old path', usage.no, exposures.no);
claims.equal('no temporary file was left', spooled.length + leftBehind.length, 0);
claims.equal(`no handle was left open (${handles.join(', ') || 'none'})`, handles.length, 0);
const [first, last] = [Math.max(...heap.slice(1, 5)), Math.max(...heap.slice(-4))];
claims.isTrue(
  `memory stayed flat: ${first.toFixed(1)} MB early, ${last.toFixed(1)} MB late`,
  last < first + 5,
);
claims.print();

function notable({ aborted, expected, critical }: ArmCounts): number {
  return aborted + expected + critical;
}

function recorded(arm: 'treatment' | 'control'): number {
  const { successes, failures, expected, aborted } = total[arm];
  return successes + failures + expected + aborted;
}

/** Unleash writes usage metrics down some seconds after they came. */
async function settledUsage(): Promise<{ yes: number; no: number }> {
  let usage = await flagUsage(unleash, FLAG_KEY, APP_NAME);
  for (let turn = 0; turn < 150 && usage.yes + usage.no < uploads; turn++) {
    await sleep(200);
    usage = await flagUsage(unleash, FLAG_KEY, APP_NAME);
  }
  return usage;
}
