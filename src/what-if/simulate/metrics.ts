import type { RolloutRules } from '../../guard/options/rules.js';
import type { MetricDefinition } from '../../statistics/metrics/metric-request.js';
import { ConfigError } from '../../support/config-error.js';
import type { Random } from './random.js';

/** A metric of the rules, and what units do. */
export interface SimulatedMetric {
  readonly definition: MetricDefinition;
  /** Of a conversion and a ratio how often a unit has the event, of a numeric metric the median of the values. */
  readonly control: number;
  /** The same of a treatment that does harm. */
  readonly treatment: number;
}

/** What a unit tracks. */
export interface SimulatedEvent {
  readonly name: string;
  readonly value: number | undefined;
}

/** Values are lognormal, as those of carts are. */
const SIGMA = 1;
const EXPECTED = '<event>=<control>:<treatment>, for example checkout-completed=0.3:0.24';

/**
 * Reads `checkout-completed=0.3:0.24` for the metrics of the rules.
 *
 * @throws ConfigError for an event that no rule has, and for numbers that make no sense.
 */
export function metricsOf(rules: RolloutRules, given: readonly string[]): SimulatedMetric[] {
  const definitions = [...rules.rollback, ...rules.review].flatMap(({ evidence }) =>
    evidence?.test === 'metric' ? [evidence.metric] : [],
  );
  return given.flatMap((text) => {
    const refuse = (expected: string) => {
      throw new ConfigError('options', [{ path: 'metric', expected, got: `"${text}"` }]);
    };
    const { event, control, treatment } =
      /^(?<event>.+)=(?<control>[^:]+):(?<treatment>[^:]+)$/.exec(text)?.groups ?? {};
    const found = definitions.filter((each) => each.event === event);
    const [a, b] = [Number(control ?? Number.NaN), Number(treatment ?? Number.NaN)];
    if (!Number.isFinite(a) || !Number.isFinite(b)) refuse(EXPECTED);
    if (found.length === 0) {
      const events = definitions.map((each) => each.event).join(', ');
      refuse(events === '' ? 'rules with metrics (--config)' : `an event of the rules' metrics: ${events}`);
    }
    if (found.some(({ kind }) => kind !== 'numeric') && ![a, b].every((rate) => rate >= 0 && rate <= 1)) {
      refuse('fractions from 0 to 1, of units that have the event');
    }
    if (found.some(({ kind }) => kind === 'numeric') && !(a > 0 && b > 0)) refuse('medians above 0');
    return found.map((definition) => ({ definition, control: a, treatment: b }));
  });
}

/** What one unit does for each metric. @param isHarmed - Whether it is in a treatment that does harm. */
export function eventsOfUnit(
  metrics: readonly SimulatedMetric[],
  isHarmed: boolean,
  random: Random,
): SimulatedEvent[] {
  return metrics.flatMap(({ definition, control, treatment }) =>
    eventsOf(definition, isHarmed ? treatment : control, random),
  );
}

function eventsOf(definition: MetricDefinition, level: number, random: Random): SimulatedEvent[] {
  const { event: name } = definition;
  switch (definition.kind) {
    case 'numeric':
      return [{ name, value: level * Math.exp(SIGMA * random.normal()) }];
    case 'conversion':
      return random.chance(level) ? [{ name, value: undefined }] : [];
    case 'ratio': {
      const per = { name: definition.per, value: undefined };
      return random.chance(level) ? [per, { name, value: undefined }] : [per];
    }
  }
}
