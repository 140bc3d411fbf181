/** The cost of the sequential tests: `npx tsx bench/statistics.ts`. Exit code 1 when it is above its limit. */
import { measureCost } from './statistics/cost.js';
import { table } from './statistics/report.js';

let isKept = true;

const rows = (await measureCost()).map(({ name, ns, limit }) => {
  if (limit === undefined) return [name, ns.toFixed(0), ''];
  isKept &&= ns <= limit;
  return [name, ns <= limit ? ns.toFixed(0) : `**${ns.toFixed(0)}**`, limit.toFixed(0)];
});
console.log(table('Cost, amortised over many outcomes', ['work for one outcome', 'ns', 'limit'], rows));
if (!isKept) process.exitCode = 1;
