import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it, type TestContext } from 'vitest';
import type { FreezingReport } from '../helpers/freezing-service.js';
import { compiledFile } from '../helpers/test-run.js';

const ANSWER_MS = 250;
/** So much later, the server of a machine that is busy still answers in time. */
const LIMIT_MS = 3_000;

let program: string;

beforeAll(async () => {
  program = await compiledFile('test/helpers/freezing-service.ts');
});

async function listen({ onTestFinished }: TestContext): Promise<Server> {
  // Larger than what one read of a socket returns.
  const body = 'x'.repeat(200_000);
  const server = createServer((request, response) => {
    request.resume();
    setTimeout(() => response.end(body), ANSWER_MS);
  });
  // Closes idle connections during the freeze, which the frozen process cannot notice.
  server.keepAliveTimeout = 300;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return server;
}

async function start(
  { onTestFinished }: TestContext,
  server: Server,
  timeoutMs: number,
  upload: 'http' | 'fetch',
): Promise<ChildProcess> {
  const { port } = server.address() as AddressInfo;
  const child = fork(program, [port, timeoutMs, upload].map(String));
  onTestFinished(async () => {
    if (child.exitCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  await once(child, 'message');
  return child;
}

async function report(child: ChildProcess, blockMs = 0): Promise<FreezingReport> {
  child.send(blockMs);
  const [answer] = await once(child, 'message');
  return answer;
}

async function servedBy(child: ChildProcess, count: number): Promise<FreezingReport> {
  for (;;) {
    const now = await report(child);
    if (now.served + now.failed >= count) return now;
    await sleep(50);
  }
}

describe.each(['http', 'fetch'] as const)('a process with uploads in flight (%s)', (upload) => {
  it.concurrent('counts none of them as a failure when it was frozen for longer than the time limit', async (test) => {
    const child = await start(test, await listen(test), LIMIT_MS, upload);
    const before = await servedBy(child, 20);
    child.kill('SIGSTOP');
    await sleep(LIMIT_MS + 1_000);
    child.kill('SIGCONT');
    const after = await servedBy(child, before.served + 60);
    expect(after).toMatchObject({ failed: 0, errors: [], state: 'armed' });
  });

  it.concurrent('counts none of them as a failure when its event loop was blocked for longer than the time limit', async (test) => {
    const child = await start(test, await listen(test), LIMIT_MS, upload);
    const before = await servedBy(child, 20);
    await report(child, LIMIT_MS + 1_000);
    const after = await servedBy(child, before.served + 60);
    expect(after).toMatchObject({ failed: 0, errors: [], state: 'armed' });
  });
});

describe('a process that was frozen', () => {
  it('still ends what hangs afterwards', async (test) => {
    const server = await listen(test);
    const child = await start(test, server, 1_000, 'http');
    await servedBy(child, 20);
    server.removeAllListeners('request');
    await sleep(200);
    child.kill('SIGSTOP');
    await sleep(1_500);
    child.kill('SIGCONT');
    let after = await report(child);
    while (after.state === 'armed') {
      await sleep(50);
      after = await report(child);
    }
    expect(after.errors).toMatchObject([{ errorType: 'OPERATION_TIMEOUT' }]);
    expect(after.state).toBe('would have stopped');
  });
});
