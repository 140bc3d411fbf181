import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { AdminUser, type EmbeddedEvent, type EmbeddedFlag, type EmbeddedStrategy } from './admin-user.js';
import { ChildServer } from './child-server.js';

/** What {@link startEmbeddedUnleash} accepts; every field may be left out. */
export interface EmbeddedUnleashOptions {
  /** The port to listen on. @default 0, a free one (with `dataDir`, the port of the last start) */
  readonly port?: number;
  /**
   * A folder that keeps the database, the tokens, the password and the port, so that a server can be stopped and
   * started again as it was. @default in memory: everything is gone after `stop()`
   */
  readonly dataDir?: string;
  /** Unleash's environment that the client token reads and the helpers change. @default 'development' */
  readonly environment?: 'development' | 'production';
  /** Gets every line that the server writes. @default none: the server is silent */
  readonly onLog?: (line: string) => void;
  /** From which level on the server writes. @default 'warn' */
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error';
  /** How long the start may take, in milliseconds. @default 80_000 */
  readonly startTimeoutMs?: number;
}

/** What {@link EmbeddedUnleash.createFlag} accepts beside the flag's key. */
export interface NewFlag {
  /** The gradual rollout's percentage, 0–100. @default 100 */
  readonly percentage?: number;
  /** Whether the flag is on. @default true */
  readonly enabled?: boolean;
  /** What the rollout sticks to: `default`, `userId`, `sessionId`, `random` or a custom field. @default 'default' */
  readonly stickiness?: string;
  /** Unleash's flag type. @default 'release' */
  readonly type?: 'release' | 'experiment' | 'operational' | 'kill-switch' | 'permission';
  readonly description?: string;
  /** These strategies instead of one gradual rollout. */
  readonly strategies?: readonly EmbeddedStrategy[];
}

/** A running Unleash server. Its helpers act as a signed-in admin user, exactly as Unleash's UI does. */
export interface EmbeddedUnleash extends AsyncDisposable {
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
  /** Creates a flag: by default a gradual rollout to 100 %, on. */
  createFlag(key: string, flag?: NewFlag): Promise<void>;
  /** Moves the percentage (0–100) of the flag's gradual rollout. */
  setPercentage(key: string, percentage: number): Promise<void>;
  /** Adds a strategy after the others. */
  addStrategy(key: string, strategy: EmbeddedStrategy): Promise<void>;
  /** Turns the flag on. */
  enable(key: string): Promise<void>;
  /** Turns the flag off. */
  disable(key: string): Promise<void>;
  /** The flag as it is in `environment`. */
  flag(key: string): Promise<EmbeddedFlag>;
  /** What happened to the flag and who did it, newest first. */
  history(key: string): Promise<EmbeddedEvent[]>;
  /** Any other request to the admin API as the admin user; `path` begins with `/api/admin/`. */
  request(method: string, path: string, body?: unknown): Promise<unknown>;
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
  const admin = new AdminUser({ url, user, project: PROJECT, environment });
  return {
    url,
    apiUrl: `${url}/api`,
    port,
    adminToken: identity.adminToken,
    clientToken: identity.clientTokens[environment],
    project: PROJECT,
    environment,
    user,
    createFlag: (key, flag) => createFlag(admin, key, flag),
    setPercentage: (key, percentage) => admin.setPercentage(key, percentage),
    addStrategy: (key, strategy) => admin.addStrategy(key, strategy),
    enable: (key) => admin.turn(key, 'on'),
    disable: (key) => admin.turn(key, 'off'),
    flag: (key) => admin.flag(key),
    history: (key) => admin.history(key),
    request: (method, path, body) => admin.request(method, path, body),
    pause: () => server.pause(),
    resume: () => server.resume(),
    stop: () => server.stop(),
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

async function createFlag(admin: AdminUser, key: string, flag: NewFlag = {}): Promise<void> {
  const rollout: EmbeddedStrategy = {
    name: 'flexibleRollout',
    parameters: {
      rollout: String(flag.percentage ?? 100),
      stickiness: flag.stickiness ?? 'default',
      groupId: key,
    },
  };
  await admin.createFlag(key, flag.type ?? 'release', flag.description ?? '');
  for (const strategy of flag.strategies ?? [rollout]) await admin.addStrategy(key, strategy);
  if (flag.enabled ?? true) await admin.turn(key, 'on');
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
