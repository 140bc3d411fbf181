import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { PGlite } from '@electric-sql/pglite';
import { readTemplate, removeTemplate, writeTemplate } from './database-template.js';

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
      await removeTemplate();
      if (dir !== undefined) await rm(dir, { recursive: true, force: true });
    }
  }
  return { postgres: await PGlite.create(place), empty: true };
}
