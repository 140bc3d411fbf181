// Packs the tarball as npm would publish it, installs it in an empty folder, and uses it as users do:
// from ESM, from require, from a type check, and from the command line. Run by `npm run test:package`.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const here = fileURLToPath(new URL('.', import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const { name, version, dependencies, devDependencies, peerDependencies } = manifest;
const QUIETLY = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
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
      'dist/index.js',
      'dist/index.mjs',
      'dist/index.all.js',
      'dist/index.d.ts',
      'dist/index.d.mts',
      'dist/zod.LICENSE',
      'dist/page/index.html',
    ]) {
      assert.ok(files.includes(wanted), `${wanted} is missing`);
    }
    const strays = files.filter(
      (path) => /^(src|test|bench|examples)\//.test(path) || /(?<!\.d)\.[cm]?ts$/.test(path),
    );
    assert.deepEqual(strays, []);
    const { size, entryCount } = packed;
    console.log(`  ${Math.round(size / 1024)} KiB packed, ${entryCount} files`);
  });
  check('every entry point has its files, for import and for require', () => {
    const paths = Object.entries(manifest.exports).flatMap(([entry, target]) =>
      entry === './package.json' ? [] : Object.values(target).flatMap((form) => Object.values(form)),
    );
    assert.deepEqual(
      paths.filter((path) => !files.includes(path.replace('./', ''))),
      [],
    );
    const entries = Object.keys(JSON.parse(readFileSync(join(root, 'scripts/entries.json'), 'utf8')).entries);
    const exported = Object.keys(manifest.exports).filter((entry) => entry !== './package.json');
    assert.deepEqual(
      exported.sort(),
      entries.map((entry) => (entry === 'index' ? '.' : `./${entry}`)).sort(),
    );
  });
  check('every link of the README leads to a file of the repository, to which npm leads it', () => {
    const readme = readFileSync(join(root, 'README.md'), 'utf8');
    const links = [...readme.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, link]) => link);
    const relative = links.filter((link) => !/^[a-z]+:/.test(link));
    assert.ok(relative.length > 5);
    const missing = relative.filter((link) => !existsSync(join(root, link)));
    assert.deepEqual(missing, []);
    assert.match(manifest.repository.url, /^git\+https:/);
  });
  check('publint has nothing to say', () => {
    run('npx', ['publint', '--strict', join(folder, packed.filename)], root);
  });
  check('types resolve in every module system (attw)', () => {
    run('npx', ['attw', join(folder, packed.filename)], root);
  });
  check('the tarball lists what an installation brings with it', () => {
    const archive = join(folder, packed.filename);
    const sbom = JSON.parse(run('tar', ['-xzOf', archive, 'package/sbom.cdx.json']));
    assert.equal(sbom.bomFormat, 'CycloneDX');
    assert.equal(sbom.metadata.component.name, name);
    const listed = sbom.components.map((component) => component.name);
    const bundled = 'zod';
    for (const wanted of [...Object.keys(dependencies), bundled])
      assert.ok(listed.includes(wanted), `${wanted} is missing`);
    const surplus = Object.keys(devDependencies).filter((each) => listed.includes(each));
    assert.deepEqual(surplus, [bundled]);
  });

  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  const peersOf = (ranges) =>
    ['@openfeature/server-sdk', '@openfeature/core'].map((name) => `${name}@${ranges(name)}`);
  const peers = peersOf((name) => devDependencies[name]);
  const tools = ['typescript', '@types/node'].map((name) => `${name}@${devDependencies[name]}`);
  run('npm', ['install', ...QUIETLY, packed.filename, ...peers, ...tools]);
  cpSync(join(here, 'consumer'), folder, { recursive: true });

  check('ESM imports it and the guard stops a flag', () =>
    assert.equal(run('node', ['use.mjs']).trim(), 'stopped'),
  );
  check('require loads it', () => assert.equal(run('node', ['use.cjs']).trim(), version));
  check('both forms in one process are one package, and stop a flag together', () =>
    assert.equal(run('node', ['both.cjs']).trim(), 'stopped'),
  );
  check('the dashboard serves its page, from import and from require', () =>
    assert.equal(run('node', ['dashboard.cjs']).trim(), 'served'),
  );
  check('a strict type check of ESM and CommonJS accepts it', () =>
    run('npx', ['tsc', '-p', 'tsconfig.json']),
  );
  check('the dashboard serves its page, also from a copy of dist elsewhere', () => {
    assert.equal(run('node', ['dashboard-page.cjs']).trim(), '200 true');
    const copy = join(folder, 'copied');
    cpSync(join(folder, 'node_modules', name, 'dist'), copy, { recursive: true });
    assert.equal(run('node', ['dashboard-page.cjs', join(copy, 'dashboard.js')]).trim(), '200 true');
  });
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
    assert.match(run('node', ['opentelemetry.mjs']), /Cannot find (package|module) '@opentelemetry\/api'/),
  );
  const apiRange = `@opentelemetry/api@${peerDependencies['@opentelemetry/api']}`;
  for (const api of [apiRange, apiRange.replace('^', '')]) {
    run('npm', ['install', ...QUIETLY, api]);
    check(`./opentelemetry records nothing beside ${api} without an SDK, and its types compile`, () => {
      assert.equal(run('node', ['opentelemetry.mjs']).trim(), 'observes');
      run('npx', ['tsc', '-p', 'tsconfig.opentelemetry.json']);
    });
  }
  // What frameworks and tools bring would hide what the package lacks: in folders of their own.
  const install = (where, packages) => {
    const target = join(folder, where);
    cpSync(join(here, where), target, { recursive: true });
    writeFileSync(join(target, 'package.json'), JSON.stringify({ private: true }));
    const tarball = join(folder, packed.filename);
    run('npm', ['install', ...QUIETLY, tarball, ...peers, ...packages], target);
    return (command, ...args) => run(command, args, target);
  };
  const jest = install('jest', ['jest@30']);
  check('Jest loads it as it comes', () => jest('npx', 'jest', '--silent'));
  const nest = install('nest', [
    ...['common', 'core', 'platform-express'].map((part) => `@nestjs/${part}@11`),
    ...['reflect-metadata', 'rxjs', 'typescript@5.5', '@types/node@20', 'esbuild@0.28'],
  ]);
  cpSync(join(here, '../../examples/nestjs'), join(folder, 'nest/example'), { recursive: true });
  check('a NestJS application with module: commonjs compiles, and its flag is stopped', () => {
    nest('npx', 'tsc', '-p', 'tsconfig.json');
    assert.equal(nest('node', 'out/main.js').trim(), 'stopped');
  });
  check('the oldest TypeScript checks all declarations also for CommonJS without esModuleInterop', () => {
    const flags = ['--noEmit', '--strict', '--module', 'commonjs', '--target', 'es2022', '--types', 'node'];
    nest('npx', 'tsc', ...flags, '../typed.cts');
  });
  check('the example of NestJS compiles with module: commonjs, and is loaded', () => {
    const tokens =
      "Object.assign(process.env, { UNLEASH_CLIENT_TOKEN: 'default:production.c', UNLEASH_ADMIN_TOKEN: '*:*.d' })";
    const load = `${tokens}; console.log(Object.keys(require('./out/example/app.module.js')).join())`;
    assert.equal(nest('node', '-e', load).trim(), 'AppModule');
  });
  check('so does the same in one file of a bundler', () => {
    const externals = [
      '@nestjs/websockets',
      '@nestjs/microservices',
      'class-validator',
      'class-transformer',
      'redis',
      '@redis/client',
    ];
    nest(
      'npx',
      'esbuild',
      'out/main.js',
      '--bundle',
      '--platform=node',
      '--outfile=bundle/main.js',
      '--log-level=error',
      ...externals.map((each) => `--external:${each}*`),
    );
    assert.equal(nest('node', 'bundle/main.js').trim(), 'stopped');
  });
  check('a bundle of ./redis lacks no Redis package until it is given a URL', () => {
    const flags = ['--bundle', '--platform=node', '--outfile=bundle/redis.js', '--log-level=error'];
    nest('npx', 'esbuild', 'redis.js', ...flags);
    assert.match(nest('node', 'bundle/redis.js'), /npm install redis/);
  });
  check('a bundle of ES modules serves the page beside it, and lacks no Redis package until then', () => {
    const requires =
      "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";
    const flags = [
      '--bundle',
      '--platform=node',
      '--format=esm',
      '--outdir=bundle',
      '--out-extension:.js=.mjs',
    ];
    nest('npx', 'esbuild', 'bundled.mjs', ...flags, `--banner:js=${requires}`, '--log-level=error');
    cpSync(join(folder, 'nest/node_modules', name, 'dist/page'), join(folder, 'nest/bundle/page'), {
      recursive: true,
    });
    assert.match(nest('node', 'bundle/bundled.mjs'), /npm install redis[\s\S]*\n200 true\n$/);
  });
  const oldest = peersOf((name) => peerDependencies[name].replace('^', ''));
  run('npm', ['install', ...QUIETLY, ...oldest]);
  check(`the oldest peers do as well: ${oldest.join(', ')}`, () => {
    assert.equal(run('node', ['use.mjs']).trim(), 'stopped');
    run('npx', ['tsc', '-p', 'tsconfig.json']);
  });
  run('npm', ['install', ...QUIETLY, '--legacy-peer-deps', 'redis@4']);
  check('./redis names the version of a Redis package that is too old', () =>
    assert.match(run('node', ['redis.mjs']), /client 5 or newer .*got @redis\/client 1\.\d/),
  );
  console.log(`\n${checks.length} passed, 0 failed`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
