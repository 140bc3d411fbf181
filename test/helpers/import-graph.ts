import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, posix } from 'node:path';

/** What each file imports: own files by their path from the root, packages by name. */
export type ImportGraph = ReadonlyMap<string, readonly string[]>;

/** Every TypeScript file of these folders by its path from the root, with its text. */
export function readSources(root: string, folders: readonly string[]): Map<string, string> {
  const files = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((file) =>
      posix.join(folder, file.replaceAll('\\', '/')),
    ),
  );
  return new Map(
    files
      .filter((file) => /\.tsx?$/.test(file))
      .sort()
      .map((file) => [file, readFileSync(join(root, file), 'utf8')]),
  );
}

/** Imports, re-exports, imports of types and dynamic imports. */
export function importGraph(sources: ReadonlyMap<string, string>): ImportGraph {
  return new Map([...sources].map(([file, text]) => [file, importsOf(file, text, sources)]));
}

function importsOf(file: string, text: string, sources: ReadonlyMap<string, string>): string[] {
  const code = withoutComments(text);
  const specifiers = [
    ...code.matchAll(/^(?:import|export)\b[^;'"]*?\bfrom\s*'([^']+)'/gm),
    ...code.matchAll(/\bimport\s*\(?\s*'([^']+)'/g),
  ].map(([, specifier]) => specifier!);
  const targets = specifiers.map((specifier) => {
    if (!specifier.startsWith('.')) return specifier;
    const target = posix.join(dirname(file), specifier).replace(/\.js$/, '.ts');
    return sources.has(`${target}x`) ? `${target}x` : target;
  });
  return [...new Set(targets)];
}

/** Comments become blank lines, so that what is left keeps its line numbers. A `//` within a word is a URL's. */
function withoutComments(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ''))
    .replace(/(^|\s)\/\/.*/gm, '$1');
}

/** The shortest chain of imports from a file to a target that is not allowed; undefined if there is none. */
export function chainTo(
  graph: ImportGraph,
  from: string,
  isTarget: (target: string) => boolean,
): string[] | undefined {
  const seen = new Set([from]);
  const chains = [[from]];
  for (const chain of chains) {
    for (const target of graph.get(chain.at(-1)!) ?? []) {
      if (seen.has(target)) continue;
      seen.add(target);
      if (isTarget(target)) return [...chain, target];
      chains.push([...chain, target]);
    }
  }
  return undefined;
}

/** For each file that reaches such a target, how. A chain that only leads into another of them is left out. */
export function chainsTo(
  graph: ImportGraph,
  files: readonly string[],
  isTarget: (target: string) => boolean,
): string[] {
  const chains = files.flatMap((file) => {
    const chain = chainTo(graph, file, isTarget);
    return chain === undefined ? [] : [chain];
  });
  const starts = new Set(chains.map(([start]) => start));
  return chains.filter((chain) => !chain.slice(1).some((file) => starts.has(file))).map(arrows);
}

/** Imports that a rule forbids. */
export function imports(
  graph: ImportGraph,
  isForbidden: (file: string, target: string) => boolean,
): string[] {
  return [...graph].flatMap(([file, targets]) =>
    targets.filter((target) => isForbidden(file, target)).map((target) => arrows([file, target])),
  );
}

/** One circle of each group of files that reach each other. */
export function circles(graph: ImportGraph): string[] {
  return stronglyConnected(graph).flatMap((group) => {
    const members = new Set(group);
    const within = new Map(
      group.map((file) => [file, graph.get(file)!.filter((target) => members.has(target))]),
    );
    const circle = circleThrough(within, group[0]!);
    return circle === undefined ? [] : [arrows(circle)];
  });
}

function circleThrough(graph: ImportGraph, file: string): string[] | undefined {
  const ways = graph
    .get(file)!
    .map((first) => (first === file ? [file] : chainTo(graph, first, (target) => target === file)));
  const [shortest] = ways.filter((way) => way !== undefined).sort((a, b) => a.length - b.length);
  return shortest === undefined ? undefined : [file, ...shortest];
}

/** Tarjan's algorithm. A file alone is a group as well. */
function stronglyConnected(graph: ImportGraph): string[][] {
  const groups: string[][] = [];
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const visit = (file: string) => {
    index.set(file, index.size);
    low.set(file, index.get(file)!);
    stack.push(file);
    for (const target of graph.get(file)!) {
      if (!graph.has(target)) continue;
      if (!index.has(target)) {
        visit(target);
        low.set(file, Math.min(low.get(file)!, low.get(target)!));
      } else if (stack.includes(target)) {
        low.set(file, Math.min(low.get(file)!, index.get(target)!));
      }
    }
    if (low.get(file) === index.get(file)) groups.push(stack.splice(stack.indexOf(file)));
  };
  for (const file of graph.keys()) if (!index.has(file)) visit(file);
  return groups;
}

/** The graph between rooms: by default the folders directly below `src/`. */
export function roomGraph(graph: ImportGraph, nameOf = roomOf): ImportGraph {
  const rooms = new Map<string, Set<string>>();
  for (const [file, targets] of graph) {
    const room = nameOf(file);
    if (room === undefined) continue;
    const reached = rooms.get(room) ?? new Set();
    rooms.set(room, reached);
    for (const target of targets.map(nameOf)) {
      if (target !== undefined && target !== room) reached.add(target);
    }
  }
  return new Map([...rooms].map(([room, reached]) => [room, [...reached]]));
}

export function roomOf(file: string): string | undefined {
  return /^src\/([^/]+)\//.exec(file)?.[1];
}

/** Imports that lead from a room to a higher one, or to one that is not in the order. */
export function upwards(graph: ImportGraph, order: readonly (readonly string[])[]): string[] {
  const levelOf = (file: string) => order.findIndex((level) => level.includes(roomOf(file)!));
  return imports(
    graph,
    (file, target) =>
      roomOf(file) !== undefined &&
      roomOf(target) !== undefined &&
      roomOf(file) !== roomOf(target) &&
      (levelOf(file) < levelOf(target) || levelOf(target) === -1),
  );
}

/** Files that share their name with another; `index.ts` may. */
export function sameNames(files: Iterable<string>): string[] {
  return [...groupBy(files, basename)]
    .filter(([name, same]) => name !== 'index.ts' && same.length > 1)
    .map(([, same]) => same.join(' and '));
}

/** Folders with more files than that, not counting those of folders within. */
export function fullFolders(files: Iterable<string>, most: number): string[] {
  return [...groupBy(files, dirname)]
    .filter(([, inside]) => inside.length > most)
    .map(([folder, inside]) => `${folder}/ has ${inside.length} files`);
}

function groupBy(files: Iterable<string>, keyOf: (file: string) => string): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const file of files) groups.set(keyOf(file), [...(groups.get(keyOf(file)) ?? []), file]);
  return groups;
}

/** Lines of code, not of comments, that match. */
export function linesWith(sources: ReadonlyMap<string, string>, pattern: RegExp): string[] {
  return [...sources].flatMap(([file, text]) =>
    withoutComments(text)
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
  );
}

function arrows(files: readonly string[]): string {
  return files.join(' → ');
}
