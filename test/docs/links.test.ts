import { existsSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Page, pages, referencePages, root } from './pages.js';

interface Link {
  readonly place: string;
  readonly target: string;
}

/** Links and images of a page, without what is code. */
function linksOf({ path, prose }: Page): Link[] {
  return prose.split('\n').flatMap((line, index) => {
    const text = line.replaceAll(/(?<!\\)`[^`]*`/g, (code) => 'x'.repeat(code.length));
    const inline = [
      ...text.matchAll(/\]\(\s*<?([^()\s>]*(?:\([^()\s]*\)[^()\s>]*)*)>?(?:\s+"[^"]*")?\s*\)/g),
    ];
    const defined = [...text.matchAll(/^\s*\[[^\]]+\]:\s*(\S+)/g)];
    const tags = [...text.matchAll(/<(?:a|img)\b[^>]*\s(?:href|src)="([^"]*)"/g)];
    return [...inline, ...defined, ...tags].map(([, target]) => ({
      place: `${path}:${index + 1}`,
      target: target!,
    }));
  });
}

/** The anchors of a page: of its headings, as GitHub makes them, and those that are written out. */
function anchorsOf({ prose }: Page): Set<string> {
  const anchors = new Set<string>();
  const used = new Map<string, number>();
  for (const [, heading] of prose.matchAll(/^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$/gm)) {
    const slug = heading!
      .replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replaceAll(/<[^>]*>/g, '')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{M}\p{N}\p{Pc} -]/gu, '')
      .replaceAll(' ', '-');
    const count = used.get(slug) ?? 0;
    used.set(slug, count + 1);
    anchors.add(count === 0 ? slug : `${slug}-${count}`);
  }
  for (const [, id] of prose.matchAll(/<a id="([^"]+)"/g)) anchors.add(id!);
  return anchors;
}

const all = new Map([...pages, ...referencePages()].map((page) => [page.path, page]));
const anchors = new Map([...all].map(([path, page]) => [path, anchorsOf(page)]));

/** What is wrong with a link; undefined for one that leads somewhere. */
function problemOf(from: string, target: string): string | undefined {
  if (/^[a-z][a-z+.-]*:/i.test(target)) {
    if (/^mailto:\S+@\S+$/.test(target)) return undefined;
    // No request: tests must not need a network.
    return /^https?:$/.test(new URL(target).protocol)
      ? undefined
      : 'neither a page nor an address of the web';
  }
  if (target.startsWith('/') || target.startsWith('//'))
    return 'not relative: npm and GitHub do not follow it';
  const [file = '', anchor] = target.split('#');
  const path = file === '' ? from : normalize(join(dirname(from), decodeURI(file)));
  if (path.startsWith('..')) return 'outside of the project';
  if (!existsSync(join(root, path))) return 'there is no such file';
  if (anchor === undefined) return undefined;
  if (statSync(join(root, path)).isDirectory()) return 'a folder has no anchors';
  const known = anchors.get(path);
  if (known === undefined) return /\.md$/.test(path) ? 'that page is not checked' : undefined;
  return known.has(anchor) ? undefined : 'that page has no such heading';
}

describe('links of the documentation', () => {
  it.each([...all.values()])('lead to a file or heading: $path', (page) => {
    const wrong = linksOf(page).flatMap(({ place, target }) => {
      const problem = problemOf(page.path, target);
      return problem === undefined ? [] : [`${place}: ${target}: ${problem}`];
    });
    expect(wrong).toEqual([]);
  });

  it('are found: a link to nothing is noticed', () => {
    const page = { path: 'docs/concepts.md', text: '', blocks: [], prose: '' };
    const prose =
      'See [a](gone.md), [b](options.md#no-such), `[c](code.md)`, [d](options.md), ![e](images/none.png), [f](ftp://x/y)';
    const wrong = linksOf({ ...page, prose }).filter(
      ({ target }) => problemOf(page.path, target) !== undefined,
    );
    expect(wrong.map(({ target }) => target)).toEqual([
      'gone.md',
      'options.md#no-such',
      'images/none.png',
      'ftp://x/y',
    ]);
  });

  it('reach every page from the table of docs/README.md', () => {
    const index = all.get('docs/README.md')!;
    const reached = linksOf(index).map(({ target }) => normalize(join('docs', target.split('#')[0]!)));
    const missing = pages.map(({ path }) => path).filter((path) => path.startsWith('docs/'));
    expect(missing.filter((path) => path !== 'docs/README.md' && !reached.includes(path))).toEqual([]);
  });
});
