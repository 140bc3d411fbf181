import { differenceConfidenceInterval } from '../../src/statistics/confidence.js';
import { FrozenControlTest } from '../../src/statistics/failure-evidence.js';
import { OneSampleTest } from '../../src/statistics/one-sample.js';
import { Random } from '../../src/what-if/simulate/random.js';
import { type Detector, WindowMeanAbove } from './naive-rules.js';
import { ALPHA, delays, percent, type Run, type Section, SHARES, UNTIL_STOPPED } from './report.js';
import { simulateFailures, simulateLatency } from './simulation.js';

/** Evaluates the treatment alone. */
function alone(test: { observe(failed: boolean): void; readonly breached: boolean }): Detector {
  return {
    observe(treatment, failed) {
      if (treatment) test.observe(failed);
      return test.breached;
    },
  };
}

/** The treatment alone against a fixed limit. */
export function limit(run: Run): Section {
  return {
    key: 'one-sample',
    title: 'Treatment alone against a limit of 5 % (one-sample test)',
    columns: ['failures', 'false stops', 'delay'],
    rows: [0.01, 0.02, 0.05, 0.1, 0.3, 1].map((rate) => () => {
      const healthy = rate <= 0.05;
      const scenario = { ...run.traffic(1), controlRate: rate, treatmentRate: rate };
      const limit = () => alone(new OneSampleTest({ maxFailureRate: 0.05, alpha: ALPHA }));
      const { stops } = simulateFailures(scenario, { stops: limit });
      return [
        percent(rate),
        healthy ? run.falseStops(`limit 5 %, failures ${rate}`, stops) : '',
        healthy ? '' : delays(stops),
      ];
    }),
  };
}

/** The treatment against a control that is no more. */
export function frozenControl(run: Run): Section {
  return {
    key: 'frozen',
    title: 'Treatment at 100 % against a frozen control of 5,000 outcomes at 1 % (frozen-control test)',
    columns: ['failures', 'false stops', 'delay'],
    rows: [0.01, 0.03, 0.06, 0.1, 0.3, 1].map((rate) => () => {
      const healthy = rate <= 0.01;
      const scenario = { ...run.traffic(1), replicates: run.fewer, controlRate: rate, treatmentRate: rate };
      const controls = new Random(scenario.seed + 1_000_000);
      const frozen = () => {
        let failures = 0;
        for (let i = 0; i < 5_000; i++) if (controls.chance(0.01)) failures++;
        return alone(new FrozenControlTest({ control: { trials: 5_000, failures }, alpha: ALPHA }));
      };
      const { stops } = simulateFailures(scenario, { stops: frozen });
      return [
        percent(rate),
        healthy ? run.falseStops('frozen control', stops) : '',
        healthy ? '' : delays(stops),
      ];
    }),
  };
}

/** Durations with light and heavy tails. */
export function latency(run: Run): Section {
  return {
    key: 'latency',
    title: 'Latency, at most 1.2 times the control tolerated',
    columns: [
      'durations',
      'share',
      'false stops, equal arms',
      'window mean > 120 %',
      'false stops, exactly × 1.2',
      '× 2: delay',
      'median, limit',
    ],
    rows: Object.entries({
      'lognormal, σ = 0.5': (q: number) => 100 * Math.exp(0.5 * normalQuantile(q)),
      'lognormal, σ = 1': (q: number) => 100 * Math.exp(normalQuantile(q)),
      'Pareto, shape 1.5': (q: number) => 50 * (1 - q) ** (-1 / 1.5),
    }).flatMap(([name, quantile]) =>
      SHARES.map((share) => () => {
        const durations = { quantile, ratio: 1.2 };
        const equal = simulateLatency(
          { ...run.traffic(share), ...durations, slowdown: 1 },
          () => new WindowMeanAbove(),
        );
        const boundary = simulateLatency({
          ...run.traffic(share),
          ...durations,
          replicates: run.fewer,
          slowdown: 1.2,
        });
        const slow = simulateLatency({
          ...run.traffic(share),
          ...durations,
          slowdown: 2,
          observations: UNTIL_STOPPED,
        });
        const what = `${name}, share ${share}`;
        const median = slow.sequential.delay(0.5);
        return [
          name,
          percent(share),
          run.falseStops(what, equal.sequential),
          equal.naive.rate.toFixed(3),
          run.falseStops(`${what}, × 1.2`, boundary.sequential),
          delays(slow.sequential),
          share === 0.1 ? run.within(`${what}: median delay at × 2`, median, 80, 0) : '',
        ];
      }),
    ),
  };
}

/** Whether the confidence interval is right at every check. */
export function interval(run: Run): Section {
  return {
    key: 'interval',
    title: 'The 95 % interval of the difference ever misses it (checked 60 times up to 20,000 outcomes)',
    columns: ['share', 'control', 'treatment', 'missed'],
    rows: [
      [0.1, 0.01, 0.01],
      [0.5, 0.05, 0.05],
      [0.5, 0.01, 0.1],
    ].map(([share, controlRate, treatmentRate]) => () => {
      const missed = intervalMisses(run, share!, controlRate!, treatmentRate!);
      return [
        percent(share!),
        percent(controlRate!),
        percent(treatmentRate!),
        run.within('interval', missed, ALPHA, 3),
      ];
    }),
  };
}

/** The part of the rollouts in which the interval was wrong at any check. */
function intervalMisses(run: Run, share: number, controlRate: number, treatmentRate: number): number {
  const random = new Random(run.traffic(share).seed);
  let missed = 0;
  for (let round = 0; round < run.fewer; round++) {
    const counts = { treatment: { trials: 0, failures: 0 }, control: { trials: 0, failures: 0 } };
    let next = 10;
    for (let t = 1; t <= 20_000; t++) {
      const arm = random.chance(share) ? 'treatment' : 'control';
      counts[arm].trials++;
      if (random.chance(arm === 'treatment' ? treatmentRate : controlRate)) counts[arm].failures++;
      if (t < next) continue;
      next = Math.ceil(t * 1.135);
      const { lower, upper } = differenceConfidenceInterval(counts, ALPHA);
      const difference = treatmentRate - controlRate;
      if (lower <= difference && difference <= upper) continue;
      missed++;
      break;
    }
  }
  return missed / run.fewer;
}

/** The standard normal quantile, by bisection. */
function normalQuantile(q: number): number {
  if (q > 0.5) return -normalQuantile(1 - q);
  let low = -9;
  let high = 0;
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (lowerTail(middle) < q) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Φ(x) for x ≤ 0: Abramowitz and Stegun, 26.2.17 (error below 7.5·10⁻⁸). */
function lowerTail(x: number): number {
  const t = 1 / (1 - 0.2316419 * x);
  const coefficients = [0.31938153, -0.356563782, 1.781477937, -1.821255978, 1.330274429];
  const polynomial = coefficients.reduceRight((sum, coefficient) => (sum + coefficient) * t, 0);
  return (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * polynomial;
}
