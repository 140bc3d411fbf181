import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type AdminUser, adminUser } from './admin-user.js';
import { ChildServer } from './child-server.js';

/** What {@link startEmbeddedUnleash} accepts; every field may be left out. */
export interface EmbeddedUnleashOptions {
  /** The port to listen on. @default 0, a free one (with `dataDir`, the port of the last start) */
  readonly port?: number | undefined;
  /**
   * A folder that keeps the database, the tokens, the password and the port, so that a server can be stopped and
   * started again as it was. @default in memory: everything is gone after `stop()`
   */
  readonly dataDir?: string | undefined;
  /** Unleash's environment that the client token reads and the helpers change. @default 'development' */
  readonly environment?: 'development' | 'production' | undefined;
  /** Gets every line that the server writes. @default none: the server is silent */
  readonly onLog?: ((line: string) => void) | undefined;
  /** From which level on the server writes. @default 'warn' */
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error' | undefined;
  /** How long the start may take, in milliseconds. @default 80_000 */
  readonly startTimeoutMs?: number | undefined;
}

/** A running Unleash server. Its helpers act as a signed-in admin user, exactly as Unleash's UI does. */
export interface EmbeddedUnleash extends AdminUser, AsyncDisposable {
  /** Where the UI is, for example `http://127.0.0.1:41234`. */
  readonly url: string;
  /** What Unleash SDKs call the URL: `url` followed by `/api`. */
  readonly apiUrl: string;
  /** Where it listens, on 127.0.0.1. */
  readonly port: number;
  /** A token that may do everything. */
  readonly adminToken: string;
  /** A token for SDKs: reads the flags of `project` in `environment`. */
  readonly clientToken: string;
  /** Unleash's project of all flags. */
  readonly project: string;
  /** Unleash's environment that `clientToken` reads and the helpers change. */
  readonly environment: string;
  /** The admin user of the helpers, who can also log in to the UI. */
  readonly user: { readonly username: string; readonly password: string };
  /** Unleash is down: connections are closed and new ones refused. The data stays. */
  pause(): Promise<void>;
  /** Unleash is back, on the same port. */
  resume(): Promise<void>;
  /** Ends the server. Nothing of it is left, except what is in `dataDir`. */
  stop(): Promise<void>;
}

const PROJECT = 'default';

/** What a server keeps beside its database, to come back as it was. */
const identitySchema = z.object({
  port: z.number(),
  adminToken: z.string(),
  clientTokens: z.object({ development: z.string(), production: z.string() }),
  password: z.string(),
});

type Identity = z.infer<typeof identitySchema>;

/**
 * Starts a real Unleash server on an embedded PostgreSQL, in a process of its own, which dies with this one.
 *
 * @throws {EmbeddedUnleashError} when its packages are not installed or the server does not come up.
 */
export async function startEmbeddedUnleash(options: EmbeddedUnleashOptions = {}): Promise<EmbeddedUnleash> {
  const { dataDir } = options;
  const environment = options.environment ?? 'development';
  const identity = (dataDir === undefined ? undefined : await readIdentity(dataDir)) ?? newIdentity();
  const user = { username: 'admin', password: identity.password };
  // Before the start: a database with unknown tokens would be lost.
  if (dataDir !== undefined) await writeIdentity(dataDir, identity);

  const server = new ChildServer(options.onLog);
  const port = await server.start(
    {
      port: options.port ?? identity.port,
      databaseDir: dataDir === undefined ? undefined : join(dataDir, 'postgres'),
      user,
      tokens: [
        { type: 'admin', secret: identity.adminToken, environment: '*', project: '*' },
        ...Object.entries(identity.clientTokens).map(
          ([environment, secret]) => ({ type: 'client', secret, environment, project: PROJECT }) as const,
        ),
      ],
      logLevel: options.logLevel ?? 'warn',
    },
    options.startTimeoutMs ?? 80_000,
  );
  if (dataDir !== undefined) await writeIdentity(dataDir, { ...identity, port });

  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    apiUrl: `${url}/api`,
    port,
    adminToken: identity.adminToken,
    clientToken: identity.clientTokens[environment],
    project: PROJECT,
    environment,
    user,
    ...adminUser({
      url,
      user,
      project: PROJECT,
      environment,
      clientToken: identity.clientTokens[environment],
      whyUnreachable: () => server.whyUnreachable(),
    }),
    pause: () => server.pause(),
    resume: () => server.resume(),
    stop: () => server.stop(),
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

function newIdentity(): Identity {
  const secret = () => randomBytes(24).toString('hex');
  return {
    port: 0,
    adminToken: `*:*.${secret()}`,
    clientTokens: {
      development: `${PROJECT}:development.${secret()}`,
      production: `${PROJECT}:production.${secret()}`,
    },
    password: randomBytes(9).toString('base64url'),
  };
}

const identityFile = (dataDir: string) => join(dataDir, 'embedded-unleash.json');

async function readIdentity(dataDir: string): Promise<Identity | undefined> {
  try {
    return identitySchema.parse(JSON.parse(await readFile(identityFile(dataDir), 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function writeIdentity(dataDir: string, identity: Identity): Promise<void> {
  await mkdir(dataDir, { recursive: true });
  await writeFile(identityFile(dataDir), `${JSON.stringify(identity, undefined, 2)}\n`, { mode: 0o600 });
}
