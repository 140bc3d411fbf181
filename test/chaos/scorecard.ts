import { type Measures, MOST_COUNTED } from './experiment.js';
import { expectationOf, type Fault } from './fault.js';

/** One row: a fault, what it did, and what of that must not be. */
export interface Result {
  readonly fault: Fault;
  /** Undefined when it could not be injected. */
  readonly measures: Measures | undefined;
  /** Empty where all is as expected. */
  readonly problems: readonly string[];
}

/**
 * A machine on which even a service without a guard is that slow (20 ms are the backend's) is too busy to say how long
 * something takes. What happens, and how often, is compared all the same.
 */
const TOO_BUSY_MS = 250;

/** Whether times say nothing, because the machine was busy with something else. */
export function isTooBusy({ machineMs }: Measures): boolean {
  return machineMs > TOO_BUSY_MS;
}

/** Compares a fault's measures with what is expected. */
export function problemsOf(fault: Fault, measures: Measures): string[] {
  const expected = expectationOf(fault);
  const problems: string[] = [];
  const atMost = (what: string, value: number, most: number) => {
    if (value > most) problems.push(`${what}: ${Math.round(value)}, at most ${most} expected`);
  };
  const within = (what: string, value: number | undefined, mostMs: number) => {
    if (value === undefined) problems.push(`${what}: not at all, within ${seconds(mostMs)} expected`);
    else if (value > mostMs && !isTooBusy(measures))
      problems.push(`${what}: after ${seconds(value)}, within ${seconds(mostMs)} expected`);
  };
  atMost('requests failed', measures.failed, expected.failed);
  if (measures.failed > expected.failed) problems.push(...measures.problems);
  if (!isTooBusy(measures))
    atMost('requests delayed', measures.delayed, Math.floor(expected.delayed * measures.sent));
  atMost('decisions lost', measures.lost, 0);
  atMost('decisions doubled', measures.doubled, 0);
  atMost('false stops', measures.falseStops, 0);
  within('stopped', measures.stopMs, expected.stopMs);
  within('off in Unleash', measures.offMs, expected.offMs);
  within('re-armed', measures.reArmMs, expected.reArmMs);
  within("the operator's off served", measures.operatorOffMs, expected.operatorOffMs);
  const { counted = 1 } = measures;
  if (counted < expected.counted || counted > MOST_COUNTED) {
    problems.push(`outcomes counted: ${percent(counted)}`);
  }
  if (!measures.isReported) {
    const said = measures.messages.join(', ') || 'nothing';
    problems.push(`reported: ${said}; expected is ${String(expected.message)}`);
  }
  atMost('more memory in MB', measures.memoryMb, expected.memoryMb);
  return [...problems, ...measures.faults];
}

const HEADER = [
  ...['fault', 'sent', 'failed', 'delayed', 'lost', 'doubled', 'false stops', 'stopped after'],
  ...['off after', 'on again after', "operator's off after", 'counted', 'reported by', ''],
];

/** The table, as text for a terminal or as Markdown. */
export function scorecard(results: readonly Result[], format: 'text' | 'markdown'): string {
  const rows = [HEADER, ...results.map(cellsOf)];
  if (format === 'markdown') {
    const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
    return [line(HEADER), line(HEADER.map(() => '---')), ...rows.slice(1).map(line)].join('\n');
  }
  const widths = HEADER.map((_, column) => Math.max(...rows.map((cells) => cells[column]!.length)));
  return rows
    .map((cells) =>
      cells
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function cellsOf({ fault, measures, problems }: Result): string[] {
  if (measures === undefined)
    return [fault.name, ...HEADER.slice(2).map(() => ''), problems.join('; ') || 'skipped'];
  const { sent, failed, delayed, lost, doubled, falseStops, stopMs, offMs, reArmMs, operatorOffMs, counted } =
    measures;
  return [
    fault.name,
    ...[sent, failed, delayed, lost, doubled, falseStops].map(String),
    ...[stopMs, offMs, reArmMs, operatorOffMs].map((ms) => (ms === undefined ? 'never' : seconds(ms))),
    counted === undefined ? '–' : percent(counted),
    measures.messages.join(', ') || '–',
    `${problems.length === 0 ? '✓' : '✗'}${isTooBusy(measures) ? ' (busy)' : ''}`,
  ];
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}
