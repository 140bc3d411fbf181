import type { Series } from '../../api.js';
import type { ChartColours } from './chart-colours.js';
import type { Frame } from './chart-frame.js';

export const QUANTILES = ['p50', 'p95', 'p99'] as const;
export type Quantile = (typeof QUANTILES)[number];

/** What the chart is drawn from. */
export interface ChartInput {
  readonly series: Series;
  readonly range: { readonly from: number; readonly to: number };
  readonly quantiles: readonly Quantile[];
  /** Thresholds that are far above the data are drawn too, and the arms become flat. */
  readonly withAllThresholds: boolean;
  readonly severityOf: (trigger: string) => 'rollback' | 'review';
  readonly colours: ChartColours;
  readonly frame: Frame;
  readonly isNarrow: boolean;
}
