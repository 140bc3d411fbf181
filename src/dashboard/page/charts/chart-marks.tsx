import type { Annotation } from '../../../rollups/rollup.js';
import type { Series } from '../../api.js';
import { decisionHref } from '../live/router.js';
import { percentageText } from '../words/numbers.js';
import { fullTimeText } from '../words/times.js';
import { placeOf } from './chart-frame.js';

type Limits = { readonly from: number; readonly to: number };

/** Marks that are nearer to each other are drawn as one, as a share of the width. */
const NEAR = { wide: 0.014, narrow: 0.05 };
const ROOM_FOR_LABEL = { wide: 0.05, narrow: 0.14 };
/** What stands for several is the most important. */
const WEIGHT: readonly Annotation['type'][] = [
  'decision',
  'review',
  'control',
  'stage',
  'health',
  'deploy',
  'percentage',
];

/** What happened, above the panels. The list below the chart has the same for the keyboard and for screen readers. */
export function ChartMarks(props: { flagKey: string; series: Series; limits: Limits; isNarrow: boolean }) {
  const { flagKey, series, limits, isNarrow } = props;
  const form = isNarrow ? 'narrow' : 'wide';
  const seen = series.annotations.filter(({ at }) => at >= limits.from && at <= limits.to);
  const marks = clustered(
    seen.filter(({ type }) => type !== 'percentage'),
    limits,
    NEAR[form],
  );
  const steps = spaced(
    seen.filter(({ type, percentage }) => type === 'percentage' && percentage !== undefined),
    limits,
    ROOM_FOR_LABEL[form],
  );
  return (
    <div aria-hidden="true">
      <span class="lane">Rollout</span>
      {marks.map((cluster) => {
        const [first] = cluster;
        const { at, type, decisionId } = first!;
        const style = { left: `${placeOf(at, limits) * 100}%` };
        const title = cluster
          .map((each) => `${fullTimeText(each.at)}: ${each.title}. ${each.text}`)
          .join('\n');
        const content = cluster.length === 1 ? '' : String(cluster.length);
        const key = `${at} ${type} ${cluster.length}`;
        return decisionId === undefined ? (
          <span key={key} class={`mark ${type}`} style={style} title={title}>
            {content}
          </span>
        ) : (
          <a
            key={key}
            class={`mark ${type}`}
            style={style}
            title={title}
            href={decisionHref(flagKey, decisionId)}
            tabIndex={-1}
          >
            {content}
          </a>
        );
      })}
      {steps.map(({ at, percentage }) => (
        // A label of the last moments is not cut off at the edge.
        <span key={at} class="step" style={{ left: `min(${placeOf(at, limits) * 100}%, 100% - 40px)` }}>
          {percentageText(percentage)}
        </span>
      ))}
    </div>
  );
}

function clustered(annotations: readonly Annotation[], limits: Limits, near: number): Annotation[][] {
  const clusters: Annotation[][] = [];
  for (const annotation of annotations) {
    const last = clusters.at(-1);
    const begins = last === undefined ? undefined : Math.min(...last.map(({ at }) => at));
    if (last !== undefined && placeOf(annotation.at, limits) - placeOf(begins!, limits) < near)
      last.push(annotation);
    else clusters.push([annotation]);
  }
  for (const cluster of clusters) cluster.sort((a, b) => WEIGHT.indexOf(a.type) - WEIGHT.indexOf(b.type));
  return clusters;
}

/** Labels that have room; of those that have none, the later ones are left out. */
function spaced(annotations: readonly Annotation[], limits: Limits, room: number): Annotation[] {
  let free = Number.NEGATIVE_INFINITY;
  return annotations.filter(({ at }) => {
    const place = placeOf(at, limits);
    if (place < free) return false;
    free = place + room;
    return true;
  });
}
