/**
 * Injects each fault of the matrix into a real service under load, with a real Unleash, a real Redis and real HTTP, and
 * prints what it did to users and to the guard. Exit code 1 when something is not as the matrix expects.
 *
 *     npm run chaos                          # everything, before a release: 5 to 10 minutes
 *     npm run chaos -- --short               # one of each kind, which CI runs: under 2 minutes
 *     npm run chaos -- --only 'client API'   # faults whose name matches a regular expression
 *     npm run chaos -- --update              # writes the rows into the table of docs/reliability.md
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { compile } from '../helpers/compiled.js';
import { findOnPath } from '../helpers/on-path.js';
import { experiment } from './experiment.js';
import type { Fault } from './fault.js';
import { FAULT_MATRIX } from './faults/matrix.js';
import { MachineNoise } from './machine-noise.js';
import { isTooBusy, problemsOf, type Result, scorecard } from './scorecard.js';
import type { Lab } from './world.js';

type Testing = typeof import('../../src/testing/index.js');

const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    update: { type: 'boolean', default: false },
    // At once: a fault is mostly waited for.
    parallel: { type: 'string', default: '4' },
  },
});
// Ended from outside, it ends what it started.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const pattern = new RegExp(values.only, 'i');
const faults = FAULT_MATRIX.filter(({ name, isShort }) => (isShort || !values.short) && pattern.test(name));
if (faults.length === 0) throw new Error('no fault has such a name');
const parallel = Number(values.parallel);
if (!(Number.isInteger(parallel) && parallel > 0))
  throw new Error('--parallel must be a whole number from 1');
const startedAt = performance.now();
let machine = '';
const folder = await mkdtemp(join(tmpdir(), 'chaos-'));
const results = new Map<Fault, Result>();
try {
  await using compiled = await compile();
  const testing = (await import(pathToFileURL(join(compiled.folder, 'dist/testing.mjs')).href)) as Testing;
  await using unleash = await testing.startEmbeddedUnleash();
  const program = (name: string) => join(compiled.folder, 'test/chaos', name);
  await using noise = await MachineNoise.start(program('bare-service.js'));
  const lab: Lab = { unleash, folder, noise, program: program('chaos-service.js') };
  const waiting = [...faults.entries()];
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, fault] = next;
      const result = await resultOf(fault, lab, `chaos-${index + 1}`);
      results.set(fault, result);
      console.log(linesOf(result));
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  // Once more, alone: beside three others, a row may miss its times by a machine that was busy.
  for (const [index, fault] of faults.entries()) {
    if (results.get(fault)!.problems.length === 0) continue;
    const result = await resultOf(fault, lab, `chaos-${index + 1}-alone`);
    results.set(fault, result);
    console.log(`Alone: ${linesOf(result)}`);
  }
  const [p50, p99, most] = [0.5, 0.99, 1].map((share) => `${noise.quantile(share).toFixed(0)} ms`);
  machine = `A service without a guard needed ${p50} for the same request in the median, ${p99} in 99 of 100, ${most} at most.`;
} finally {
  await rm(folder, { recursive: true, force: true });
}

const inOrder = faults.map((fault) => results.get(fault)!);
const took = ((performance.now() - startedAt) / 1000).toFixed(0);
console.log(`\n${scorecard(inOrder, 'text')}\n`);
console.log(`${machine}\n`);
const busy = inOrder.filter(({ measures }) => measures !== undefined && isTooBusy(measures)).length;
if (busy > 0)
  console.log(`The machine was too busy in ${busy} rows: their times and delays are not compared.\n`);
const failed = inOrder.filter(({ problems }) => problems.length > 0);
for (const result of failed) console.log(linesOf(result));
console.log(`${inOrder.length - failed.length} of ${inOrder.length} faults as expected, in ${took} s.`);
const injected = inOrder.filter(({ measures, problems }) => measures !== undefined || problems.length > 0);
if (values.update) await updateDocs(scorecard(injected, 'markdown'));
process.exitCode = failed.length === 0 ? 0 : 1;

function linesOf({ fault, problems }: Result): string {
  const first = `${problems.length === 0 ? '✓' : '✗'} ${fault.name}`;
  return [first, ...problems.map((problem) => `    ${problem}`)].join('\n');
}

/** Replaces the rows of these faults in the table of the fault matrix, and the line about the machine below it. */
async function updateDocs(table: string): Promise<void> {
  const file = fileURLToPath(new URL('../../docs/reliability.md', import.meta.url));
  const text = await readFile(file, 'utf8');
  const former = /\| fault \| sent [^\n]*\n(?:\|[^\n]*\n)+\n[^\n]+\n/;
  const found = former.exec(text)?.[0];
  if (found === undefined) throw new Error(`${file} has no table to replace`);
  const [header, line, ...rows] = table.split('\n');
  const byName = new Map([...found.split('\n'), ...rows].map((row) => [row.split(' | ')[0], row]));
  const merged = FAULT_MATRIX.flatMap(({ name }) => byName.get(`| ${name}`) ?? []);
  await writeFile(
    file,
    text.replace(
      former,
      () =>
        `${[header, line, ...merged].join('\n')}\n\n${machine} That was in the last run; rows may be of several.\n`,
    ),
  );
}

async function resultOf(fault: Fault, lab: Lab, flagKey: string): Promise<Result> {
  const missing = missingFor(fault);
  if (missing !== undefined) {
    console.log(`- ${fault.name}: skipped, ${missing}`);
    return { fault, measures: undefined, problems: [] };
  }
  try {
    const measures = await experiment(fault, lab, flagKey);
    return { fault, measures, problems: problemsOf(fault, measures) };
  } catch (error) {
    return { fault, measures: undefined, problems: [String(error)] };
  }
}

function missingFor({ needs = [], needsRoot = false }: Fault): string | undefined {
  if (needsRoot && process.getuid?.() !== 0) return 'only root can inject it';
  const missing = needs.find((program) => findOnPath(program) === undefined);
  return missing === undefined ? undefined : `there is no ${missing} on the PATH`;
}
