import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Block, type Page, pages, root } from './pages.js';

/** A snippet of TypeScript or JavaScript, as a module that can be checked and run. */
export interface Snippet {
  readonly place: string;
  /** Its file's name, without `.ts`. */
  readonly name: string;
  readonly module: string;
  /** Why it is checked and not run; undefined for one that is run. */
  readonly notRun: string | undefined;
}

/** Names that a snippet may use without declaring them, and where each comes from; `type Name` for a type. */
export type Names = ReadonlyMap<string, string>;

const LANGUAGES = ['ts', 'js'];
const NOT_RUN = 'not run: ';
const NOT_CHECKED = 'not checked: ';
const PART_OF = 'part of ';
const FROM = 'from ';

const isCode = ({ language }: Block) => LANGUAGES.includes(language);
const begins = ({ directive = '' }: Block, word: string) => directive.startsWith(word);

/** Names that the text declares or imports by itself. */
function declaredIn(text: string): Set<string> {
  const declared = [...text.matchAll(/\b(?:const|let|class|function|interface|type)\s+(\w+)/g)].map(
    ([, name]) => name!,
  );
  const imported = [...text.matchAll(/^import\s+(?:type\s+)?([^;]*?)\s+from\s/gms)].flatMap(
    ([, names]) => names!.match(/\w+/g) ?? [],
  );
  return new Set([...declared, ...imported]);
}

/** The imports that the text needs of what it uses and does not declare. */
function importsFor(text: string, names: Names): string {
  const own = declaredIn(text);
  const hasImports = /^import\s/m.test(text);
  return [...names]
    .filter(([name]) => {
      const bare = name.replace('type ', '');
      return !own.has(bare) && new RegExp(`(?<![\\w'-]|(?<!\\.\\.)\\.)${bare}\\b(?!['-])`).test(text);
    })
    .filter(([, from]) => !hasImports || from.endsWith('preamble.js'))
    .map(([name, from]) => `import { ${name} } from '${from}';`)
    .join('\n');
}

/** `// …` stands for the options of the quick start; a part of an object becomes all of it. */
function completed({ directive = '', language, text }: Block): string {
  const whole = text.replaceAll(/^\s*\/\/ …(?: .*)?$/gm, '...asInTheQuickStart,');
  if (directive.startsWith(PART_OF)) {
    return `({\n${whole}\n}) satisfies Partial<import('unleash-rollout-guard').${directive.slice(PART_OF.length)}>;`;
  }
  // JavaScript needs no assertion where a variable of the environment may be missing.
  return language === 'js' ? whole.replaceAll(/process\.env\.\w+/g, (variable) => `${variable}!`) : whole;
}

/** Directives of a page that say nothing, or not why. */
export function wrongDirectives({ blocks }: Page): string[] {
  return blocks
    .filter((block) => block.directive !== undefined)
    .filter((block) => {
      const word = [NOT_RUN, NOT_CHECKED, PART_OF, FROM].find((each) => begins(block, each));
      return word === undefined || block.directive!.length < word.length + 5 || !isCode(block);
    })
    .map(({ place, directive }) => `${place}: ${directive}`);
}

/** Parts of programs that a test runs: they say which, and are in it word for word but for `// …`, whatever the indentation. */
export function strayParts({ blocks }: Page): string[] {
  const words = (text: string) => text.replaceAll(/^\s+/gm, '');
  return blocks
    .filter((block) => begins(block, FROM))
    .flatMap(({ place, directive, text }) => {
      const file = directive!.slice(FROM.length);
      const program = existsSync(join(root, file)) ? words(readFileSync(join(root, file), 'utf8')) : '';
      const parts = text.split(/^\s*\/\/ …\n/m).map(words);
      return parts
        .filter((part) => !program.includes(part))
        .map((part) => `${place}: not in ${file}: ${part}`);
    });
}

/** All snippets that are compiled. */
export function snippetsWith(names: Names): Snippet[] {
  return pages
    .flatMap(({ blocks }) => blocks)
    .filter((block) => isCode(block) && !begins(block, NOT_CHECKED) && !begins(block, FROM))
    .map((block) => {
      const text = completed(block);
      return {
        place: block.place,
        name: block.place.replaceAll(/[^\w-]+/g, '_'),
        module: `${importsFor(text, names)}\n${text}\nexport {};\n`,
        notRun: begins(block, NOT_RUN) ? block.directive!.slice(NOT_RUN.length) : undefined,
      };
    });
}
