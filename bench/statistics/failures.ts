import { TwoSampleTest } from '../../src/statistics/two-sample.js';
import { type Detector, RepeatedZTest, SuccessRateBelow } from './naive-rules.js';
import { ALPHA, delays, percent, type Run, type Section, SHARES, UNTIL_STOPPED } from './report.js';
import { simulateDependence, simulateFailures } from './simulation.js';

/** The two-sample test. */
function regression(): Detector {
  const test = new TwoSampleTest({ alpha: ALPHA });
  return {
    observe: (treatment, failed) =>
      test.observe(treatment ? 'treatment' : 'control', failed) && test.breached,
  };
}

const naiveRules = {
  rate20: () => new SuccessRateBelow(20),
  rate100: () => new SuccessRateBelow(100),
  zTest: () => new RepeatedZTest(),
};

const nullRates = [0.001, 0.01, 0.05];

/** False stops, and those of rules that ignore how often they are evaluated. */
export function healthyRollouts(run: Run): Section {
  return {
    key: 'false-stops',
    title: `False stops while the arms do not differ (${run.observations} outcomes, evaluated after each)`,
    columns: [
      'share',
      'failures',
      'two-sample test',
      'rate < 95 %, min 20',
      'rate < 95 %, min 100',
      'z-test',
    ],
    rows: SHARES.flatMap((share) =>
      nullRates.map((rate) => () => {
        const scenario = { ...run.traffic(share), controlRate: rate, treatmentRate: rate };
        const stops = simulateFailures(scenario, { regression: () => regression(), ...naiveRules });
        return [
          percent(share),
          percent(rate),
          run.falseStops(`share ${share}, failures ${rate}`, stops.regression),
          ...[stops.rate20, stops.rate100, stops.zTest].map((each) => each.rate.toFixed(3)),
        ];
      }),
    ),
  };
}

/** How soon a broken treatment is stopped. */
export function brokenRollouts(run: Run): Section {
  return {
    key: 'delays',
    title: 'Treatment outcomes until the stop, median / 95th percentile; the control fails 1 %',
    columns: [
      'share',
      'failures',
      'two-sample test',
      'median, limit',
      'rate < 95 %, min 20',
      'rate < 95 %, min 100',
    ],
    // The medians that the limit is 1.1 times of come from an independent implementation of the same test.
    rows: (
      [
        [0.01, [73, 33, 7, 2]],
        [0.1, [97, 43, 10, 3]],
        [0.5, [206, 105, 27, 5]],
      ] as const
    ).flatMap(([share, references]) =>
      [0.06, 0.1, 0.3, 1].map((rate, i) => () => {
        const scenario = {
          ...run.traffic(share),
          observations: UNTIL_STOPPED,
          controlRate: 0.01,
          treatmentRate: rate,
        };
        const { rate20, rate100 } = naiveRules;
        const stops = simulateFailures(scenario, { regression: () => regression(), rate20, rate100 });
        const median = stops.regression.delay(0.5);
        return [
          percent(share),
          percent(rate),
          delays(stops.regression),
          run.within(`share ${share}, ${rate} failing: median delay`, median, 1.1 * references[i]!, 1),
          delays(stops.rate20),
          delays(stops.rate100),
        ];
      }),
    ),
  };
}

/** How soon harm is found that begins after a long healthy time. */
export function lateHarm(run: Run): Section {
  return {
    key: 'late',
    title: 'Harm that begins late: treatment outcomes from then on, share 10 %, 10 % against 1 % failing',
    columns: ['healthy outcomes first', 'two-sample test', 'median, limit'],
    rows: [1_000, 10_000, 100_000].map((healthyFirst) => () => {
      const scenario = {
        ...run.traffic(0.1),
        replicates: healthyFirst > 10_000 ? run.fewer : run.replicates,
        observations: UNTIL_STOPPED,
        controlRate: 0.01,
        treatmentRate: 0.1,
        healthyFirst,
      };
      const stops = simulateFailures(scenario, { regression });
      const median = stops.regression.delay(0.5);
      return [
        String(healthyFirst),
        delays(stops.regression),
        healthyFirst > 10_000 ? '' : run.within(`onset after ${healthyFirst}: median delay`, median, 105, 0),
      ];
    }),
  };
}

/** What users who come again and again do to the promise, and what counting each once does about it. */
export function returningUsers(run: Run): Section {
  return {
    key: 'dependence',
    title: 'False stops of the two-sample test when 1 % of the users always fail, in both arms alike',
    columns: ['share', 'outcomes a user', 'every outcome counts', 'once per key'],
    rows: SHARES.flatMap((share) =>
      [10, 100].map((outcomesPerUser) => () => {
        const stops = simulateDependence({ ...run.traffic(share), outcomesPerUser, failingUsers: 0.01 }, () =>
          regression(),
        );
        const what = `share ${share}, ${outcomesPerUser} outcomes a user`;
        return [
          percent(share),
          String(outcomesPerUser),
          stops.everyOutcome.rate.toFixed(3),
          run.falseStops(what, stops.oncePerKey),
        ];
      }),
    ),
  };
}
