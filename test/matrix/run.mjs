// The packed tarball with every version that it promises to work with: one short suite for each row of the README's table.
// `npm run matrix`; `-- --short` runs what no other step of CI does and takes no Unleash server, which takes long to install;
// `-- node` runs the rows that have this in their names. A row that cannot be installed is skipped with a line, and fails under
// CI=true.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { devDependencies, peerDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const given = process.argv.slice(2);
const isShort = given.includes('--short');
const wanted = given.filter((argument) => !argument.startsWith('--'));
const isCi = process.env.CI === 'true';
const base = mkdtempSync(join(tmpdir(), 'matrix-'));

const SDK = '@openfeature/server-sdk';
const CORE = '@openfeature/core';
const newest = [`${SDK}@${devDependencies[SDK]}`, `${CORE}@${devDependencies[CORE]}`];
const oldest = [SDK, CORE].map((name) => `${name}@${peerDependencies[name].replace(/^[\^~>=]+/, '')}`);
const newestTypes = [
  `typescript@${devDependencies.typescript}`,
  `@types/node@${devDependencies['@types/node']}`,
];
const database = ['@electric-sql/pglite', '@electric-sql/pglite-socket'].map(
  (name) => `${name}@${devDependencies[name]}`,
);

/** Stops a flag in both module systems. */
function suite(run, node = 'node') {
  assert.equal(run(node, 'use.mjs'), 'stopped');
  assert.equal(run(node, 'both.cjs'), 'stopped');
}

/** npm has the binaries of Node.js as packages, one for each platform. */
const nodeRow = (version, index, { length }) => ({
  name: `Node.js ${version}`,
  isShort: index === length - 1,
  packages: [
    ...newest,
    `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}@${version}`,
  ],
  test(run, folder) {
    const node = join(folder, `node_modules/node-${process.platform}-${process.arch}/bin/node`);
    const found = run(node, '--version');
    suite(run, node);
    return found;
  },
});

const unleashRow = (version) => ({
  name: `Unleash ${version}`,
  packages: [...newest, ...database, `unleash-server@${version}`],
  test(run) {
    const found = run('node', 'unleash.mjs');
    assert.match(found, /^stopped; /);
    return found;
  },
});

const rows = [
  ...['20.19', '22', '24'].map(nodeRow),
  {
    name: `OpenFeature SDK ${oldest[0].split('@').at(-1)}`,
    packages: oldest,
    isShort: true,
    test: (run) => suite(run),
  },
  { name: 'OpenFeature SDK, newest', packages: newest, test: (run) => suite(run) },
  ...[
    { name: 'TypeScript 5.5', types: ['typescript@5.5', '@types/node@20'], isShort: true },
    { name: 'TypeScript, newest', types: newestTypes },
  ].map(({ types, ...row }) => ({
    ...row,
    packages: [...newest, ...types],
    test(run) {
      run('npx', 'tsc', '-p', 'tsconfig.json');
      return run('npx', 'tsc', '--version');
    },
  })),
  ...['6.10.1', '7.5.1', '8.2.0'].map(unleashRow),
];

function execute(folder, command, ...args) {
  const options = {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, TMPDIR: base },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 600_000,
  };
  return execFileSync(command, args, options).trim();
}

const results = [];
try {
  const packed = execute(root, 'npm', 'pack', '--json', '--pack-destination', base);
  const [{ filename }] = JSON.parse(packed.replace(/^[^[{]*(?=[[{])/, ''));
  for (const [index, row] of rows.entries()) {
    if (isShort && !row.isShort) continue;
    if (wanted.length > 0 && !wanted.some((word) => row.name.toLowerCase().includes(word.toLowerCase())))
      continue;
    const folder = join(base, String(index));
    mkdirSync(folder);
    cpSync(join(root, 'test/package/consumer'), folder, { recursive: true });
    cpSync(join(root, 'test/matrix/unleash.mjs'), join(folder, 'unleash.mjs'));
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
    const startedAt = performance.now();
    const end = (status, detail) => {
      const seconds = Math.round((performance.now() - startedAt) / 1_000);
      results.push(status);
      console.log(
        `${{ ok: '✓', failed: '✗', skipped: '-' }[status]} ${row.name}${detail ? ` (${detail})` : ''}, ${seconds} s`,
      );
    };
    try {
      // What one row has downloaded is in npm's cache for the next.
      const quietly = [
        '--prefer-offline',
        '--no-audit',
        '--no-fund',
        '--loglevel=error',
        '--legacy-peer-deps',
      ];
      execute(folder, 'npm', 'install', ...quietly, join(base, filename), ...row.packages);
    } catch (error) {
      end(
        isCi ? 'failed' : 'skipped',
        `not installed: ${
          String(error.stderr ?? error.message)
            .trim()
            .split('\n')[0]
        }`,
      );
      continue;
    }
    try {
      end(
        'ok',
        row.test((command, ...args) => execute(folder, command, ...args), folder),
      );
    } catch (error) {
      end('failed', `${error.message}\n${error.stdout ?? ''}${error.stderr ?? ''}`);
    }
    rmSync(folder, { recursive: true, force: true });
  }
} finally {
  rmSync(base, { recursive: true, force: true });
}
const failed = results.filter((status) => status === 'failed').length;
console.log(`\n${results.filter((status) => status === 'ok').length} rows work, ${failed} do not`);
if (failed > 0 || results.length === 0) process.exitCode = 1;
