/**
 * Plays whole rollouts with the preset through the guard's own store, triggers, stages and evaluation, and compares false stops,
 * delays and the harm done with the bars that docs/statistics.md promises. `npm run bench:rollouts [-- --replicates 100 --only late]`
 */
import { parseArgs } from 'node:util';
import { asyncUploadRollout } from '../src/guard/options/async-upload-rollout.js';
import { type Characteristics, characterise } from '../src/what-if/simulate/simulation.js';
import { type Bar, type BenchScenario, SCENARIOS } from './rollouts/scenarios.js';

const { values } = parseArgs({
  options: {
    replicates: { type: 'string', default: '100' },
    only: { type: 'string', default: '' },
    seed: { type: 'string', default: '1' },
  },
});
const replicates = Number(values.replicates);

/** What is broken, in words; empty when all bars hold. */
function broken(bar: Bar, found: Characteristics): string[] {
  const { stopped, harmedCalls, treatmentCalls, missed, reviews, metAfterHarm } = found;
  const above = (value: number | null, limit: number | undefined) =>
    limit !== undefined && (value === null || value > limit);
  const opened = (name: string) => reviews.find(({ trigger }) => trigger === name)?.count ?? 0;
  return [
    ...(bar.falseStops !== undefined && stopped.lower > bar.falseStops ? ['false stops'] : []),
    ...(above(harmedCalls.median, bar.harmedCalls) ? ['harmed calls'] : []),
    ...(above(harmedCalls.p95, bar.harmedCallsP95) ? ['harmed calls, p95'] : []),
    ...(above(treatmentCalls.median, bar.treatmentCalls) ? ['treatment calls'] : []),
    ...(bar.review !== undefined && opened(bar.review) < found.replicates ? [`review ${bar.review}`] : []),
    ...(bar.missed !== undefined && missed.lower > bar.missed ? ['missed'] : []),
    ...(bar.neverMet && metAfterHarm.count > 0 ? ['met'] : []),
  ];
}

function row({ name, bar, weight = 1, ...scenario }: BenchScenario): string[] {
  const count = Math.max(2, Math.round(replicates * weight));
  const found = characterise(
    asyncUploadRollout,
    { ...scenario, name, description: '', harmful: bar.falseStops === undefined },
    { replicates: count, seed: Number(values.seed) },
  );
  const faults = broken(bar, found);
  if (faults.length > 0) process.exitCode = 1;
  const spread = (value: { readonly median: number | null; readonly p95: number | null }) =>
    `${value.median ?? '–'}/${value.p95 ?? '–'}`;
  const names = (list: Characteristics['reviews']) =>
    list.map(({ trigger, count: n }) => `${trigger} ${n}`).join(', ');
  return [
    name,
    String(count),
    found.stopped.rate.toFixed(3),
    spread(found.treatmentCalls),
    spread(found.harmedCalls),
    found.missed.rate.toFixed(2),
    names(found.stoppedBy),
    names(found.reviews),
    faults.length === 0 ? 'holds' : `BROKEN: ${faults.join(', ')}`,
  ];
}

console.log(
  'scenario | rollouts | stopped | treatment calls, median/p95 | harmed calls | missed | by | reviews | bar',
);
for (const scenario of SCENARIOS) {
  if (scenario.name.includes(values.only)) console.log(row(scenario).join(' | '));
}
