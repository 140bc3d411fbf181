/**
 * The process in which an embedded Unleash server lives, with its database.
 *
 * It is a process of its own because Unleash keeps global state (signal and rejection handlers, a metrics registry, a
 * logger), and because the clock, the memory and the event loop of a test belong to the test.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { openDatabase } from './database.js';

/** The request was carried out. */
export interface ProcessDone {
  readonly type: 'done';
  /** Where the server listens. */
  readonly port: number;
}

/** What the parent sends: `start` once, the others after it is done. */
export type ProcessRequest =
  | { readonly type: 'start'; readonly settings: ProcessSettings }
  | { readonly type: 'pause' | 'resume' | 'stop' };

/** What the process answers, once for each request. */
export type ProcessAnswer =
  | ProcessDone
  | { readonly type: 'failed'; readonly message: string; readonly missingPackage: boolean };

/** Everything that the process needs to start. */
export interface ProcessSettings {
  /** 0 for a free one. */
  readonly port: number;
  /** Where PostgreSQL keeps its files; undefined for memory. */
  readonly databaseDir: string | undefined;
  readonly user: { readonly username: string; readonly password: string };
  readonly tokens: readonly {
    readonly type: 'admin' | 'client';
    readonly secret: string;
    readonly environment: string;
    readonly project: string;
  }[];
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

/** A started server: `http` is what Unleash listens with. */
interface Running {
  readonly http: Server;
  readonly port: number;
  stop(): Promise<void>;
}

const host = '127.0.0.1';

async function start(settings: ProcessSettings): Promise<Running> {
  const [database, unleashServer] = await Promise.all([
    openDatabase(settings.databaseDir),
    import('unleash-server'),
  ]);
  // Unleash 6 keeps it to itself: its `start` makes the tables, each time.
  const { migrateDb } = unleashServer as Partial<typeof unleashServer>;
  if (database.empty && migrateDb !== undefined) {
    await migrateDb({ db: database.address });
    await database.saveAsTemplate();
  }
  const getLogger = logProvider(settings);
  const unleash = await unleashServer.start({
    db: database.address,
    server: {
      host,
      port: settings.port,
      secret: randomBytes(24).toString('hex'),
      gracefulShutdownEnable: false,
    },
    authentication: {
      type: 'open-source' as never,
      createAdminUser: true,
      initialAdminUser: settings.user,
      initApiTokens: settings.tokens.map((token) => ({
        ...token,
        tokenName: `embedded-${token.type}`,
        projects: [token.project],
      })) as never,
    },
    versionCheck: { enable: false },
    getLogger,
  });
  // What Unleash migrates its tables with ends the process at any rejection that nothing handles. Unleash has some: the
  // first run of each scheduled job, when it waits too long for the database on a loaded machine.
  process.removeAllListeners('unhandledRejection').on('unhandledRejection', (reason) => {
    getLogger().error(`Nothing handled a rejected promise: ${reason}`);
  });
  const http = unleash.server as Server;
  const { port } = http.address() as AddressInfo;
  // The UI shows this address in its snippets, and only now is it known.
  unleash.config.server.unleashUrl = `http://${host}:${port}`;

  return {
    http,
    port,
    async stop() {
      http.closeAllConnections();
      await unleash.stop();
      await database.close();
    },
  };
}

function logProvider({ logLevel, user }: ProcessSettings) {
  const levels = ['debug', 'info', 'warn', 'error', 'fatal'] as const;
  return (name?: string) => {
    const write = (label: (typeof levels)[number]) => (message: unknown, detail?: unknown) => {
      if (levels.indexOf(label) < levels.indexOf(logLevel)) return;
      const text = detail instanceof Error ? `${message}: ${detail.message}` : String(message);
      // Unleash announces the first user with the password.
      process.stdout.write(`${label} ${name ?? 'unleash'}: ${text.replaceAll(user.password, '…')}\n`);
    };
    return {
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
      fatal: write('fatal'),
    };
  };
}

function closed(http: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    http.close((error) => (error === undefined ? resolve() : reject(error)));
    http.closeAllConnections();
  });
}

let running: Running | undefined;

async function handle(request: ProcessRequest): Promise<ProcessAnswer> {
  if (request.type === 'start') {
    running = await start(request.settings);
  } else {
    if (running === undefined) throw new Error(`"${request.type}" came before "start" was done`);
    if (request.type === 'pause') await closed(running.http);
    else if (request.type === 'resume') await once(running.http.listen(running.port, host), 'listening');
    else await running.stop();
  }
  return { type: 'done', port: running.port };
}

function answer(message: ProcessAnswer, afterwards: () => void = () => undefined): void {
  process.send?.(message, undefined, undefined, afterwards);
}

process.on('message', (request: ProcessRequest) => {
  handle(request).then(
    (message) => answer(message, request.type === 'stop' ? () => process.exit(0) : undefined),
    (error: NodeJS.ErrnoException) =>
      answer({
        type: 'failed',
        message: error.message,
        missingPackage: error.code === 'ERR_MODULE_NOT_FOUND',
      }),
  );
});

// The parent has died, whatever the way: nothing else would end this process.
process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches the whole process group; the parent may still need the server to end in good order.
process.on('SIGINT', () => undefined);
