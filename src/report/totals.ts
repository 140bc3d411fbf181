import { LatencyHistogram } from '../measure/latency-histogram.js';
import { ARMS, type Arm } from '../model/shapes.js';
import type { Rollup, RollupArm } from '../rollups/rollup.js';
import type { ArmReport, Comparison, ErrorTypeReport } from './rollout-report.js';

/** Both arms of everything that was counted. */
export function armsOf({ arms }: Rollup): Readonly<Record<Arm, ArmReport>> {
  return { treatment: armOf(arms.treatment), control: armOf(arms.control) };
}

function armOf({ errorTypes: _, latency, userSuccesses, ...counts }: RollupArm): ArmReport {
  const counted = counts.successes + counts.failures;
  const rateOf = (count: number) => (counted === 0 ? undefined : count / counted);
  const histogram = new LatencyHistogram();
  histogram.addSparse(latency);
  const meanMs = histogram.meanMs;
  return {
    ...counts,
    counted,
    successRate: rateOf(counts.successes),
    userSuccessRate: rateOf(userSuccesses),
    latency:
      meanMs === undefined
        ? undefined
        : {
            count: histogram.count,
            meanMs,
            p50Ms: histogram.quantile(0.5)!,
            p95Ms: histogram.quantile(0.95)!,
            p99Ms: histogram.quantile(0.99)!,
          },
  };
}

/** Failures by error type, most frequent first. */
export function errorTypesOf({ arms }: Rollup): readonly ErrorTypeReport[] {
  const byType = new Map<string, Record<Arm, number>>();
  for (const arm of ARMS) {
    for (const [errorType, count] of arms[arm].errorTypes) {
      const counts = byType.get(errorType) ?? { treatment: 0, control: 0 };
      counts[arm] += count;
      byType.set(errorType, counts);
    }
  }
  return Array.from(byType, ([errorType, counts]) => ({ errorType, ...counts })).sort(
    (a, b) => b.treatment + b.control - (a.treatment + a.control) || (a.errorType < b.errorType ? -1 : 1),
  );
}

/** The treatment against the control. */
export function compareArms({ treatment, control }: Readonly<Record<Arm, ArmReport>>): Comparison {
  const improvement = (key: 'meanMs' | 'p50Ms' | 'p95Ms' | 'p99Ms') => {
    const mine = treatment.latency?.[key];
    const theirs = control.latency?.[key];
    return mine === undefined || theirs === undefined || theirs === 0 ? undefined : 1 - mine / theirs;
  };
  return {
    successRateDifference:
      treatment.successRate === undefined || control.successRate === undefined
        ? undefined
        : treatment.successRate - control.successRate,
    latencyImprovement: {
      mean: improvement('meanMs'),
      p50: improvement('p50Ms'),
      p95: improvement('p95Ms'),
      p99: improvement('p99Ms'),
    },
  };
}
