import { formatDuration } from '../../support/wording.js';
import { eventsOfUnit, type SimulatedMetric } from './metrics.js';
import type { Random } from './random.js';
import type { SimulatedCall, SimulatedUnit, Traffic } from './rollout.js';

/** The service that is simulated. Rates and shares are fractions, times milliseconds. */
export interface Service {
  /** The treatment's shares, in the order of the rollout, each above 0 and at most 1. At 1 no control remains. */
  readonly shares: readonly number[];
  /** How long each of them lasts. */
  readonly stageMs: number;
  /** Of both arms together. */
  readonly requestsPerSecond: number;
  readonly controlFailureRate: number;
  /** In the scenarios in which the treatment does harm. */
  readonly treatmentFailureRate: number;
  /** How many users come again and again, in the scenarios with such users. */
  readonly users: number;
  /** The median duration of the control's calls; durations are lognormal with σ = 0.5. */
  readonly latencyMs: number;
  /** How many times as long the treatment takes. */
  readonly slowdown: number;
  /** What is tracked for metrics of the application's own. @default nothing */
  readonly metrics?: readonly SimulatedMetric[] | undefined;
}

/** One kind of rollout that is played many times. */
export interface Scenario {
  readonly name: string;
  /** What happens in it, as one line. */
  readonly description: string;
  /** The treatment does harm: a stop is right. Otherwise every stop is a false one. */
  readonly harmful: boolean;
  /** The traffic of one rollout; its units are drawn anew. */
  traffic(random: Random): Traffic;
}

const SIGMA = 0.5;
/** Heavy users: the n-th most frequent of them calls 1/n^1.1 times as often as the first. */
const HEAVY_EXPONENT = 1.1;
const OUTAGE_MS = 300_000;
const OUTAGE_RATE = 0.3;
const DAY_MS = 86_400_000;

/** What is simulated of a service: healthy rollouts of several kinds, then harm that is there from the start or begins late. */
export function scenariosOf(service: Service): Scenario[] {
  const { controlFailureRate, treatmentFailureRate, shares, stageMs, slowdown, metrics = [] } = service;
  const lastFrom = stageMs * (shares.length - 1) + stageMs / 2;
  // While a control runs: without one, nobody can know that an outage is shared.
  const outageFrom = stageMs * Math.max(0, shares.length - 2) + stageMs / 4;
  const outageMs = Math.min(OUTAGE_MS, stageMs / 2);
  const healthy = (name: string, description: string, changes: Partial<Behaviour> = {}): Scenario => ({
    name,
    description,
    harmful: false,
    traffic: (random) => trafficOf(service, { ...HEALTHY, ...changes }, random),
  });
  const harm = (
    name: string,
    description: string,
    harmFromMs: number,
    changes: Partial<Behaviour> = {},
  ): Scenario => ({
    name,
    description,
    harmful: true,
    traffic: (random) => ({
      ...trafficOf(service, { ...HEALTHY, ...changes, harmFromMs, slowdown }, random),
      harmFromMs,
    }),
  });
  const failing = treatmentFailureRate > controlFailureRate;
  const isWorse = metrics.some(({ control, treatment }) => control !== treatment);
  const rate = `fails ${Number((treatmentFailureRate * 100).toPrecision(3))} %`;
  const harmed = `the treatment ${rate}${isWorse ? ' and has other metrics' : ''}`;
  return [
    healthy('healthy', 'always new users, both arms fail alike'),
    healthy('returning users', 'some of them always fail', { returning: 'alike' }),
    healthy('heavy users', 'a few users make most of the calls', { returning: 'heavy' }),
    healthy('slower treatment', 'it takes 2 s longer; 30 % of both arms fail for 10 s', {
      lagMs: 2_000,
      outage: { fromMs: outageFrom, forMs: Math.min(10_000, outageMs) },
    }),
    healthy('shared outage', `30 % of both arms fail for ${formatDuration(outageMs)}`, {
      outage: { fromMs: outageFrom, forMs: outageMs },
    }),
    healthy('drift', 'the failure rate of both arms swings tenfold within a day', { drifts: true }),
    ...(failing || slowdown !== 1 || isWorse
      ? [
          harm('harm', `${harmed} from the start`, 0),
          harm('late harm', `${harmed} from the middle of the last stage on`, lastFrom),
          harm('harm, returning users', 'late harm, and the users come again', lastFrom, {
            returning: 'alike',
          }),
        ]
      : []),
  ];
}

/** What differs between scenarios. */
interface Behaviour {
  readonly returning: 'never' | 'alike' | 'heavy';
  readonly lagMs: number;
  readonly slowdown: number;
  readonly drifts: boolean;
  readonly outage: { readonly fromMs: number; readonly forMs: number } | undefined;
  readonly harmFromMs: number;
}

const HEALTHY: Behaviour = {
  returning: 'never',
  lagMs: 0,
  slowdown: 1,
  drifts: false,
  outage: undefined,
  harmFromMs: Number.POSITIVE_INFINITY,
};

function trafficOf(service: Service, behaviour: Behaviour, random: Random): Traffic {
  const { shares, stageMs, requestsPerSecond, latencyMs, treatmentFailureRate, metrics } = service;
  const { lagMs, slowdown, drifts, outage, harmFromMs } = behaviour;
  return {
    requestsPerSecond,
    stages: shares.map((share) => ({ share, durationMs: stageMs })),
    unit: unitsOf(service, behaviour.returning, random),
    ...(metrics !== undefined && {
      track: (treated, at, chance) => eventsOfUnit(metrics, treated && at >= harmFromMs, chance),
    }),
    call({ frailty }, treated, at, chance): SimulatedCall {
      const isOut = outage !== undefined && at >= outage.fromMs && at < outage.fromMs + outage.forMs;
      const drift = drifts ? 10 ** -(0.5 + 0.5 * Math.cos((2 * Math.PI * at) / DAY_MS)) : 1;
      const own = treated && at >= harmFromMs ? Math.max(frailty, treatmentFailureRate) : frailty * drift;
      const failed = chance.chance(isOut ? Math.max(own, OUTAGE_RATE) : own);
      const base = latencyMs * Math.exp(SIGMA * chance.normal());
      return { result: failed ? 'failure' : 'success', durationMs: treated ? base * slowdown + lagMs : base };
    },
  };
}

function unitsOf(
  { users, controlFailureRate: rate }: Service,
  returning: Behaviour['returning'],
  random: Random,
): Traffic['unit'] {
  if (returning === 'never') {
    let number = 0;
    return (draw) => ({ key: `user-${number++}`, position: draw.next(), frailty: rate });
  }
  // Half of the failures come from users who always fail.
  const known = Array.from({ length: users }, (_, index): SimulatedUnit => {
    const alwaysFails = random.chance(rate / 2);
    return { key: `user-${index}`, position: random.next(), frailty: alwaysFails ? 1 : rate / 2 };
  });
  if (returning === 'alike') return (draw) => known[Math.floor(draw.next() * users)]!;
  const pick = heavyUsers(users);
  return (draw) => known[pick(draw)]!;
}

/** Draws one of so many users, by place: the n-th most frequent calls 1/n^1.1 times as often as the first. */
export function heavyUsers(users: number): (random: Random) => number {
  const upTo: number[] = [];
  let sum = 0;
  for (let n = 1; n <= users; n++) {
    sum += n ** -HEAVY_EXPONENT;
    upTo.push(sum);
  }
  return (random) => {
    const wanted = random.next() * sum;
    let [low, high] = [0, users - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (upTo[middle]! < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}
