import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { asyncUploadRollout, type FlagSource, RolloutGuard } from 'unleash-rollout-guard';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { guardedUpload } from '../../../examples/upload-service/rollout.js';
import { eventually } from '../../helpers/eventually.js';
import { post, type RigOptions, sha256, startRig } from './rig.js';

describe('the guarded upload', () => {
  let on: boolean;
  let guard: RolloutGuard;
  beforeEach(() => {
    on = true;
    guard = new RolloutGuard({
      flagKey: 'async-upload',
      flags: flagSource(() => on),
      unleash: { url: 'http://unleash.test/api', token: '*:*.made-up', environment: 'development' },
      ...asyncUploadRollout,
      folder: false,
      logger: false,
      random: () => 0, // Retries come at once.
    });
  });
  const upload: RigOptions['upload'] = ({ streaming, buffered }) => guardedUpload(guard, streaming, buffered);
  const counts = () => guard.status().snapshot.total;

  it.each([
    ['streams', true, 'streaming', 'treatment'],
    ['buffers', false, 'buffered', 'control'],
  ] as const)('%s for a user whose flag is %s', async (_what, flag, via, arm) => {
    on = flag;
    const rig = await startRig({ upload });
    expect(await (await post(rig, 'a.txt', Buffer.from('a'))).json()).toMatchObject({ via });
    expect(counts()[arm]).toMatchObject({ successes: 1, failures: 0 });
  });

  it.each(['answer-500', 'reset-connection'] as const)(
    'tries a broken provider (%s) three times, then serves the user by the old path',
    async (fault) => {
      const rig = await startRig({ upload });
      rig.provider.breakStreaming(fault);
      const content = randomBytes(2_000_000);

      const response = await post(rig, 'a.bin', content);

      expect(await response.json()).toMatchObject({ via: 'buffered', sizeBytes: content.length });
      expect(rig.provider.received).toMatchObject([{ sha256: sha256(content), streamed: false }]);
      expect(rig.provider.faults?.count).toBe(3);
      expect(counts().treatment).toMatchObject({ successes: 0, failures: 1, fallbacks: 1, critical: 0 });
      expect(await rig.spooledFiles()).toEqual([]);
    },
  );

  it('records what the file was beside how it ended', async () => {
    const recorded: unknown[] = [];
    const operation = guard.operation.bind(guard);
    vi.spyOn(guard, 'operation').mockImplementation((options) => {
      const { attributes } = options;
      return operation({
        ...options,
        attributes: (file, context) => {
          const values = attributes!(file, context);
          recorded.push(values);
          return values;
        },
      });
    });
    const rig = await startRig({ upload });
    await post(rig, 'a.csv', randomBytes(1_048_576), 'text/csv');
    expect(recorded).toEqual([
      {
        file_size_mb: 1,
        provider: 'kimi',
        request_id: expect.stringMatching(/^req-/),
        contentType: 'text/csv',
      },
    ]);
  });

  it('succeeds with a retry when the provider recovers', async () => {
    const rig = await startRig({
      upload: ({ streaming, buffered }) => {
        const repairing: typeof streaming = {
          ...streaming,
          upload: (file, signal) => streaming.upload(file, signal).finally(() => rig.provider.repair()),
        };
        return guardedUpload(guard, repairing, buffered);
      },
    });
    rig.provider.breakStreaming('reset-connection');
    const content = randomBytes(2_000_000);
    expect(await (await post(rig, 'a.bin', content)).json()).toMatchObject({ via: 'streaming' });
    expect(rig.provider.received).toMatchObject([{ sha256: sha256(content) }]);
    expect(counts().treatment).toMatchObject({ successes: 1, failures: 0, retried: 1 });
  });

  it.each([true, false])(
    'does not blame either path for a file that is too large (flag %s)',
    async (flag) => {
      on = flag;
      const rig = await startRig({ upload, maxFileBytes: 1000 });
      expect((await post(rig, 'a.bin', randomBytes(1001))).status).toBe(413);
      const { treatment, control } = counts();
      expect(flag ? treatment : control).toMatchObject({ failures: 0, expected: 1, fallbacks: 0 });
      expect(flag ? control : treatment).toMatchObject({ failures: 0, expected: 0 });
    },
  );

  it.each([true, false])('does not blame either path for a client that vanishes (flag %s)', async (flag) => {
    on = flag;
    const rig = await startRig({ upload });
    const client = connect(Number(new URL(rig.url).port), '127.0.0.1');
    const head = 'Content-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n';
    client.write(
      'POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n' +
        `Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n${head}`,
    );
    await new Promise<void>((resolve) => client.write(Buffer.alloc(100_000), () => resolve()));
    client.destroy();
    const arm = flag ? 'treatment' : 'control';
    await eventually(() => expect(counts()[arm].aborted + counts()[arm].expected).toBe(1));
    expect(counts()[arm]).toMatchObject({ failures: 0, fallbacks: 0 });
    expect(rig.provider.received).toEqual([]);
    await eventually(async () => expect(await rig.spooledFiles()).toEqual([]));
  });
});

/** The smallest source of one boolean flag. */
function flagSource(isOn: () => boolean): FlagSource {
  return {
    flag: () => undefined,
    override: () => {},
    clearOverride: () => {},
    isOverridden: () => false,
    onChange: () => () => {},
    onTrack: () => () => {},
    defaultClient: () => ({ getBooleanDetails: async () => ({ value: isOn(), reason: 'SPLIT' }) }),
  };
}
