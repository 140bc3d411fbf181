import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { builtPage } from '../helpers/test-run.js';

const folder = fileURLToPath(new URL('../../dist/page', import.meta.url));
let files: { name: string; body: Buffer }[];

beforeAll(async () => {
  await builtPage();
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  files = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async ({ parentPath, name }) => ({ name, body: await readFile(join(parentPath, name)) })),
  );
});

describe('the built page', () => {
  it('has at most 400 KB, compressed', async () => {
    const sizes = await Promise.all(files.map(async ({ body }) => (await promisify(gzip)(body)).length));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    expect(total).toBeGreaterThan(50_000);
    expect(total).toBeLessThanOrEqual(400_000);
  });

  it('is one page with a script and a style sheet of its own, by relative addresses', () => {
    const html = files.find(({ name }) => name === 'index.html')!.body.toString();
    const addresses = [...html.matchAll(/\b(?:src|href)="([^"]*)"/g)].map(([, address]) => address!);
    const own = addresses.filter((address) => !address.startsWith('data:'));
    expect(own).toHaveLength(2);
    for (const ending of ['css', 'js']) {
      expect(own).toContainEqual(expect.stringMatching(`^\\./assets/index-[\\w-]{8,}\\.${ending}$`));
    }
    expect(files.map(({ name }) => extname(name)).sort()).toEqual(['.css', '.html', '.js']);
  });

  it('has nothing inline that its content security policy would refuse', () => {
    const html = files.find(({ name }) => name === 'index.html')!.body.toString();
    expect(html).not.toMatch(/<style|\sstyle=|\son\w+=|javascript:/i);
    expect(html.match(/<script\b[^>]*>[^<]/)).toBeNull();
  });

  it('names no place of the machine that built it', () => {
    const root = fileURLToPath(new URL('../..', import.meta.url));
    for (const { body } of files) expect(body.includes(root)).toBe(false);
  });
});
