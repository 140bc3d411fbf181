// Builds dist/, in one folder without further ones:
// - CommonJS, bundled: one file for each entry point, and what they share. Whatever loads the package loads these files, so that
//   nothing exists twice when a process uses both `import` and `require`.
// - `<entry>.mjs`, which exports the same by name to `import`, from `<entry>.all.js`: Node.js searches a file of CommonJS that is imported
//   for the names of its exports, which takes longer than to load it where it is long.
// - Declarations, by tsc, in dist/types/, with those of zod; dist/package.json makes them those of CommonJS, and `<entry>.d.mts` those of ESM.
// Run by `npm run build`. With a folder as argument, only the JavaScript is written, and into that folder: what tests start.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const [elsewhere] = process.argv.slice(2);
const dist = elsewhere === undefined ? join(root, 'dist') : resolve(elsewhere);
const require = createRequire(import.meta.url);
/** What `exports` in package.json has, and what runs as a process of its own, by the names of their files in dist/. */
const { entries, programs, deferred } = require('./entries.json');
const { version, dependencies, peerDependencies, peerDependenciesMeta } = require('../package.json');

const external = Object.keys({ ...dependencies, ...peerDependencies });
const isExternal = (id) =>
  id.startsWith('node:') || external.some((name) => id === name || id.startsWith(`${name}/`));

/** Source files whose functions are loaded when one of them is first called, synchronously. */
const deferredBySource = new Map(
  Object.entries(deferred).map(([name, source]) => [join(root, source), name]),
);
const STAND_IN = '\0stand-in:';

/** A module that exports the same functions as a deferred one, and loads it when one is called. */
function standIn(source) {
  const lines = readFileSync(source, 'utf8').matchAll(/^export (?!type |interface )(.*)$/gm);
  const exported = [...lines].flatMap(([line, what]) => {
    const names = /^(?:\{ (\w+(?:, \w+)*) \} from |(?:async )?function (\w+))/.exec(what);
    if (names === null) throw new Error(`${source} is deferred, and exports no function: ${line}`);
    return (names[1] ?? names[2]).split(', ');
  });
  const file = JSON.stringify(`./${deferredBySource.get(source)}.js`);
  return exported
    .map((name) => `export const ${name} = (...given) => require(${file}).${name}(...given);`)
    .join('\n');
}

/**
 * Our declarations need those of zod, but not its messages in many languages, which are those that do not compile without
 * `esModuleInterop`.
 */
function includeZodTypes() {
  const types = join(dist, 'types');
  const own = readdirSync(types, { recursive: true }).filter((file) => file.endsWith('.d.ts'));
  for (const part of ['classic', 'core']) {
    mkdirSync(join(types, 'zod', part), { recursive: true });
    for (const file of readdirSync(join(zod, 'v4', part)).filter((file) => file.endsWith('.d.ts'))) {
      const text = readFileSync(join(zod, 'v4', part, file), 'utf8');
      writeFileSync(join(types, 'zod', part, file), text.replace(/^export \* as locales .*\n/m, ''));
    }
  }
  for (const file of own) {
    const path = join(types, file);
    const zodFromHere = relative(dirname(path), join(types, 'zod/classic/index.js')).replaceAll('\\', '/');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replaceAll(/(?<=from |import\()(['"])zod\1/g, `'${zodFromHere}'`));
  }
}

rmSync(dist, { recursive: true, force: true });

const bundle = await rolldown({
  cwd: root,
  input: { ...entries, ...programs, ...deferred },
  platform: 'node',
  external: isExternal,
  plugins: [
    {
      name: 'package-version',
      load: (id) =>
        id.endsWith('/src/support/version.ts') ? `export const version = ${JSON.stringify(version)};` : null,
    },
    {
      name: 'deferred',
      resolveId(id, importer) {
        if (importer?.startsWith(STAND_IN)) return { id, external: true };
        if (importer === undefined || !id.startsWith('.')) return null;
        const source = resolve(dirname(importer), id.replace(/\.js$/, '.ts'));
        return deferredBySource.has(source) ? STAND_IN + source : null;
      },
      load: (id) => (id.startsWith(STAND_IN) ? standIn(id.slice(STAND_IN.length)) : null),
    },
    {
      // Source files are ESM; here `require` is at hand, and bundlers of users see what it loads.
      name: 'plain-require',
      transform: (code, id) =>
        id.startsWith(root) && !id.includes('node_modules') && code.includes('requirePackage(')
          ? code.replaceAll(/\brequirePackage\((?=['"])/g, 'require(')
          : null,
    },
  ],
  onLog(level, log, handler) {
    if (level !== 'info') throw new Error(log.message);
    handler(level, log);
  },
});
const { output } = await bundle.write({
  dir: dist,
  format: 'cjs',
  entryFileNames: '[name].js',
  chunkFileNames: 'chunk-[name]-[hash].js',
  minify: false,
  sourcemap: false,
  comments: { legal: true, annotation: false, jsdoc: false },
});
await bundle.close();

// zod is bundled: three quarters of its code are not needed. Its licence asks for this.
const zod = dirname(require.resolve('zod/package.json'));
copyFileSync(join(zod, 'LICENSE'), join(dist, 'zod.LICENSE'));

if (elsewhere === undefined) {
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc');
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
  includeZodTypes();
}
writeFileSync(join(dist, 'package.json'), `${JSON.stringify({ type: 'commonjs' })}\n`);

for (const [name, source] of Object.entries(entries)) {
  const declarations = `./types/${source.replace(/\.ts$/, '.js')}`;
  writeFileSync(join(dist, `${name}.d.ts`), `export * from '${declarations}';\n`);
  writeFileSync(join(dist, `${name}.d.mts`), `export * from '${declarations}';\n`);
  // Node 20 ends the process when a file of CommonJS that was imported lacks a package, whoever catches the error.
  const { imports, exports: names } = output.find(({ fileName }) => fileName === `${name}.js`);
  const mayLack = imports.filter((id) => peerDependenciesMeta[id]?.optional === true);
  const checks = mayLack.map((id) => `import '${id}';`);
  const lines = [
    ...checks,
    `import all from './${name}.all.js';`,
    '',
    `export const {\n  ${[...names].sort().join(',\n  ')},\n} = all;`,
    '',
  ];
  writeFileSync(join(dist, `${name}.mjs`), lines.join('\n'));
  // In two steps: Node.js would follow `module.exports = require(…)`.
  writeFileSync(
    join(dist, `${name}.all.js`),
    `const all = require('./${name}.js');\nmodule.exports = all;\n`,
  );
}

// The page is built into dist/page after this, by a step of its own in `npm run build`: it is read at run time, never imported.
