import type { Series, ThresholdLine } from '../../api.js';
import type { ChartColours } from './chart-colours.js';
import type { ChartInput } from './chart-input.js';

/** Thresholds, and the moments that go through all panels. What is above the panel is named at its upper edge. */
export function linesOf(
  { series, severityOf, colours, isNarrow }: ChartInput,
  isOf: (line: ThresholdLine) => boolean,
  top: number,
  words: (value: number) => string,
) {
  const moments = momentLines(series, colours);
  const nameOf = ({ trigger, chart, value }: ThresholdLine) =>
    `${trigger} ${chart === 'error-rate' ? '' : `${chart} `}${words(value)}`;
  const lineAt = (value: number, color: string, name: string, type: unknown) => ({
    yAxis: value,
    lineStyle: { color, type, width: 1.5 },
    label: {
      color,
      backgroundColor: colours.paper,
      padding: [1, 3],
      fontFamily: colours.font,
      fontSize: 11,
      position: value === top ? 'insideStartBottom' : 'insideStartTop',
      width: isNarrow ? 240 : 640,
      overflow: 'truncate',
      formatter: plain(name),
    },
  });
  const all = series.thresholds.filter(isOf);
  const within = all
    .filter(({ value }) => value <= top)
    .map((line) =>
      lineAt(
        line.value,
        severityOf(line.trigger) === 'rollback' ? colours.bad : colours.warn,
        nameOf(line),
        [2, 3],
      ),
    );
  const beyond = all.filter(({ value }) => value > top);
  const edge =
    beyond.length === 0 ? [] : [lineAt(top, colours.soft, `above: ${beyond.map(nameOf).join(', ')}`, [1, 4])];
  return { ...moments, data: [...moments.data, ...within, ...edge] };
}

/** Curly braces would be a template or a style. */
function plain(text: string): () => string {
  return () => text.replace(/[{}|]/g, ' ');
}

/** What changes the meaning of everything after it: percentages, decisions, deploys. */
export function momentLines({ annotations }: Series, colours: ChartColours) {
  const look = {
    decision: { color: colours.bad, type: 'solid', width: 1.5 },
    percentage: { color: colours.soft, type: [1, 3], width: 1 },
    deploy: { color: colours.soft, type: [6, 4], width: 1 },
  } as const;
  const data = annotations.flatMap(({ at, type }): object[] =>
    type in look ? [{ xAxis: at, label: { show: false }, lineStyle: look[type as keyof typeof look] }] : [],
  );
  // Beyond a few hundred, lines are a surface: the latest stay.
  return {
    symbol: 'none',
    silent: true,
    // By default a threshold of 0.5 % would be drawn at 1 %.
    precision: 12,
    animation: false,
    emphasis: { disabled: true },
    data: data.slice(-300),
  };
}
