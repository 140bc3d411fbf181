// Writes sbom.cdx.json, a CycloneDX list of what an installation of this package brings with it, for the tarball.
// Run by `prepack`. `npm sbom --omit dev` leaves out what development needs as well (pino, which fastify uses too), so npm is
// given a lock file that has nothing else.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const readJson = (name) => JSON.parse(readFileSync(join(root, name), 'utf8'));
/** Its code is in our files: the build bundles it. */
const BUNDLED = 'zod';
const manifest = withoutOthers(readJson('package.json'));
const lock = readJson('package-lock.json');
const { workspaces = [] } = readJson('package.json');
const { dev: _, ...bundled } = lock.packages[`node_modules/${BUNDLED}`];
const withBundled = { ...lock.packages, [`node_modules/${BUNDLED}`]: bundled };
const installed = Object.entries(withBundled).filter(
  ([path, { dev, peer, link, resolved }]) =>
    !dev && !peer && !workspaces.includes(link === true ? resolved : path),
);
const packages = { ...Object.fromEntries(installed), '': withoutOthers(lock.packages['']) };

const temporary = mkdtempSync(join(tmpdir(), 'sbom-'));
try {
  // npm names the described component after its folder.
  const folder = join(temporary, manifest.name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ ...lock, packages }));
  const sbom = execFileSync(
    'npm',
    ['sbom', '--package-lock-only', '--sbom-format', 'cyclonedx', '--sbom-type', 'library'],
    { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
  );
  writeFileSync(join(root, 'sbom.cdx.json'), sbom);
} finally {
  rmSync(temporary, { recursive: true, force: true });
}

/** Without what is for development, workspaces included, and without peers, which their own packages list. */
function withoutOthers({ devDependencies, peerDependencies, peerDependenciesMeta, workspaces: _, ...rest }) {
  return { ...rest, dependencies: { ...rest.dependencies, [BUNDLED]: devDependencies[BUNDLED] } };
}
