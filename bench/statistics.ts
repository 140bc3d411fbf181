/**
 * The operating characteristics of the sequential tests, by simulation: `npx tsx bench/statistics.ts`.
 * The same seed gives the same tables (times apart). Exit code 1 when a promise is not kept.
 */
import { parseArgs } from 'node:util';
import { SingleBar } from 'cli-progress';
import { measureCost } from './statistics/cost.js';
import { brokenRollouts, healthyRollouts, lateHarm, returningUsers } from './statistics/failures.js';
import { frozenControl, interval, latency, limit } from './statistics/others.js';
import { Run, table } from './statistics/report.js';

const { values } = parseArgs({
  options: {
    replicates: { type: 'string', default: '4000' },
    observations: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const run = new Run(Number(values.replicates), Number(values.observations), Number(values.seed));
const all = [
  healthyRollouts(run),
  brokenRollouts(run),
  lateHarm(run),
  limit(run),
  frozenControl(run),
  latency(run),
  returningUsers(run),
  interval(run),
];
const wanted = (key: string) => values.only === '' || values.only.split(',').includes(key);

async function main(): Promise<void> {
  const sections = all.filter(({ key }) => wanted(key));
  const bar = new SingleBar({
    format: '{bar} {value}/{total} {section}',
    stream: process.stderr,
    noTTYOutput: false,
  });
  const total = sections.reduce((sum, { rows }) => sum + rows.length, 0);
  if (total > 0) bar.start(total, 0, { section: '' });
  const tables: string[] = [];
  for (const { key, title, columns, rows } of sections) {
    const cells = rows.map((row, index) => {
      run.beginRow(key, index);
      const computed = row();
      bar.increment(1, { section: key });
      return computed;
    });
    tables.push(table(title, columns, cells));
  }
  bar.stop();
  if (wanted('cost')) tables.push(await costs());
  console.log(tables.join('\n'));
  if (run.broken.length === 0) return;
  console.log(`\nNot kept:\n${run.broken.map((each) => `- ${each}`).join('\n')}`);
  process.exitCode = 1;
}

async function costs(): Promise<string> {
  const rows = (await measureCost()).map(({ name, ns, limit: most }) => [
    name,
    ns.toFixed(0),
    most === undefined ? '' : run.within(name, ns, most, 0),
  ]);
  return table('Cost, amortised over the outcomes of a block', ['work for one outcome', 'ns', 'limit'], rows);
}

if (values.help) {
  const names = [...all.map(({ key }) => key), 'cost'].join(', ');
  console.log(`Options: --replicates 4000 --observations 20000 --seed 1 --only <some of: ${names}>`);
} else {
  await main();
}
