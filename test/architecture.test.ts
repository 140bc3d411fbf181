import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  chainsTo,
  circles,
  fullFolders,
  type ImportGraph,
  importGraph,
  imports,
  linesWith,
  readSources,
  roomGraph,
  sameNames,
  upwards,
} from './helpers/import-graph.js';

/** The rooms of `src/` from low to high: a file imports from its own room, its own level and those above it in this list. */
const ORDER = [
  ['support'],
  ['model'],
  ['statistics'],
  ['measure'],
  ['rollups'],
  ['operation', 'triggers', 'unleash', 'notify', 'fleet', 'log', 'journal'],
  ['dashboard'],
  ['alerts'],
  ['guard'],
  ['report', 'what-if', 'doctor', 'opentelemetry'],
  ['cli'],
  // Stands apart, as the next rule requires.
  ['testing'],
];

const MOST_LINES = 340;
const MOST_FILES = 15;

/** OpenFeature, the Unleash SDK, and the folders that import them. */
const isSdk = (target: string) => /^(providers|hooks)\/|^@openfeature\/|^unleash-client(\/|$)/.test(target);
const isOpenTelemetry = (target: string) => /^@opentelemetry\/|^src\/opentelemetry\//.test(target);
const isRedisClient = (target: string) => /^(redis|ioredis|@redis\/.*)$/.test(target);
const isTesting = (target: string) => target.startsWith('src/testing/');

/** Code that gets data and the time, and returns a value. Signals are what triggers read from outside. */
const PURE = [
  'src/statistics/',
  'src/triggers/',
  'src/guard/decide/',
  'src/guard/options/change-windows.ts',
  'src/guard/control/control-state.ts',
  'src/guard/evaluate/stages.ts',
  'src/guard/evaluate/reviews.ts',
  'src/guard/health/checks.ts',
  'src/guard/health/conditions.ts',
];
const isPure = (file: string) =>
  PURE.some((place) => file.startsWith(place)) && !file.startsWith('src/triggers/signals/');
const IMPURE =
  /\bDate\.now\b|\bnew Date\(\)|\bperformance\.|\bprocess\.|\bMath\.random\b|\brandomUUID\b|\bfetch\(|\bset(Timeout|Interval|Immediate)\(/;

/** Whether a file imports another one for its types alone. */
function isTypeImport(text: string, target: string): boolean {
  const name = target
    .split('/')
    .at(-1)!
    .replace(/\.tsx?$/, '.js');
  return text
    .split(/(?=^import\b)/m)
    .filter((statement) => statement.includes(`/${name}'`))
    .every((statement) => statement.startsWith('import type '));
}

const sources = readSources(fileURLToPath(new URL('..', import.meta.url)), ['src', 'providers', 'hooks']);
const graph = importGraph(sources);
const files = [...graph.keys()];
/** Where the parts meet: the public API, and `rollout-guard run` and `drill`, which have a provider of their own. */
const COMPOSITION = ['src/index.ts', 'src/cli/controller/controller.ts', 'src/cli/drill/fire-drill.ts'];
const src = files.filter((file) => file.startsWith('src/'));
const parts = new Map([...graph].filter(([file]) => !COMPOSITION.includes(file)));

describe('src/, providers/ and hooks/', () => {
  it('reach OpenFeature and unleash-client only where the parts meet, however long the chain of imports', () => {
    expect(chainsTo(parts, src, isSdk)).toEqual([]);
  });

  it('do not import src/index.ts', () => {
    expect(imports(graph, (_, target) => target === 'src/index.ts')).toEqual([]);
  });

  it('import OpenTelemetry in src/opentelemetry/ alone, which nothing imports', () => {
    expect(
      imports(graph, (file, target) => isOpenTelemetry(target) && !file.startsWith('src/opentelemetry/')),
    ).toEqual([]);
  });

  it('import Redis clients in src/fleet/redis/ alone', () => {
    expect(
      imports(graph, (file, target) => isRedisClient(target) && !file.startsWith('src/fleet/redis/')),
    ).toEqual([]);
  });

  it('keep src/testing/ apart: it imports no other room and no other room imports it', () => {
    expect(
      imports(graph, (file, target) => isTesting(file) !== isTesting(target) && /^src\//.test(target)),
    ).toEqual([]);
  });

  it("keep the dashboard's page apart: nothing imports it, and it takes types and pure wording alone from elsewhere", () => {
    const isPage = (file: string) => file.startsWith('src/dashboard/page/');
    const pages = new Map([...sources].filter(([file]) => isPage(file)));
    expect([...pages.keys()]).toContain('src/dashboard/page/main.tsx');
    expect(imports(graph, (file, target) => !isPage(file) && isPage(target))).toEqual([]);
    expect(
      imports(
        graph,
        (file, target) =>
          isPage(file) &&
          !isPage(target) &&
          !/^(preact|echarts)(\/|$)/.test(target) &&
          // Whatever is no type would bring zod with it.
          !(target === 'src/support/wording.ts' || isTypeImport(pages.get(file)!, target)),
      ),
    ).toEqual([]);
  });

  it('evaluate and decide without I/O, clock and randomness', () => {
    const pure = new Map([...sources].filter(([file]) => isPure(file)));
    expect(chainsTo(graph, [...pure.keys()], (target) => target.startsWith('node:'))).toEqual([]);
    expect(linesWith(pure, IMPURE)).toEqual([]);
  });

  it('import in no circle between files', () => {
    expect(circles(graph)).toEqual([]);
  });

  it('import in no circle between rooms', () => {
    expect(circles(roomGraph(graph))).toEqual([]);
  });

  it('import in no circle between the rooms of src/guard/ and the files beside them', () => {
    const nameOf = (file: string) => /^src\/guard\/([^/]+)/.exec(file)?.[1];
    const rooms = roomGraph(graph, nameOf);
    expect([...rooms.keys()]).toEqual(expect.arrayContaining(['evaluate', 'act', 'rollout-guard.ts']));
    expect(circles(rooms)).toEqual([]);
  });

  it('import from no higher room', () => {
    expect(upwards(graph, ORDER)).toEqual([]);
  });

  it('have no two files of the same name', () => {
    expect(sameNames(files)).toEqual([]);
  });

  it(`have files of at most ${MOST_LINES} lines, and at most ${MOST_FILES} in a folder`, () => {
    const lengths = [...sources].map(([file, text]) => [file, text.trimEnd().split('\n').length] as const);
    expect(lengths.filter(([, length]) => length > MOST_LINES)).toEqual([]);
    expect(fullFolders(files, MOST_FILES)).toEqual([]);
  });

  it('export by name, so that nothing becomes public by accident', () => {
    const entries = new Map([...sources].filter(([file]) => /^src\/.*index\.ts$/.test(file)));
    expect([...entries.keys()]).toContain('src/index.ts');
    expect(linesWith(entries, /^\s*export\s*\*/)).toEqual([]);
  });
});

describe('the checks of the import rules', () => {
  const graphOf = (edges: Record<string, string[]>): ImportGraph => new Map(Object.entries(edges));

  it('read every kind of import, and none in a comment', () => {
    const found = importGraph(
      new Map([
        [
          'src/a/b.ts',
          [
            "import 'side-effect';",
            "import type { A } from './c.js';",
            "import {\n  type B,\n  c,\n} from '../d/e.js';",
            "export { f } from 'package/deep';",
            "type Late = import('typed').Late;",
            "const late = await import('late');",
            "/** @example\n * import { no } from 'example';\nimport 'no';\n */",
            "// import 'neither';",
            "const url = 'http://host'; import('after-a-url');",
          ].join('\n'),
        ],
      ]),
    );
    expect(found.get('src/a/b.ts')).toEqual([
      'src/a/c.ts',
      'src/d/e.ts',
      'package/deep',
      'side-effect',
      'typed',
      'late',
      'after-a-url',
    ]);
  });

  it('see the real imports', () => {
    expect(graph.get('hooks/outcome-hook.ts')).toContain('@openfeature/server-sdk');
    expect(files.filter((file) => graph.get(file)!.some(isOpenTelemetry))).not.toEqual([]);
    expect(PURE.filter((place) => !files.some((file) => file.startsWith(place)))).toEqual([]);
    const missing = imports(
      graph,
      (_, target) =>
        /^(src|providers|hooks)\//.test(target) && !target.endsWith('.css') && !graph.has(target),
    );
    expect(missing).toEqual([]);
  });

  it('report the whole chain to a forbidden import, once', () => {
    const edges = graphOf({
      'src/cli/main.ts': ['src/cli/run.ts'],
      'src/cli/run.ts': ['src/index.ts'],
      'src/index.ts': ['providers/unleash/provider.ts'],
      'src/report/html.ts': ['src/model/shapes.ts'],
    });
    expect(chainsTo(edges, ['src/cli/main.ts', 'src/cli/run.ts', 'src/report/html.ts'], isSdk)).toEqual([
      'src/cli/run.ts → src/index.ts → providers/unleash/provider.ts',
    ]);
  });

  it('report a circle, and nothing beside it', () => {
    const edges = { a: ['b', 'x'], b: ['c'], c: ['d', 'b'], d: ['b'], x: ['y'], y: [] };
    expect(circles(graphOf(edges))).toEqual(['b → c → b']);
    expect(circles(graphOf({ a: ['a'] }))).toEqual(['a → a']);
    expect(circles(graphOf({ a: ['b'], b: ['package'] }))).toEqual([]);
  });

  it('report a circle between rooms whose files are in none', () => {
    const edges = graphOf({
      'src/log/a.ts': ['src/fleet/b.ts'],
      'src/fleet/b.ts': [],
      'src/fleet/redis/c.ts': ['src/log/d.ts'],
      'src/log/d.ts': [],
    });
    expect(circles(edges)).toEqual([]);
    expect(circles(roomGraph(edges))).toEqual(['log → fleet → log']);
  });

  it('report an import from a higher room or from a room without a place', () => {
    const edges = graphOf({
      'src/model/a.ts': ['src/guard/b.ts', 'src/model/c.ts', 'src/support/d.ts', 'zod'],
      'src/guard/b.ts': ['src/attic/e.ts'],
      'src/report/f.ts': ['src/what-if/g.ts'],
    });
    expect(upwards(edges, ORDER)).toEqual([
      'src/model/a.ts → src/guard/b.ts',
      'src/guard/b.ts → src/attic/e.ts',
    ]);
  });

  it('report equal names, full folders, and impure lines of code but not of comments', () => {
    expect(sameNames(['src/a/x.ts', 'hooks/x.ts', 'src/index.ts', 'src/a/index.ts'])).toEqual([
      'src/a/x.ts and hooks/x.ts',
    ]);
    expect(fullFolders(['a/1.ts', 'a/2.ts', 'a/b/3.ts'], 1)).toEqual(['a/ has 2 files']);
    const code = new Map([
      ['a.ts', '/** Not Date.now(). */\nconst now = Date.now();\nconst at = new Date(0);'],
    ]);
    expect(linesWith(code, IMPURE)).toEqual(['a.ts:2: const now = Date.now();']);
  });
});
