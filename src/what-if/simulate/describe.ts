import type { Service } from './scenarios.js';
import type { Characteristics, Proportion, Simulation, Spread } from './simulation.js';

/** The simulation in words and tables, for a terminal. */
export function describeSimulation({ service, scenarios, replicates, seed }: Simulation): string {
  const healthy = scenarios.filter(({ harmful }) => !harmful);
  const harmful = scenarios.filter((scenario) => scenario.harmful);
  const sections = [
    `${describeService(service)}.\n${replicates} whole rollouts for each line, seed ${seed}.`,
    'Nothing is wrong with the treatment: every stop is a false one.',
    table(['', 'stopped', '95 % interval', 'stage missed', 'by, and reviews'], healthy.map(healthyRow)),
    legend(healthy),
    ...(harmful.length === 0
      ? []
      : [
          'The treatment does harm. Figures until the stop: median, 95th percentile.',
          table(['', 'stopped', 'after', 'treatment calls', 'failing', 'by'], harmful.map(harmfulRow)),
          legend(harmful),
        ]),
  ];
  return `${sections.join('\n\n')}\n`;
}

/** `1, 10, 50, 100 % of 50 requests/s, 1 h each; the control fails 1 %` */
function describeService({ shares, stageMs, requestsPerSecond, controlFailureRate }: Service): string {
  const percentages = shares.map((share) => Number((share * 100).toPrecision(3))).join(', ');
  const length = `${formatMinutes(stageMs / 60_000)}${shares.length > 1 ? ' each' : ''}`;
  return `${percentages} % of ${formatRate(requestsPerSecond)}, ${length}; the control fails ${percent(controlFailureRate)}`;
}

function healthyRow({ name, stopped, missed, replicates, ...found }: Characteristics): string[] {
  return [
    name,
    countOf(stopped, replicates),
    `${percent(stopped.lower)}–${percent(stopped.upper)}`,
    countOf(missed, replicates),
    names([...found.stoppedBy, ...dryRuns(found), ...found.reviews]),
  ];
}

function harmfulRow(found: Characteristics): string[] {
  return [
    found.name,
    countOf(found.stopped, found.replicates),
    spread(found.minutes, formatMinutes),
    spread(found.treatmentCalls, whole),
    spread(found.harmedCalls, whole),
    names([...found.stoppedBy, ...dryRuns(found)]),
  ];
}

/** What happens in each scenario. */
function legend(scenarios: readonly Characteristics[]): string {
  return scenarios.map(({ name, description }) => `  ${name}: ${description}`).join('\n');
}

function countOf({ count }: Proportion, replicates: number): string {
  return `${count} of ${replicates}`;
}

/** Rules in dry run, among those that stop. */
function dryRuns({
  wouldHaveStopped,
}: Pick<Characteristics, 'wouldHaveStopped'>): Characteristics['stoppedBy'] {
  return wouldHaveStopped.map(({ trigger, count }) => ({ trigger: `${trigger} (dry run)`, count }));
}

function names(list: Characteristics['stoppedBy']): string {
  return list.map(({ trigger, count }) => `${trigger} ${count}`).join(', ') || '–';
}

/** Columns of text, two spaces apart. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  return all
    .map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ')}`.trimEnd())
    .join('\n');
}

function spread({ median, p95 }: Spread, format: (value: number) => string): string {
  const value = (each: number | null) => (each === null ? 'never' : format(each));
  return `${value(median)}, ${value(p95)}`;
}

/** A fraction as a percentage of at most three digits. */
function percent(rate: number): string {
  return `${Number((rate * 100).toPrecision(rate < 0.1 ? 2 : 3))} %`;
}

/** A time in the unit that reads best. */
function formatMinutes(minutes: number): string {
  if (minutes < 1) return `${Number((minutes * 60).toPrecision(2))} s`;
  if (minutes < 120) return `${Number(minutes.toPrecision(minutes < 10 ? 2 : 3))} min`;
  return `${Number((minutes / 60).toPrecision(3))} h`;
}

function formatRate(perSecond: number): string {
  const number = (value: number) => Number(value.toPrecision(3));
  if (perSecond >= 1) return `${number(perSecond)} requests/s`;
  return perSecond * 60 >= 1
    ? `${number(perSecond * 60)} requests/min`
    : `${number(perSecond * 3_600)} requests/h`;
}

const whole = (value: number) => String(Math.round(value));
