// Packs the tarball as npm would publish it, installs it in an empty folder, and uses it as users do:
// from ESM, from require, from a type check, and from the command line. Run by `npm run test:package`.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const here = fileURLToPath(new URL('.', import.meta.url));
const { name, version, dependencies, devDependencies, peerDependencies } = JSON.parse(
  readFileSync(join(root, 'package.json'), 'utf8'),
);
const folder = mkdtempSync(join(tmpdir(), 'packed-'));

function run(command, args, cwd = folder) {
  return execFileSync(command, args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

const checks = [];
function check(what, action) {
  action();
  checks.push(what);
  console.log(`✓ ${what}`);
}

try {
  const [packed] =
    JSON.parse(
      run('npm', ['pack', '--json', '--pack-destination', folder], root).replace(/^[^[{]*(?=[[{])/, ''),
    ) ?? [];
  const files = packed.files.map(({ path }) => path);
  check('the tarball contains the build and the documents, and neither sources nor tests', () => {
    for (const wanted of [
      'package.json',
      'README.md',
      'LICENSE',
      'SECURITY.md',
      'dist/src/index.js',
      'dist/src/index.d.ts',
    ]) {
      assert.ok(files.includes(wanted), `${wanted} is missing`);
    }
    const strays = files.filter(
      (path) => /^(src|test|bench|examples)\//.test(path) || /(^|[^d])\.ts$/.test(path.replace('.d.ts', '')),
    );
    assert.deepEqual(strays, []);
  });
  check('the tarball lists what an installation brings with it', () => {
    const archive = join(folder, packed.filename);
    const sbom = JSON.parse(run('tar', ['-xzOf', archive, 'package/sbom.cdx.json']));
    assert.equal(sbom.bomFormat, 'CycloneDX');
    assert.equal(sbom.metadata.component.name, name);
    const listed = sbom.components.map((component) => component.name);
    for (const wanted of Object.keys(dependencies))
      assert.ok(listed.includes(wanted), `${wanted} is missing`);
    const surplus = Object.keys(devDependencies).filter((each) => listed.includes(each));
    assert.deepEqual(surplus, []);
  });

  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  const peersOf = (ranges) =>
    ['@openfeature/server-sdk', '@openfeature/core'].map((name) => `${name}@${ranges(name)}`);
  const peers = peersOf((name) => devDependencies[name]);
  const tools = ['typescript', '@types/node'].map((name) => `${name}@${devDependencies[name]}`);
  run('npm', [
    'install',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    packed.filename,
    ...peers,
    ...tools,
  ]);
  cpSync(join(here, 'consumer'), folder, { recursive: true });

  check('ESM imports it and the guard stops a flag', () =>
    assert.equal(run('node', ['use.mjs']).trim(), 'stopped'),
  );
  check('require loads it', () => assert.equal(run('node', ['use.cjs']).trim(), version));
  check('a strict type check of ESM and CommonJS accepts it', () =>
    run('npx', ['tsc', '-p', 'tsconfig.json']),
  );
  check('the command line says its version', () =>
    assert.equal(run('npx', ['rollout-guard', '--version']).trim(), version),
  );
  check('the command line helps', () =>
    assert.match(run('npx', ['rollout-guard', '--help']), /Usage: rollout-guard/),
  );
  check('./redis needs no Redis package until it is given a URL', () =>
    assert.match(run('node', ['redis.mjs']), /npm install redis/),
  );
  check('./testing names the packages that it needs when they are missing', () =>
    assert.match(run('node', ['testing.mjs']), /unleash-server/),
  );
  check('./opentelemetry names the package that it needs, which nothing else has brought', () =>
    assert.match(run('node', ['opentelemetry.mjs']), /Cannot find package '@opentelemetry\/api'/),
  );
  const apiRange = `@opentelemetry/api@${peerDependencies['@opentelemetry/api']}`;
  for (const api of [apiRange, apiRange.replace('^', '')]) {
    run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error', api]);
    check(`./opentelemetry records nothing beside ${api} without an SDK, and its types compile`, () => {
      assert.equal(run('node', ['opentelemetry.mjs']).trim(), 'observes');
      run('npx', ['tsc', '-p', 'tsconfig.opentelemetry.json']);
    });
  }
  const oldest = peersOf((name) => peerDependencies[name].replace('^', ''));
  run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error', ...oldest]);
  check(`the oldest peers do as well: ${oldest.join(', ')}`, () => {
    assert.equal(run('node', ['use.mjs']).trim(), 'stopped');
    run('npx', ['tsc', '-p', 'tsconfig.json']);
  });
  console.log(`\n${checks.length} passed, 0 failed`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
