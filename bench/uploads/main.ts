/**
 * What the new upload path gains: control against treatment, both behind the same service, on the same files and the
 * same provider, in one run.
 *
 *     npx tsx bench/uploads/main.ts             # about eight minutes; Linux, for the memory, and openssl
 *     npx tsx bench/uploads/main.ts --short     # about two minutes, rougher
 *     npx tsx bench/uploads/main.ts memory      # one of memory, throughput, latency, stalls
 */
import { FULL, latency, memory, SHORT, stalls, throughput } from './measures.js';
import { print } from './report.js';

const measures = { memory, throughput, latency, stalls };
const chosen = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const effort = process.argv.includes('--short') ? SHORT : FULL;
const kept: boolean[] = [];

console.log(
  'control: the whole file in memory, a new connection for each, one after another\n' +
    'treatment: streamed with back-pressure through a spool on disk, 16 kept connections, stalls given up',
);
for (const [name, measure] of Object.entries(measures)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  const section = await measure(effort);
  print(section);
  kept.push(...section.figures.map((figure) => figure.kept));
}
console.log(`\n${kept.filter(Boolean).length} of ${kept.length} promises kept.`);
