import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify, stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from './pages.js';

const workspace = join(root, 'scripts/reference');
const typedoc = join(workspace, 'node_modules/typedoc/bin/typedoc');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'reference-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** @returns what TypeDoc complains of; nothing where all is well. */
async function complaints(...options: string[]): Promise<string[]> {
  const run = promisify(execFile)(process.execPath, [typedoc, ...options], { cwd: workspace });
  const { stdout, stderr } = await run.catch((error: { stdout: string; stderr: string }) => error);
  const lines = stripVTControlCharacters(stdout + stderr).split('\n');
  return lines.filter((line) => /^\[(?:warning|error)\]/.test(line));
}

const filesOf = (path: string) =>
  Object.fromEntries(
    readdirSync(path)
      .sort()
      .map((name) => [name, readFileSync(join(path, name), 'utf8')]),
  );

describe('the reference', { timeout: 180_000 }, () => {
  it('describes every public symbol, and is up to date (npm run docs:reference)', async () => {
    const made = join(folder, 'made');
    expect(await complaints('--out', made)).toEqual([]);
    const committed = filesOf(join(root, 'docs/reference'));
    const stale = Object.entries(filesOf(made)).filter(([name, text]) => committed[name] !== text);
    expect(stale.map(([name]) => name)).toEqual([]);
    expect(Object.keys(committed)).toEqual(readdirSync(made).sort());
  });

  it('is not made while something has no description, is not exported, or links to nothing', async () => {
    const source = join(folder, 'index.ts');
    writeFileSync(
      source,
      `interface Hidden { readonly a: number }
       /** Described. See {@link nothing}. */
       export interface Shown {
         readonly bare: number;
         /** Described. */
         readonly hidden: Hidden;
         /** Described. */
         readonly inline: { readonly part: number };
       }
       /** Described. */
       export type Options = { readonly alone: number } | { readonly alone?: undefined };
       export function bareFunction(): void {}
       /** Described. */
       export class OddError extends Error { override readonly name = 'OddError'; }`,
    );
    writeFileSync(join(folder, 'package.json'), '{ "name": "sample" }');
    const files = { compilerOptions: { types: [] }, files: ['index.ts'] };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(files));
    const options = {
      extends: [join(workspace, 'typedoc.json')],
      tsconfig: 'tsconfig.json',
      entryPoints: ['index.ts'],
      intentionallyNotExported: [],
      out: 'never',
    };
    writeFileSync(join(folder, 'typedoc.json'), JSON.stringify(options));
    const found = await complaints('--options', join(folder, 'typedoc.json'));
    const bare = found.flatMap((line) => / (\S+) has no description/.exec(line)?.[1] ?? []);
    expect(bare.sort()).toEqual(['Options.__type.alone', 'Shown.bare', 'bareFunction']);
    expect(found.join('\n')).toMatch(/Hidden, .* is referenced by Shown.hidden but not included/);
    expect(found.join('\n')).toMatch(/Failed to resolve link to "nothing"/);
    expect(readdirSync(folder)).not.toContain('never');
  });
});
