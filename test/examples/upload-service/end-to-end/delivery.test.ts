import { randomUUID } from 'node:crypto';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { flagUsage } from '../../../../bench/uploads/flag-usage.js';
import { generatedFile } from '../../../../bench/uploads/generated-file.js';
import type { ClientAnswer, ClientFile } from '../../../../bench/uploads/upload-client.js';
import { eventually } from '../../../helpers/eventually.js';
import { type SharedUnleash, sharedUnleash } from '../../../helpers/test-run.js';
import { FILE_TYPES, sha256Of } from './files.js';
import { fileOf, NONE, recordedDuring, startWorld, type World, type WorldOptions } from './world.js';

const MB = 1024 * 1024;
const FLAG_KEY = 'delivery-upload';
/** Far more than a slow machine needs: what is under test is not speed. */
const GUARD = { flagKey: FLAG_KEY, operation: { timeoutMs: 110_000 } } as const;

let unleash: SharedUnleash;
let world: World | undefined;

beforeAll(async () => {
  unleash = await sharedUnleash();
  // The group decides which users are in: with this one, some are at 1 %.
  const parameters = { rollout: '50', stickiness: 'default', groupId: 'async-upload' };
  await unleash.createFlag(FLAG_KEY, { strategies: [{ name: 'flexibleRollout', parameters }] });
});
afterEach(async () => {
  await world?.close();
  world = undefined;
});

async function start(options: WorldOptions): Promise<World> {
  world = await startWorld(unleash, { guard: GUARD, ...options });
  return world;
}

/** Uploads everything at once and checks every byte that arrived; returns which path each file took. */
async function uploadAll(
  at: World,
  uploads: readonly { readonly file: ClientFile; readonly userId: string }[],
): Promise<ClientAnswer['body']['via'][]> {
  const answers = await Promise.all(uploads.map(({ file, userId }) => at.upload(file, userId)));
  expect(answers.filter(({ status }) => status !== 201)).toEqual([]);
  const arrived = new Map(at.provider.received.map((file) => [file.id, file]));
  const wrong = answers.filter(({ body }, index) => {
    const { file } = uploads[index]!;
    const stored = arrived.get(body.id!);
    const streamed = body.via === 'streaming';
    return (
      stored?.sha256 !== sha256Of(file) ||
      stored.sizeBytes !== file.sizeBytes ||
      stored.fileName !== file.name ||
      stored.contentType !== file.contentType ||
      stored.streamed !== streamed ||
      stored.api !== body.provider
    );
  });
  expect(wrong).toEqual([]);
  expect(await at.spooledFiles()).toEqual([]);
  return answers.map(({ body }) => body.via);
}

const count = (paths: readonly unknown[], path: string) => paths.filter((each) => each === path).length;
const successes = (paths: readonly unknown[]) => ({
  treatment: { ...NONE, successes: count(paths, 'streaming') },
  control: { ...NONE, successes: count(paths, 'buffered') },
});

const USERS = Array.from({ length: 12 }, (_, index) => `user-${index}`);

describe.each(['kimi', 'glm', 'fallback'] as const)('uploads to %s', (fileProvider) => {
  it('deliver six types of files byte for byte by both paths, and record each', async () => {
    const at = await start({ fileProvider, percentage: 50 });
    if (fileProvider === 'fallback')
      at.provider.set({ fault: 'answer-500', strikes: ({ api }) => api === 'kimi' });
    const uploads = USERS.flatMap((userId) => FILE_TYPES.map((file) => ({ file, userId })));
    let paths: unknown[] = [];
    const recorded = await recordedDuring(at, async () => {
      paths = await uploadAll(at, uploads);
    });
    expect(count(paths, 'streaming')).toBeGreaterThan(0);
    expect(count(paths, 'buffered')).toBeGreaterThan(0);
    expect(recorded).toEqual(successes(paths));
    const keeper = fileProvider === 'fallback' ? 'glm' : fileProvider;
    expect(new Set(at.provider.received.map(({ api }) => api))).toEqual(new Set([keeper]));
  });

  // 100 MB go through each path once, 50 MB too; each provider gets its share of the large ones.
  const sizes = [1, 10, ...(fileProvider === 'glm' ? [50] : []), ...(fileProvider === 'kimi' ? [100] : [])];
  it.each([
    ['streaming', 100],
    ['buffered', 0],
  ] as const)(
    `deliver files of ${sizes.join(', ')} MB (%s)`,
    { timeout: 120_000 },
    async (path, percentage) => {
      const at = await start({ fileProvider, percentage });
      if (fileProvider === 'fallback') {
        at.provider.set({ fault: 'reset-connection', strikes: ({ api }) => api === 'kimi' });
      }
      for (const [seed, size] of sizes.entries()) {
        const file = generatedFile(`${size}MB.pdf`, 'application/pdf', size * MB, seed);
        const recorded = await recordedDuring(at, () => uploadAll(at, [{ file, userId: 'ada' }]));
        expect(recorded).toEqual(successes([path]));
      }
    },
  );
});

it('a rollout of 1, 10, 50 and 100 % serves all types of files at each stage', {
  timeout: 120_000,
}, async () => {
  const at = await start({ percentage: 0 });
  const users = Array.from({ length: 300 }, (_, index) => `user-${index}`);
  const oneEach = users.map((userId, index) => ({ file: FILE_TYPES[index % FILE_TYPES.length]!, userId }));
  let before: readonly string[] = [];
  const share = new Map<number, number>();
  for (const percentage of [1, 10, 50, 100]) {
    await at.setPercentage(percentage);
    const { epoch } = at.guard.status();
    const paths = await uploadAll(at, oneEach);
    const onTreatment = users.filter((_, index) => paths[index] === 'streaming');
    const one = onTreatment[0]!;
    paths.push(
      ...(await uploadAll(
        at,
        FILE_TYPES.map((file) => ({ file, userId: one })),
      )),
    );

    expect(new Set(paths.slice(-FILE_TYPES.length))).toEqual(new Set(['streaming']));
    expect(before.filter((user) => !onTreatment.includes(user))).toEqual([]); // Who was in stays in.
    const { total } = at.guard.status().snapshot;
    expect(at.guard.status().epoch).toBe(epoch);
    expect(total.treatment).toMatchObject({ ...NONE, successes: count(paths, 'streaming') });
    expect(total.control).toMatchObject({ ...NONE, successes: count(paths, 'buffered') });
    share.set(percentage, onTreatment.length);
    before = onTreatment;
  }
  // Which users are in is Unleash's hash of their ids: the same on every run.
  expect(share.get(1)).toBeLessThan(15);
  expect(share.get(10)).toBeLessThan(60);
  expect(share.get(50)).toBeGreaterThan(100);
  expect(share.get(100)).toBe(users.length);
  expect(at.guard.state.status).toBe('armed');
});

describe('concurrent uploads', () => {
  it.each([10, 100, 1_000])(
    'of %d users arrive whole, each recorded once',
    { timeout: 120_000 },
    async (users) => {
      const at = await start({ percentage: 50 });
      const uploads = Array.from({ length: users }, (_, index) => ({
        file: generatedFile(`${index}.csv`, 'text/csv', 2_000 + index * 7, index),
        userId: `user-${index}`,
      }));
      let paths: unknown[] = [];
      const recorded = await recordedDuring(at, async () => {
        paths = await uploadAll(at, uploads);
      });
      expect(recorded).toEqual(successes(paths));
      expect(at.provider.receivedCount).toBe(users);
      expect(at.provider.attemptCount).toBe(users);
    },
  );
});

it('metrics of text, binary, large and all files agree in guard, provider and Unleash', {
  timeout: 120_000,
}, async () => {
  const text = FILE_TYPES.slice(0, 5);
  const binary = FILE_TYPES.slice(5);
  const large = [generatedFile('large.pdf', 'application/pdf', 3 * MB, 1)];
  const kinds = { text, binary, large, all: [...text, ...binary, ...large] };
  const evaluated: Record<string, { yes: number; no: number }> = {};
  // Unleash adds up what an application sends.
  const attempt = randomUUID();
  const appNameOf = (kind: string) => `metrics-${kind}-${attempt}`;
  for (const [kind, files] of Object.entries(kinds)) {
    const at = await start({ percentage: 50, appName: appNameOf(kind) });
    const uploads = USERS.flatMap((userId) => files.map((file) => ({ file, userId })));
    const paths = await uploadAll(at, uploads);
    const streamed = count(paths, 'streaming');

    const { treatment, control } = at.guard.status().snapshot.total;
    expect(treatment).toMatchObject({ ...NONE, successes: streamed, errorTypes: [] });
    expect(control).toMatchObject({ ...NONE, successes: uploads.length - streamed, errorTypes: [] });
    for (const { successes, latency } of [treatment, control]) {
      expect(latency?.count).toBe(successes);
      expect(latency!.p50Ms).toBeGreaterThan(0);
      expect(latency!.p95Ms).toBeGreaterThanOrEqual(latency!.p50Ms);
      expect(latency!.p99Ms).toBeGreaterThanOrEqual(latency!.p95Ms);
    }
    expect(at.provider.receivedCount).toBe(uploads.length);
    evaluated[kind] = { yes: streamed, no: uploads.length - streamed };
    await at.close(); // Sends the last usage metrics.
    world = undefined;
  }
  for (const kind of Object.keys(kinds)) await usageIs(appNameOf(kind), evaluated[kind]!);
});

/** Waits until Unleash's own usage metrics show this of the flag in one application. */
async function usageIs(appName: string, expected: { yes: number; no: number }): Promise<void> {
  const usage = () => flagUsage(unleash, FLAG_KEY, appName);
  await eventually(async () => expect(await usage()).toEqual(expected), 200);
}

it('ends what is under way before it closes, and sends the outcomes', async () => {
  const appName = `closing-${randomUUID()}`;
  const at = await start({ percentage: 100, appName });
  at.provider.slowDown(500);
  const file = fileOf('last.txt', 'text/plain', 'the last one');
  const uploading = at.upload(file, 'ada');
  await eventually(() => expect(at.provider.attemptCount).toBe(1));

  world = undefined;
  const closing = at.close();

  expect(await uploading).toMatchObject({ status: 201, body: { via: 'streaming' } });
  await closing;
  expect(at.provider.received).toMatchObject([{ sha256: sha256Of(file) }]);
  expect(at.guard.status().snapshot.total.treatment.successes).toBe(1);
  await expect(at.upload(file, 'ada')).rejects.toThrow();
  await usageIs(appName, { yes: 1, no: 0 });
});
