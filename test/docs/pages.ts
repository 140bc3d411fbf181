import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** A fenced block of a page. */
export interface Block {
  /** For example `docs/fleet.md:7`: the line of its first line of text. */
  readonly place: string;
  readonly language: string;
  readonly text: string;
  /** What the comment before it says: `<!-- snippet: not run: it needs Redis -->`. */
  readonly directive: string | undefined;
}

/** One page of the documentation. */
export interface Page {
  /** From the root of the project. */
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
  /** The page without its blocks: lines keep their numbers. */
  readonly prose: string;
}

const DIRECTIVE = /^\s*<!-- snippet: (.+) -->\s*$/;

/** How each language is checked is in the tests of this folder; `text` and nothing are what a program prints. */
const LANGUAGES = ['', 'text', 'ts', 'js', 'sh', 'json', 'jsonl', 'yaml', 'dockerfile', 'python', 'promql'];

function pageOf(path: string): Page {
  const text = readFileSync(join(root, path), 'utf8');
  const lines = text.split('\n');
  const blocks: Block[] = [];
  const prose: string[] = [];
  let fence: { indent: string; language: string; at: number } | undefined;
  for (const [index, line] of lines.entries()) {
    const mark = /^(\s*)```+\s*([^\s`]*)[^`]*$/.exec(line);
    if (mark === null) {
      prose.push(fence === undefined ? line : '');
      continue;
    }
    prose.push('');
    if (fence === undefined) {
      fence = { indent: mark[1]!, language: mark[2]!, at: index };
      continue;
    }
    const { indent, language, at } = fence;
    if (!LANGUAGES.includes(language)) throw new Error(`${path}:${at + 1}: no test reads ${language}`);
    blocks.push({
      place: `${path}:${at + 2}`,
      language,
      text: lines
        .slice(at + 1, index)
        .map((each) => (each.startsWith(indent) ? each.slice(indent.length) : each))
        .join('\n'),
      directive: DIRECTIVE.exec(lines[at - 1] ?? '')?.[1],
    });
    fence = undefined;
  }
  if (fence !== undefined) throw new Error(`${path}:${fence.at + 1}: this block has no end`);
  return { path, text, blocks, prose: prose.join('\n') };
}

function markdownIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && !name.includes('node_modules'))
    .map((name) => relative(root, join(root, folder, name)))
    .sort();
}

/** All that users and contributors read, without the reference, which is made from the sources. */
export const pages: readonly Page[] = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'SECURITY.md',
  ...markdownIn('docs').filter((path) => !path.startsWith('docs/reference/')),
  ...markdownIn('examples'),
].map(pageOf);

/** The pages that {@link pages} leaves out. */
export const referencePages = (): readonly Page[] => markdownIn('docs/reference').map(pageOf);
