import type { Random } from '../../src/what-if/simulate/random.js';
import type { SimulatedCall, SimulatedUnit, Traffic } from '../../src/what-if/simulate/rollout.js';
import { heavyUsers } from '../../src/what-if/simulate/scenarios.js';

const S = 1_000;
const MIN = 60 * S;
const HOUR = 60 * MIN;

/** What must hold over all replicates of a scenario. */
export interface Bar {
  /** The largest part of rollouts that may be stopped. */
  readonly falseStops?: number;
  /** The median of the harmed calls until the stop, which must come in every rollout. */
  readonly harmedCalls?: number;
  /** The median of the treatment's calls until the stop, from the beginning of the harm. */
  readonly treatmentCalls?: number;
  /** The 95th percentile of the harmed calls. */
  readonly harmedCallsP95?: number;
  /** A review that must be opened in every rollout. */
  readonly review?: string;
  /** The largest part of rollouts in which a stage may be called missed. */
  readonly missed?: number;
  /** No stage may be called met after the harm began. */
  readonly neverMet?: boolean;
}

export interface BenchScenario {
  readonly name: string;
  readonly bar: Bar;
  /** A part of the usual replicates, for what takes long. @default 1 */
  readonly weight?: number;
  traffic(random: Random): Traffic;
}

interface Call {
  treated: boolean;
  unit: SimulatedUnit;
  failed: boolean;
  durationMs: number;
  result: SimulatedCall['result'] | undefined;
}

interface Shape {
  readonly name: string;
  readonly rate: number;
  readonly stages: readonly (readonly [share: number, durationMs: number])[];
  readonly bar: Bar;
  readonly weight?: number;
  /** Units that come again and again; without them each call is of a new one. */
  readonly users?: number;
  /** One draw for each: every other unit is in the treatment. */
  readonly alternating?: boolean;
  readonly heavy?: boolean;
  readonly failureRate?: number | ((random: Random) => number);
  readonly harmFromMs?: number;
  readonly processes?: number;
  readonly shape?: (call: Call, random: Random, at: number) => void;
}

function scenario(given: Shape): BenchScenario {
  const {
    name,
    bar,
    weight,
    rate,
    stages,
    users,
    alternating,
    heavy,
    failureRate = 0,
    harmFromMs,
    processes,
    shape,
  } = given;
  const frailty = (random: Random) => (typeof failureRate === 'number' ? failureRate : failureRate(random));
  return {
    name,
    bar,
    ...(weight !== undefined && { weight }),
    traffic(random) {
      const known = Array.from({ length: users ?? 0 }, (_, index) => ({
        key: `user-${index}`,
        position: alternating ? (index + 0.5) / users! : random.next(),
        frailty: frailty(random),
      }));
      const pick = heavy
        ? heavyUsers(known.length)
        : (draw: Random) => Math.floor(draw.next() * known.length);
      let number = 0;
      return {
        requestsPerSecond: rate,
        stages: stages.map(([share, durationMs]) => ({ share, durationMs })),
        harmFromMs,
        processes,
        unit: (draw) =>
          known.length > 0
            ? known[pick(draw)]!
            : { key: `user-${number++}`, position: draw.next(), frailty: frailty(draw) },
        call(unit, treated, at, draw) {
          const call: Call = {
            treated,
            unit,
            failed: draw.chance(unit.frailty),
            durationMs: 300 * Math.exp(0.3 * draw.normal()),
            result: undefined,
          };
          shape?.(call, draw, at);
          return {
            result: call.result ?? (call.failed ? 'failure' : 'success'),
            durationMs: call.durationMs,
          };
        },
      };
    },
  };
}

const ladder = (durationMs: number) => [0.01, 0.1, 0.5, 1].map((share) => [share, durationMs] as const);
const FALSE_STOPS = { falseStops: 0.05 };
const HANG_MS = 10 * HOUR;
/** 1 % always fail, 5 % fail every third time. */
const flaky = (random: Random) => {
  const x = random.next();
  return x < 0.01 ? 1 : x < 0.06 ? 0.3 : 0.005;
};

/** Harm that begins after 2,000 healthy outcomes of the treatment, at 5 requests/s. */
function late(control: number, harm: number, share: number, bar: Bar): BenchScenario {
  const healthyMs = (2_000 / share / 5) * S;
  const stages: Shape['stages'] =
    share < 1
      ? [[share, healthyMs + 12 * HOUR]]
      : [
          [0.5, HOUR],
          [1, healthyMs + 3 * HOUR],
        ];
  const harmFromMs = share < 1 ? healthyMs : HOUR + healthyMs;
  return scenario({
    name: `late harm: ${harm * 100} % at ${share * 100} %, control ${control * 100} %`,
    rate: 5,
    failureRate: control,
    harmFromMs,
    stages,
    bar,
    shape(call, random, at) {
      if (call.treated && at >= harmFromMs) call.failed = random.chance(harm);
    },
  });
}

const outageFrom = 5 * MIN;
const isBlip = (at: number) => at > outageFrom && at < outageFrom + 10 * S;

/** Every bar that a whole rollout can show, with the preset. */
export const SCENARIOS: readonly BenchScenario[] = [
  ...[0.2, 5, 50].flatMap((rate) =>
    [0.001, 0.01, 0.02, 0.03, 0.04].map((failureRate) =>
      scenario({
        name: `healthy ${failureRate * 100} %, ${rate}/s, 1 h a stage`,
        rate,
        failureRate,
        stages: ladder(HOUR),
        weight: rate > 5 ? 0.2 : 1,
        bar: failureRate <= 0.001 ? { ...FALSE_STOPS, missed: 0.05 } : FALSE_STOPS,
      }),
    ),
  ),
  ...[0.01, 0.04].map((failureRate) =>
    scenario({
      name: `healthy ${failureRate * 100} %, 0.2/s, 24 h a stage`,
      rate: 0.2,
      failureRate,
      stages: ladder(24 * HOUR),
      weight: 0.5,
      bar: FALSE_STOPS,
    }),
  ),
  scenario({
    name: 'healthy 3 %, 5/s, 24 h at 10 %',
    rate: 5,
    failureRate: 0.03,
    stages: [[0.1, 24 * HOUR]],
    weight: 0.2,
    bar: FALSE_STOPS,
  }),
  ...[false, true].flatMap((heavy) => [
    scenario({
      name: `1 % always fail${heavy ? ', heavy' : ''}`,
      rate: 5,
      users: 1_000,
      heavy,
      failureRate: (r) => (r.chance(0.01) ? 1 : 0),
      stages: ladder(HOUR),
      bar: FALSE_STOPS,
    }),
    scenario({
      name: `5 % fail every third time${heavy ? ', heavy' : ''}`,
      rate: 5,
      users: 1_000,
      heavy,
      failureRate: flaky,
      stages: ladder(HOUR),
      bar: FALSE_STOPS,
    }),
    scenario({
      name: `skewed rates${heavy ? ', heavy' : ''}`,
      rate: 5,
      users: 1_000,
      heavy,
      failureRate: (r) => r.next() ** 4 * 0.2,
      stages: ladder(HOUR),
      bar: FALSE_STOPS,
    }),
  ]),
  scenario({
    name: '8 tenants, one fails 30 %',
    rate: 5,
    users: 8,
    failureRate: 0,
    stages: [[0.5, 2 * HOUR]],
    bar: {},
    shape(call, random) {
      call.failed = random.chance(call.unit.key === 'user-3' ? 0.3 : 0.002);
    },
  }),
  ...[8, 100].map((processes) =>
    scenario({
      name: `fleet of ${processes}, 1 % always fail`,
      rate: 20,
      users: 2_000,
      processes,
      failureRate: (r) => (r.chance(0.01) ? 1 : 0),
      stages: ladder(HOUR / 4),
      weight: 0.5,
      bar: FALSE_STOPS,
    }),
  ),
  scenario({
    name: 'shared outage, 30 % for 5 min',
    rate: 20,
    failureRate: 0.01,
    stages: [[0.5, 30 * MIN]],
    bar: { ...FALSE_STOPS, review: 'shared-outage' },
    shape(call, random, at) {
      if (at > outageFrom && at < 2 * outageFrom && random.chance(0.3)) call.failed = true;
    },
  }),
  ...[0, 1, 5, 10, 29].map((lag) =>
    scenario({
      name: `shared blip of 10 s, treatment ${lag} s slower`,
      rate: 50,
      failureRate: 0.005,
      stages: [[0.5, 10 * MIN]],
      bar: FALSE_STOPS,
      shape(call, random, at) {
        if (call.treated) call.durationMs += lag * S;
        if (isBlip(at) && random.chance(0.3)) call.failed = true;
      },
    }),
  ),
  scenario({
    name: 'outage: control fails at once, treatment hangs',
    rate: 20,
    failureRate: 0.01,
    stages: [[0.5, 30 * MIN]],
    bar: FALSE_STOPS,
    shape(call, random, at) {
      if (at > outageFrom && at < outageFrom + MIN && random.chance(0.5)) {
        if (call.treated) call.durationMs = HANG_MS;
        else call.failed = true;
      }
    },
  }),
  scenario({
    name: 'drift: .2 to 2 % within a day',
    rate: 2,
    stages: ladder(24 * HOUR),
    weight: 0.1,
    bar: FALSE_STOPS,
    shape(call, random, at) {
      call.failed = random.chance(0.011 - 0.009 * Math.cos((2 * Math.PI * at) / (24 * HOUR)));
    },
  }),
  scenario({
    name: 'treatment 6 %, control 10 %',
    rate: 5,
    failureRate: 0.1,
    stages: [[0.5, HOUR]],
    bar: FALSE_STOPS,
    shape(call, random) {
      if (call.treated && random.chance(0.4)) call.failed = false;
    },
  }),
  scenario({
    name: 'treatment 1.5 times slower, calls of 4–12 s',
    rate: 5,
    failureRate: 0.002,
    stages: [[0.5, HOUR]],
    weight: 0.5,
    bar: { falseStops: 0.05, review: 'latency-regression' },
    shape(call, random) {
      call.durationMs = (4 + 8 * random.next()) * S * (call.treated ? 1.5 : 1);
    },
  }),
  scenario({
    name: '30 % expected errors',
    rate: 5,
    failureRate: 0.002,
    stages: [[0.5, HOUR]],
    harmFromMs: 0,
    weight: 0.5,
    bar: { falseStops: 0.05, review: 'expected-regression', neverMet: true },
    shape(call, random) {
      if (call.treated && random.chance(0.3)) call.result = 'expected';
    },
  }),

  late(0.01, 0.06, 0.1, { treatmentCalls: 1.2 * 193 }),
  late(0.01, 0.1, 0.1, { treatmentCalls: 1.2 * 89 }),
  late(0.01, 0.06, 0.5, { treatmentCalls: 1.2 * 427 }),
  late(0.01, 0.1, 0.5, { treatmentCalls: 1.2 * 212 }),
  late(0.002, 0.03, 0.5, { treatmentCalls: 600 }),
  late(0.002, 0.03, 1, { treatmentCalls: 500 }),
  late(0.002, 0.06, 1, { treatmentCalls: 130 }),
  late(0.002, 0.1, 1, { treatmentCalls: 60 }),
  scenario({
    name: '400 returning users, every treatment call fails, .2/s',
    rate: 0.2,
    users: 400,
    harmFromMs: 6_000 * S,
    stages: [[0.5, 6_000 * S + 6 * HOUR]],
    bar: { harmedCalls: 15, harmedCallsP95: 15 },
    shape(call, _random, at) {
      if (call.treated && at >= 6_000 * S) call.failed = true;
    },
  }),
  scenario({
    name: 'two units, every treatment call fails, .1/s',
    rate: 0.1,
    users: 2,
    alternating: true,
    harmFromMs: 0,
    stages: [[0.5, 24 * HOUR]],
    bar: { harmedCalls: 25, harmedCallsP95: 25 },
    shape(call) {
      if (call.treated) call.failed = true;
    },
  }),
  scenario({
    name: 'two units, every treatment call fails, .3/s',
    rate: 0.3,
    users: 2,
    alternating: true,
    harmFromMs: 0,
    stages: [[0.5, 24 * HOUR]],
    bar: { harmedCalls: 25, harmedCallsP95: 25 },
    shape(call) {
      if (call.treated) call.failed = true;
    },
  }),
  scenario({
    name: 'hang at 50 %, 50/s',
    rate: 50,
    failureRate: 0.002,
    harmFromMs: outageFrom,
    stages: [[0.5, 15 * MIN]],
    bar: { treatmentCalls: 170 },
    shape(call, _random, at) {
      if (call.treated && at >= outageFrom) call.durationMs = HANG_MS;
    },
  }),
  scenario({
    name: 'callers give up after 1 s, treatment hangs for all',
    rate: 50,
    failureRate: 0.002,
    harmFromMs: outageFrom,
    stages: [[0.5, 15 * MIN]],
    bar: { harmedCalls: 60, harmedCallsP95: 60 },
    shape(call, _random, at) {
      if (call.treated && at >= outageFrom) {
        call.durationMs = S;
        call.result = 'aborted';
      }
    },
  }),
  scenario({
    name: 'callers give up after 1 s, treatment hangs for 30 %',
    rate: 50,
    failureRate: 0.002,
    harmFromMs: outageFrom,
    stages: [[0.5, 15 * MIN]],
    bar: { harmedCalls: 150, harmedCallsP95: 150 },
    shape(call, random, at) {
      if (call.treated && at >= outageFrom && random.chance(0.3)) {
        call.durationMs = S;
        call.result = 'aborted';
      }
    },
  }),
  ...[0.01, 0.1, 0.5].map((share) =>
    scenario({
      name: `new users, every treatment call fails, ${share * 100} %`,
      rate: 5,
      failureRate: 0.002,
      harmFromMs: 0,
      stages: [[share, 2 * HOUR]],
      bar: { harmedCalls: 7 },
      shape(call) {
        if (call.treated) call.failed = true;
      },
    }),
  ),
];
