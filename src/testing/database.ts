import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { PGlite } from '@electric-sql/pglite';

const host = '127.0.0.1';

/**
 * Opens the database in `dir`, or makes a new one there (in memory without `dir`), from the template if there is one.
 * It is an embedded PostgreSQL that listens on a port of the loopback interface.
 */
export async function openDatabase(dir: string | undefined) {
  const [{ PGLiteSocketServer }, { postgres, empty }] = await Promise.all([
    import('@electric-sql/pglite-socket'),
    openPostgres(dir),
  ]);
  // One database session serves all connections: Unleash's pool of one, and others while it migrates.
  const socket = new PGLiteSocketServer({ db: postgres, host, port: 0, maxConnections: 10 });
  await socket.start();
  return {
    /** How Unleash reaches it. */
    address: {
      host,
      port: Number(socket.getServerConn().split(':').at(-1)),
      user: 'postgres',
      password: 'postgres',
      database: 'postgres',
      schema: 'public',
      driver: 'postgres' as const,
      ssl: false,
      disableMigration: false,
      pool: { min: 0, max: 1 },
    },
    /** True when it has no tables yet. */
    empty,
    /** Keeps it as the template of new ones. */
    async saveAsTemplate() {
      await writeTemplate(await postgres.dumpDataDir('gzip'));
    },
    async close() {
      await socket.stop();
      await postgres.close();
    },
  };
}

async function openPostgres(dir: string | undefined): Promise<{ postgres: PGlite; empty: boolean }> {
  const { PGlite } = await import('@electric-sql/pglite');
  const place = dir === undefined ? {} : { dataDir: dir };
  if (dir !== undefined && existsSync(join(dir, 'PG_VERSION'))) {
    return { postgres: await PGlite.create(place), empty: false };
  }
  if (dir !== undefined) await mkdir(dir, { recursive: true });
  const template = await readTemplate();
  if (template !== undefined) {
    try {
      return { postgres: await PGlite.create({ ...place, loadDataDir: template }), empty: false };
    } catch {
      // A damaged template costs time, never the start.
      await rm(await templateFile(), { force: true }).catch(() => undefined);
      if (dir !== undefined) await rm(dir, { recursive: true, force: true });
    }
  }
  return { postgres: await PGlite.create(place), empty: true };
}

/** The template that an earlier start has left. */
async function readTemplate(): Promise<Blob | undefined> {
  try {
    return new Blob([await readFile(await templateFile())]);
  } catch {
    return undefined;
  }
}

/** Keeps a template for later starts, other processes' included. */
async function writeTemplate(template: Blob): Promise<void> {
  try {
    const file = await templateFile();
    const unfinished = `${file}.${process.pid}`;
    await mkdir(dirname(file), { recursive: true });
    await writeFile(unfinished, Buffer.from(await template.arrayBuffer()));
    await rename(unfinished, file);
  } catch {
    // The installation cannot be written to.
  }
}

/**
 * The template's file: a database with Unleash's tables and nothing in them. Creating one takes longer than the rest
 * of a start, so the first one is kept in `node_modules/.cache`, from where a fresh installation removes it. Every fault
 * of it only costs time. Each pair of versions has its own, because another version has other tables or files.
 */
async function templateFile(): Promise<string> {
  const [unleash, postgres] = await Promise.all([
    installed('unleash-server'),
    installed('@electric-sql/pglite'),
  ]);
  const name = `unleash-${unleash.version}-pglite-${postgres.version}.tar.gz`;
  return join(unleash.nodeModules, '.cache', 'unleash-rollout-guard', name);
}

/** The version of a package and the `node_modules` that contains it. */
async function installed(name: string): Promise<{ version: string; nodeModules: string }> {
  const entry = createRequire(import.meta.url).resolve(name);
  const folder = join('node_modules', name);
  const root = entry.slice(0, entry.lastIndexOf(folder) + folder.length);
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  return { version, nodeModules: root.slice(0, -name.length) };
}
