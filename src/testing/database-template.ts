/**
 * A database with Unleash's tables and nothing in them. Creating one takes longer than the rest of a start, so the
 * first one is kept in `node_modules/.cache`, from where a fresh installation removes it.
 *
 * Every fault here only costs time.
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The template that an earlier start has left. */
export async function readTemplate(): Promise<Blob | undefined> {
  try {
    return new Blob([await readFile(await templateFile())]);
  } catch {
    return undefined;
  }
}

/** Keeps a template for later starts, other processes' included. */
export async function writeTemplate(template: Blob): Promise<void> {
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

export async function removeTemplate(): Promise<void> {
  await rm(await templateFile(), { force: true }).catch(() => undefined);
}

/** One file for each pair of versions, because another version has other tables or files. */
async function templateFile(): Promise<string> {
  const [unleash, postgres] = await Promise.all([
    installed('unleash-server'),
    installed('@electric-sql/pglite'),
  ]);
  const name = `unleash-${unleash.version}-pglite-${postgres.version}.tar.gz`;
  return join(unleash.nodeModules, '.cache', 'unleash-rollout-guard', name);
}

/** The version of a package and the `node_modules` that it lies in. */
async function installed(name: string): Promise<{ version: string; nodeModules: string }> {
  const entry = fileURLToPath(import.meta.resolve(name));
  const folder = join('node_modules', name);
  const root = entry.slice(0, entry.lastIndexOf(folder) + folder.length);
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  return { version, nodeModules: root.slice(0, -name.length) };
}
