import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import type { ArmCounts } from 'unleash-rollout-guard';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { generatedFile } from '../../../../bench/uploads/generated-file.js';
import type { Fault } from '../../../../examples/upload-service/loopback/conditions.js';
import { FLAG_KEY } from '../../../../examples/upload-service/rollout.js';
import { eventually } from '../../../helpers/eventually.js';
import { type SharedUnleash, sharedUnleash } from '../../../helpers/test-run.js';
import { sha256Of } from './files.js';
import { type ImportFolder, makeImportFolder, withoutPrivileges } from './import-folder.js';
import { sendRaw } from './raw-request.js';
import { fileOf, NONE, recordedDuring, startWorld, type World } from './world.js';

const MAX_FILE_BYTES = 1_000_000;
const file = generatedFile('report.pdf', 'application/pdf', 400_000, 1);

let unleash: SharedUnleash;
let imports: ImportFolder;

beforeAll(async () => {
  unleash = await sharedUnleash();
  await unleash.createFlag(FLAG_KEY, { percentage: 100 });
  imports = await makeImportFolder(MAX_FILE_BYTES);
});
afterAll(async () => {
  await imports?.remove();
});

describe.each([
  ['treatment', 100],
  ['control', 0],
] as const)('on the %s', (arm, percentage) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld(unleash, {
      percentage,
      maxFileBytes: MAX_FILE_BYTES,
      importDirectory: imports.path,
      // Nothing is ever stopped: each test checks its own counts.
      guard: { dryRun: true },
    });
  });
  afterAll(() => world?.close());
  afterEach(() => world.provider.repair());

  const other = arm === 'treatment' ? 'control' : 'treatment';
  /** What is recorded of one operation: on this arm these counts, on the other none. */
  const once = (counts: Partial<ArmCounts>) => ({ [arm]: { ...NONE, ...counts }, [other]: NONE });
  const errorTypes = () =>
    world.guard.status().snapshot.total[arm].errorTypes.map(({ errorType }) => errorType);

  describe('the source', () => {
    it('is a file in the import folder', async () => {
      const recorded = await recordedDuring(world, async () =>
        expect(await world.uploadPath('letter.txt', 'ada')).toMatchObject({ status: 201 }),
      );
      expect(recorded).toEqual(once({ successes: 1 }));
      const letter = fileOf('letter.txt', 'text/plain', imports.letter);
      expect(world.provider.received.at(-1)).toMatchObject({
        fileName: 'letter.txt',
        sha256: sha256Of(letter),
      });
    });

    it.each([
      ['does not exist', 'nowhere.txt', 404, 'FILE_NOT_FOUND'],
      ['is a folder', 'folder', 404, 'FILE_NOT_FOUND'],
      ['lies under a file', 'letter.txt/more', 404, 'FILE_NOT_FOUND'],
      ['lies outside', '../outside.txt', 404, 'FILE_NOT_FOUND'],
      ['is a link that leads outside', 'link.txt', 404, 'FILE_NOT_FOUND'],
      ['has a NUL in its path', 'letter.txt\0.png', 404, 'FILE_NOT_FOUND'],
      ['has an endless path', 'a'.repeat(5_000), 404, 'FILE_NOT_FOUND'],
      ['may not be read', 'secret.txt', 403, 'FILE_NOT_READABLE'],
      ['is too large', 'large.bin', 413, 'FILE_TOO_LARGE'],
    ])('is expected trouble when it %s', async (_what, path, status, code) => {
      const stored = world.provider.receivedCount;
      const recorded = await recordedDuring(world, async () => {
        const answer = await withoutPrivileges(() => world.uploadPath(path, 'ada'));
        expect(answer).toMatchObject({ status, body: { error: { code } } });
        expect(JSON.stringify(answer)).not.toContain(imports.path);
      });
      expect(recorded).toEqual(once({ expected: 1 }));
      expect(world.provider.receivedCount).toBe(stored);
    });
  });

  describe('a file', () => {
    it.each([
      ['a Unix path', '../../etc/passwd', 'passwd'],
      ['a Windows path', 'C:\\Users\\me\\cv.pdf', 'cv.pdf'],
      ['NULs', 'a\0b\0.txt', 'ab.txt'],
      ['quotes', 'say "hi" \'there\'.txt', 'say "hi" \'there\'.txt'],
      ['emoji', '🚀 日本語.md', '🚀 日本語.md'],
      ['5,000 characters', `${'é'.repeat(4_996)}.txt`, `${'é'.repeat(125)}.txt`],
      ['nothing', '..', 'file'],
    ])('with %s in its name arrives under a plain name', async (_what, name, arrived) => {
      const named = fileOf(name, 'text/plain', `content of ${name}`);
      const recorded = await recordedDuring(world, async () =>
        expect(await world.upload(named, 'ada')).toMatchObject({ status: 201, body: { fileName: arrived } }),
      );
      expect(recorded).toEqual(once({ successes: 1 }));
      expect(world.provider.received.at(-1)).toMatchObject({ fileName: arrived, sha256: sha256Of(named) });
    });

    it('that is empty arrives', async () => {
      const empty = fileOf('empty.txt', 'text/plain', '');
      const recorded = await recordedDuring(world, () => world.upload(empty, 'ada'));
      expect(recorded).toEqual(once({ successes: 1 }));
      expect(world.provider.received.at(-1)).toMatchObject({ sizeBytes: 0, sha256: sha256Of(empty) });
    });

    it('that is too large is refused, and nothing of it is kept', async () => {
      const stored = world.provider.receivedCount;
      const large = generatedFile('large.pdf', 'application/pdf', MAX_FILE_BYTES + 1, 2);
      const recorded = await recordedDuring(world, async () =>
        expect(await world.upload(large, 'ada')).toEqual({
          status: 413,
          body: {
            error: { code: 'FILE_TOO_LARGE', message: expect.stringContaining(`${MAX_FILE_BYTES} bytes`) },
          },
        }),
      );
      expect(recorded).toEqual(once({ expected: 1 }));
      expect(world.provider.receivedCount).toBe(stored);
      expect(await world.spooledFiles()).toEqual([]);
    });
  });

  describe('a client', () => {
    const content = randomBytes(200_000);
    const notEvaluated = () => {
      const { expected, aborted } = world.guard.status().snapshot.total[arm];
      return expected + aborted;
    };

    it.each([
      [
        'vanishes in the middle',
        (at: World) => sendRaw(at.url, '/upload', { content, contentLength: 900_000, ending: false }),
      ],
      [
        'sends less than it announced',
        (at: World) => sendRaw(at.url, '/upload', { content, contentLength: 900_000 }),
      ],
    ])('that %s counts for neither arm and leaves no file', async (_what, send) => {
      const stored = world.provider.receivedCount;
      const before = notEvaluated();
      const recorded = await recordedDuring(world, async () => {
        const connection = await send(world);
        connection.socket.destroy();
        await eventually(() => expect(notEvaluated()).toBe(before + 1));
      });
      expect(recorded[arm]).toMatchObject({ successes: 0, failures: 0, fallbacks: 0 });
      expect(recorded[other]).toEqual(NONE);
      await eventually(async () => expect(await world.spooledFiles()).toEqual([]));
      expect(world.provider.receivedCount).toBe(stored);
    });

    it('that sends more than it announced has sent a broken form', async () => {
      const stored = world.provider.receivedCount;
      const before = notEvaluated();
      const recorded = await recordedDuring(world, async () => {
        const connection = await sendRaw(world.url, '/upload', { content, contentLength: 100_000 });
        await eventually(() => expect(connection.received).toContain('HTTP/1.1 400'));
        connection.socket.destroy();
        await eventually(() => expect(notEvaluated()).toBe(before + 1));
      });
      expect(recorded[arm]).toMatchObject({ successes: 0, failures: 0, fallbacks: 0 });
      expect(recorded[other]).toEqual(NONE);
      expect(world.provider.receivedCount).toBe(stored);
      await eventually(async () => expect(await world.spooledFiles()).toEqual([]));
    });
  });

  describe('a provider that fails for good', () => {
    it.each([
      ['answers 500', 'answer-500', 502, 'PROVIDER_HTTP_500', 3],
      ['answers 429', 'answer-429', 502, 'PROVIDER_HTTP_429', 3],
      ['breaks the connection', 'reset-connection', 502, undefined, 3],
      ['breaks the connection while it answers', 'cut-answer', 502, undefined, 3],
      ['answers nonsense', 'garble-answer', 502, 'PROVIDER_ANSWER_INVALID', 1],
      ['loses a byte', 'lose-bytes', 502, 'PROVIDER_FILE_INCOMPLETE', 1],
    ] as const)('and %s is a failure of the path', async (_what, fault, status, errorType, attempts) => {
      world.provider.set({ fault: fault satisfies Fault });
      const recorded = await recordedDuring(world, async () =>
        expect(await world.upload(file, 'ada')).toMatchObject({ status }),
      );
      // On the treatment, the control is tried for the user, and fails as often.
      expect(world.provider.faults?.count).toBe(arm === 'treatment' ? 2 * attempts : attempts);
      expect(recorded).toEqual(once({ failures: 1, fallbacks: arm === 'treatment' ? 1 : 0 }));
      if (errorType !== undefined) expect(errorTypes()).toContain(errorType);
      expect(await world.spooledFiles()).toEqual([]);
    });

    it('and does not get what was sent refuses it', async () => {
      world.provider.set({ accepts: ({ sha256 }) => sha256 !== sha256Of(file) });
      const recorded = await recordedDuring(world, async () =>
        expect(await world.upload(file, 'ada')).toMatchObject({ status: 502 }),
      );
      expect(recorded[arm]).toMatchObject({ failures: 1 });
      expect(errorTypes()).toContain('PROVIDER_HTTP_400');
    });
  });

  it.each(['answer-429', 'reset-connection', 'cut-answer'] as const)(
    'a provider that fails once (%s) costs a retry',
    async (fault) => {
      const first = world.provider.attemptCount + 1;
      world.provider.set({ fault, strikes: ({ number }) => number === first });
      const recorded = await recordedDuring(world, async () =>
        expect(await world.upload(file, 'ada')).toMatchObject({ status: 201 }),
      );
      expect(recorded).toEqual(once({ successes: 1, retried: 1 }));
      expect(world.provider.received.at(-1)).toMatchObject({ sha256: sha256Of(file) });
    },
  );

  it('a provider that is not there is a network error', async () => {
    const gone = await startWorld(unleash, { percentage, guard: { dryRun: true } });
    await gone.provider.close();
    const recorded = await recordedDuring(gone, async () =>
      expect(await gone.upload(file, 'ada')).toMatchObject({
        status: 502,
        body: { error: { code: 'PROVIDER_UNREACHABLE' } },
      }),
    );
    expect(recorded).toEqual(once({ failures: 1, fallbacks: arm === 'treatment' ? 1 : 0 }));
    expect(gone.guard.status().snapshot.total[arm].errorTypes).toEqual([
      { errorType: 'ECONNREFUSED', count: 1 },
    ]);
    await gone.close();
  });

  it('a provider that never answers is a timeout', async () => {
    const world = await startWorld(unleash, {
      percentage,
      guard: { dryRun: true, operation: { timeoutMs: 500 } },
    });
    world.provider.set({ fault: 'never-answer' });
    const recorded = await recordedDuring(world, async () =>
      expect(await world.upload(file, 'ada')).toMatchObject({
        status: 504,
        body: { error: { code: 'OPERATION_TIMEOUT' } },
      }),
    );
    expect(recorded).toEqual(once({ failures: 1, fallbacks: arm === 'treatment' ? 1 : 0 }));
    expect(world.guard.status().snapshot.total[arm].errorTypes).toEqual([
      { errorType: 'OPERATION_TIMEOUT', count: 1 },
    ]);
    expect(await world.spooledFiles()).toEqual([]);
    await world.close();
  });
});

describe('trouble of the streaming path alone', () => {
  it('that stalls is aborted in time for another attempt', async () => {
    const world = await startWorld(unleash, { percentage: 100, stallTimeoutMs: 2_000 });
    world.provider.set({ fault: 'stall', strikes: ({ number }) => number === 1 });
    const recorded = await recordedDuring(world, async () =>
      expect(await world.upload(file, 'ada')).toMatchObject({ status: 201, body: { via: 'streaming' } }),
    );
    expect(recorded.treatment).toEqual({ ...NONE, successes: 1, retried: 1 });
    expect(world.provider.received).toMatchObject([{ sha256: sha256Of(file) }]);
    await world.close();
  });

  it('that has no room to spool is served by the old path', async () => {
    const world = await startWorld(unleash, { percentage: 100 });
    await rm(world.spoolDirectory, { recursive: true });
    const recorded = await recordedDuring(world, async () =>
      expect(await world.upload(file, 'ada')).toMatchObject({ status: 201, body: { via: 'buffered' } }),
    );
    expect(recorded.treatment).toEqual({ ...NONE, failures: 1, fallbacks: 1 });
    expect(world.provider.received).toMatchObject([{ sha256: sha256Of(file), streamed: false }]);
    await mkdir(world.spoolDirectory);
    await world.close();
  });
});
