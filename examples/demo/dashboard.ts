import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { RolloutGuard } from 'unleash-rollout-guard';

/** Where it is served, and how to end it. */
export interface ServedDashboard {
  readonly url: string;
  close(): void;
}

/** Serves the guard's dashboard on this machine only, and builds its page first if that has not been done. */
export async function serveDashboard(guard: RolloutGuard): Promise<ServedDashboard> {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  if (!existsSync(`${root}/dist/page/index.html`)) {
    await promisify(execFile)('npm', ['run', '--silent', 'build:page'], { cwd: root });
  }
  const server = createServer(guard.dashboard()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
