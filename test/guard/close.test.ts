import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readlink, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { RedisServer } from '../../examples/fleet/redis-server.js';
import { FleetError } from '../../src/fleet/fleet-link.js';
import type { SharedStore } from '../../src/fleet/fleet-options.js';
import { GuardFolders } from '../../src/journal/guard-folder.js';
import { OutcomeLog } from '../../src/log/outcome-log.js';
import { GuardHarness } from '../helpers/guard-harness.js';
import { timeLimit } from '../helpers/machine-time.js';
import { describeWithBinary } from '../helpers/needs-binary.js';
import { compiledFile } from '../helpers/test-run.js';

const CLOSE_MS = 5_000;

const openFilesIn = async (folder: string) => {
  const numbers = await readdir('/proc/self/fd');
  const paths = await Promise.all(numbers.map((each) => readlink(`/proc/self/fd/${each}`).catch(() => '')));
  return paths.filter((path) => path.startsWith(folder));
};

/** An admin API that accepts connections and never answers. */
async function silentServer(): Promise<Server> {
  const server = createServer((socket) => socket.on('error', () => {}).resume());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

describeWithBinary('a process whose guard is closed', 'redis-server', 'apt-get install redis-server', () => {
  let program: string;
  let service: ChildProcess | undefined;

  beforeAll(async () => {
    program = await compiledFile('test/helpers/hanging-service.ts');
  });
  afterEach(() => {
    service?.kill('SIGKILL');
  });

  it('ends within 5 seconds though Unleash, Redis and a notifier hang', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'closing-'));
    const [server, redis] = await Promise.all([silentServer(), RedisServer.start()]);
    const { port } = server.address() as AddressInfo;
    const adminUrl = `http://127.0.0.1:${port}/api`;
    const env = { ...process.env, SETTINGS: JSON.stringify({ adminUrl, redisUrl: redis.url, folder }) };
    const child = fork(program, { env });
    service = child;
    try {
      expect(await once(child, 'message')).toContain('stopping');
      process.kill(redis.pid, 'SIGSTOP');
      await sleep(500);
      const limit = timeLimit(CLOSE_MS);
      const begin = performance.now();
      child.send('close');
      await once(child, 'exit');
      expect(performance.now() - begin).toBeLessThan(limit());
      expect(child.exitCode).toBe(0);
    } finally {
      process.kill(redis.pid, 'SIGCONT');
      server.close();
      await redis.close();
      await rm(folder, { recursive: true });
    }
  });
});

describe('close()', () => {
  let harness: GuardHarness;

  beforeEach(async () => {
    harness = await GuardHarness.create();
  });

  afterEach(() => harness.close());

  const never = () => new Promise<never>(() => {});

  function hangingStore(): SharedStore {
    const link = new Proxy({}, { get: (_, name) => (name === 'instance' ? 'one' : never) });
    const timing = { flushMs: 100, evaluateMs: 100, leaseMs: 1_000 };
    return { timing, link: () => link } as unknown as SharedStore;
  }

  it('resolves within 5 seconds while the guard still starts, and nothing starts afterwards', async () => {
    const guard = harness.guard({ store: hangingStore() });
    const started = guard.start();
    await harness.until('starting', () => harness.reported('started').length === 1);
    const limit = timeLimit(CLOSE_MS);
    const begin = performance.now();
    await guard.close();
    expect(performance.now() - begin).toBeLessThan(limit());
    expect(harness.flags.listenerCount).toBe(0);
    await expect(Promise.race([started, sleep(10, 'starting')])).resolves.toBe('starting');
  });

  it('has been done when a start fails: the folder is free, and nothing runs', async () => {
    const failing = async () => {
      throw new FleetError('UNAUTHENTICATED', 'Redis requires a password');
    };
    const link = new Proxy({}, { get: (_, name) => (name === 'instance' ? 'one' : failing) });
    const timing = { flushMs: 100, evaluateMs: 100, leaseMs: 1_000 };
    const store = { timing, link: () => link } as unknown as SharedStore;
    const guard = harness.guard({ store });

    await expect(guard.start()).rejects.toThrow('requires a password');

    expect(harness.flags.listenerCount).toBe(0);
    expect(guard.health.reasons[0]?.code).toBe('not-started');
    await expect(guard.start()).rejects.toThrow('requires a password');
    await harness.started();
    expect(harness.reported('folder-changed')).toEqual([]);
    await guard.close();
  });

  it('frees the folder of a guard that it was called on while it started', async () => {
    const guard = harness.guard();
    const started = guard.start();
    await guard.close();
    await expect(started).rejects.toThrow('was closed');
    await harness.started();
    expect(harness.reported('folder-changed')).toEqual([]);
  });

  it('leaves no file open of a guard that was opening its log', async () => {
    const { open } = OutcomeLog.prototype;
    const listeners = process.listenerCount('exit');
    const guard = harness.guard();
    let closing: Promise<void> | undefined;
    vi.spyOn(OutcomeLog.prototype, 'open').mockImplementation(async function (this: OutcomeLog, options) {
      closing = guard.close();
      return open.call(this, options);
    });
    await expect(guard.start()).rejects.toThrow('was closed');
    await closing;
    if (process.platform === 'linux') expect(await openFilesIn(harness.folder)).toEqual([]);
    expect(process.listenerCount('exit')).toBe(listeners);
  });

  it('frees a folder that a guard gets only after its end', async () => {
    const { take } = GuardFolders.prototype;
    let isClosed = () => {};
    const closed = new Promise<void>((resolve) => {
      isClosed = resolve;
    });
    const taking = vi.spyOn(GuardFolders.prototype, 'take').mockImplementationOnce(async function (
      this: GuardFolders,
    ) {
      await closed;
      return take.call(this);
    });
    const guard = harness.guard();
    const started = guard.start();
    await harness.until('taking', () => taking.mock.calls.length === 1);
    await guard.close();
    isClosed();
    await expect(started).rejects.toThrow('was closed');
    await harness.started();
    expect(harness.reported('folder-changed')).toEqual([]);
  });

  it('has its time for files though the process was frozen meanwhile', async () => {
    let frozenMs = 0;
    const now = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => now() + frozenMs);
    const guard = await harness.started();
    guard.onEvent(({ type }) => {
      if (type === 'closed') frozenMs = 60_000;
    });
    await guard.close();
    vi.restoreAllMocks();
    expect(harness.reported('fault')).toEqual([]);
  });

  it('takes nothing for a time that a caller gives by mistake', async () => {
    const guard = await harness.started();
    for (const method of [guard.flush, guard.close]) {
      const listener = method.bind(guard) as (signal: string) => Promise<void>;
      await listener('SIGTERM');
    }
    expect(harness.reported('fault')).toEqual([]);
  });

  it('reports what it left behind', async () => {
    const guard = harness.guard({ store: hangingStore() });
    void guard.start();
    await harness.until('starting', () => harness.reported('started').length === 1);
    await guard.close();
    expect(harness.reported('fault').map(({ what }) => what)).toContain('closing the fleet');
  });
});
