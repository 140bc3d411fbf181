import type { Arm } from '../../model/shapes.js';
import type { MetricTrial } from '../../statistics/metrics/metric-evidence.js';
import type { MetricDefinition } from '../../statistics/metrics/metric-request.js';

/** Units whose time for a metric is over, and the sum of what they did. */
interface MetricArmSum {
  readonly trials: number;
  readonly sum: number;
}

/** What was counted of one metric between two moments. */
export interface MetricTally extends Readonly<Record<Arm, MetricArmSum>> {
  readonly trigger: string;
  /** Of a conversion, `sum` counts units; of the others, it adds up their values. */
  readonly kind: MetricDefinition['kind'];
}

/** Adds the units of one metric up, by arm. */
export class MetricSums {
  readonly #trigger: string;
  readonly #kind: MetricDefinition['kind'];
  readonly #arms = { treatment: { trials: 0, sum: 0 }, control: { trials: 0, sum: 0 } };

  constructor(trigger: string, kind: MetricDefinition['kind']) {
    this.#trigger = trigger;
    this.#kind = kind;
  }

  add({ treated, value }: MetricTrial): void {
    const arm = this.#arms[treated ? 'treatment' : 'control'];
    arm.trials += 1;
    arm.sum += value;
  }

  /** What came since the previous call; undefined when nothing did. */
  take(): MetricTally | undefined {
    const { treatment, control } = this.#arms;
    if (treatment.trials + control.trials === 0) return undefined;
    const tally = {
      trigger: this.#trigger,
      kind: this.#kind,
      treatment: { ...treatment },
      control: { ...control },
    };
    for (const arm of [treatment, control]) Object.assign(arm, { trials: 0, sum: 0 });
    return tally;
  }
}
