/**
 * What the dashboard's page and its server say to each other: JSON below the dashboard's address, by relative URLs. A reply that is not
 * 2xx has an {@link ApiProblem}.
 *
 * Addresses within the page are after a #, so that the page is one file: `#/` the overview, `#/flags/<key>`,
 * `#/flags/<key>/decisions/<id>`; keys and ids by `encodeURIComponent`. `decisionUrl` of `support/dashboard-url.ts` makes them.
 */
import type { DecisionStoryEntry } from '../journal/decision-story.js';
import type { ControlType } from '../model/control.js';
import type { RolloutView } from '../model/rollout-view.js';
import type { Annotation, MetricRollup } from '../rollups/rollup.js';

/** Why a request was refused. */
export interface ApiProblem {
  /** One sentence for an operator. */
  readonly message: string;
}

/** `GET api/flags`: every flag that is shown. `GET api/flags/<key>`: the {@link RolloutView} of one. */
export interface Overview {
  readonly flags: readonly RolloutView[];
  /** What this reader may ask for; empty on a read-only page. */
  readonly controls: readonly ControlType[];
  /** Sent back with each control, as the header `x-csrf-token`; absent on a read-only page. */
  readonly csrfToken?: string;
  /** Flags whose guard, folder or store cannot be read now, and why; what is shown of them is the latest that could be. */
  readonly problems?: readonly { readonly flagKey: string; readonly message: string }[];
}

/** One arm over time: entries belong to those of {@link Series.at}; null where there was no data. */
export interface ArmSeries {
  /** Successes and failures. */
  readonly trials: readonly number[];
  readonly failures: readonly number[];
  /** Fractions 0–1, with a 95 % interval. */
  readonly errorRate: readonly (number | null)[];
  readonly low: readonly (number | null)[];
  readonly high: readonly (number | null)[];
  /** Milliseconds. */
  readonly p50: readonly (number | null)[];
  readonly p95: readonly (number | null)[];
  readonly p99: readonly (number | null)[];
  readonly perSecond: readonly number[];
}

/** A metric of the application's own over time: entries belong to those of {@link Series.at}. */
export interface MetricSeries {
  /** The trigger that compares it. */
  readonly trigger: string;
  readonly kind: MetricRollup['kind'];
  readonly treatment: MetricArmSeries;
  readonly control: MetricArmSeries;
}

/** A metric in one arm. */
export interface MetricArmSeries {
  /** Units whose time for the metric ended. */
  readonly trials: readonly number[];
  /** The share of them that converted, 0–1, or the mean of their values; null where no unit's time ended. */
  readonly value: readonly (number | null)[];
}

/** A threshold to draw. */
export interface ThresholdLine {
  readonly trigger: string;
  /** Of `error-rate`, a fraction; of a quantile, milliseconds. */
  readonly chart: 'error-rate' | 'p50' | 'p95' | 'p99';
  readonly value: number;
}

/**
 * `GET api/flags/<key>/series?from=&to=&points=`: the rollout between two times, in at most so many points. Without `from` and `to`,
 * all of it. With `stepMs` in place of `points`, points of this length: `from=<at of the last point>&stepMs=<of the same series>` brings
 * what is new of a series. The last point may be unfinished: it has what happened up to this second.
 */
export interface Series {
  /** The whole rollout, whatever was asked for. */
  readonly first: number;
  readonly last: number;
  readonly stepMs: number;
  /** When each point begins. */
  readonly at: readonly number[];
  readonly percentage: readonly (number | null)[];
  readonly treatment: ArmSeries;
  readonly control: ArmSeries;
  readonly metrics: readonly MetricSeries[];
  readonly annotations: readonly Annotation[];
  readonly thresholds: readonly ThresholdLine[];
}

/** `GET api/flags/<key>/decisions`, and `…/decisions/<id>` for one: what was decided, newest first, and what became of it. */
export interface DecisionView extends DecisionStoryEntry {}

/**
 * `GET api/events`, or `GET api/events?flag=<key>` for one flag: server-sent events, whose data is JSON. `view` brings a {@link RolloutView} whenever one has changed (at most each
 * second), and all of them at the start; `rollup` the flag's key, a string, when its series has another point, or more in its last one
 * (at most each second). A page that was away asks for everything again.
 */
export type EventName = 'view' | 'rollup';

/** The reply to `POST api/flags/<key>/controls`, whose body is a `Control` without `by`. */
export type { ControlReply } from '../model/control.js';
