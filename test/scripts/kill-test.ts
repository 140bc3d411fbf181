/**
 * Kills a process that logs outcomes again and again, and checks that nothing that was flushed is lost and nothing is
 * counted twice.
 *
 *     npm run kill-test -- --kills 200               # before a release; CI runs 25
 *     npm run kill-test -- --kills 200 --seed 4711   # the delays of an earlier run
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compile } from '../helpers/compiled.js';
import { killLog, seeded } from '../helpers/kill-log.js';

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '200' }, seed: { type: 'string' } },
});
const kills = Number(values.kills);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
if (!(Number.isInteger(kills) && kills > 0 && Number.isInteger(seed))) {
  throw new Error('--kills and --seed must be whole numbers, --kills at least 1');
}

console.log(`${kills} kills, seed ${seed}`);
const folder = await mkdtemp(join(tmpdir(), 'kill-test-'));
try {
  await using compiled = await compile();
  const service = join(compiled.folder, 'test/helpers/logging-service.js');
  let done = 0;
  const onKill = () => {
    done += 1;
    if (done % 25 === 0) console.log(`${done} of ${kills}`);
  };
  // Two at once, each with its folder: one alone leaves a core idle.
  const shares = [Math.ceil(kills / 2), Math.floor(kills / 2)].filter((share) => share > 0);
  await Promise.all(
    shares.map((share, index) => {
      // Each has delays of its own, so that the seed leads to the same ones whichever of the two is faster.
      const random = seeded(seed + index);
      return killLog({ service, folder: join(folder, String(index)), kills: share, random, onKill });
    }),
  );
} finally {
  await rm(folder, { recursive: true, force: true });
}
console.log('Nothing that was flushed is lost, and nothing is counted twice.');
