import type { Scenario } from './rollout.js';
import type { Characteristics, Proportion, Simulation, Spread } from './simulation.js';

/** The simulation in words and tables, for a terminal. */
export function describeSimulation(simulation: Simulation): string {
  const { scenario, healthy, actual, detectable, replicates, seed } = simulation;
  const sections = [
    `${describeTraffic(scenario)}, for ${formatMinutes(scenario.durationMs / 60_000)}. ${replicates} simulated rollouts, seed ${seed}.`,
    describeHealthy(healthy, scenario),
    ...(actual === healthy ? [] : [describeActual(actual, scenario)]),
    ...(detectable.length === 0 ? [] : [describeDetectable(detectable, scenario)]),
  ];
  return `${sections.join('\n\n')}\n`;
}

/** `1 % of 50 requests/s` */
export function describeTraffic({ share, requestsPerSecond, users }: Scenario): string {
  const returning = users === undefined ? '' : ` of ${users} users who come again`;
  return `${percent(share)} of ${formatRate(requestsPerSecond)}${returning}`;
}

function describeHealthy(healthy: Characteristics, { controlFailureRate }: Scenario): string {
  return [
    `If the treatment is as good as the control (${percent(controlFailureRate)} fail):`,
    `  stopped by accident   ${proportion(healthy.stopped)}`,
    ...triggerLines(healthy),
  ].join('\n');
}

function describeActual(actual: Characteristics, { slowdown }: Scenario): string {
  const slower = slowdown === 1 ? '' : ` and takes ${slowdown} times as long`;
  return [
    `If the treatment fails ${percent(actual.treatmentFailureRate)}${slower}:`,
    `  stopped               ${proportion(actual.stopped)}`,
    `  treatment requests    ${spread(actual.treatmentRequests, whole)}`,
    `  time until the stop   ${spread(actual.minutes, formatMinutes)}`,
    `  failing requests      ${spread(actual.failingRequests, whole)}`,
    ...triggerLines(actual),
  ].join('\n');
}

function triggerLines({ stoppedBy, reviews, replicates }: Characteristics): string[] {
  const names = (list: Characteristics['stoppedBy']) =>
    list.map(({ trigger, count }) => `${trigger} ${percent(count / replicates)}`).join(', ');
  return [
    ...(stoppedBy.length > 0 ? [`  by                    ${names(stoppedBy)}`] : []),
    ...(reviews.length > 0 ? [`  review opened         ${names(reviews)}`] : []),
  ];
}

function describeDetectable(detectable: readonly Characteristics[], scenario: Scenario): string {
  const lines = detectable.map((each) => {
    const { median, p95 } = each.minutes;
    const rise = `a rise to ${percent(each.treatmentFailureRate)}`.padEnd(20);
    const length = formatMinutes(scenario.durationMs / 60_000);
    if (median === null)
      return `  ${rise} is not found reliably within ${length} (${percent(each.stopped.rate)} stopped)`;
    const late = p95 === null ? `not all within ${length}` : `95 % within ${formatMinutes(p95)}`;
    const after = each.treatmentRequests.median;
    return `  ${rise} takes about ${formatMinutes(median)} (${late}; ${after} treatment requests)`;
  });
  const title = `What can be detected at ${describeTraffic(scenario)}, from ${percent(scenario.controlFailureRate)} failing:`;
  return [title, ...lines].join('\n');
}

function proportion({ count, rate, lower, upper }: Proportion): string {
  return `${percent(rate)} of rollouts (${count}; 95 % interval ${percent(lower)} to ${percent(upper)})`;
}

function spread({ median, p95 }: Spread, format: (value: number) => string): string {
  const value = (each: number | null) => (each === null ? 'never' : format(each));
  return `median ${value(median)}, 95th percentile ${value(p95)}`;
}

/** A fraction as a percentage of at most three digits. */
export function percent(rate: number): string {
  return `${Number((rate * 100).toPrecision(3))} %`;
}

/** A time in the unit that reads best. */
export function formatMinutes(minutes: number): string {
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
