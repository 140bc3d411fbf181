import { useMemo } from 'preact/hooks';
import { useMedia } from '../live/hooks.js';

/** A canvas knows no style sheet: the page's colours, as they are now. */
export interface ChartColours {
  readonly ink: string;
  readonly soft: string;
  readonly line: string;
  readonly paper: string;
  readonly treatment: string;
  readonly control: string;
  readonly bad: string;
  readonly warn: string;
  readonly font: string;
}

/** The same object until the page is shown in other colours. */
export function useChartColours(): ChartColours {
  const isDark = useMedia('(prefers-color-scheme: dark)');
  return useMemo(chartColours, [isDark]);
}

function chartColours(): ChartColours {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(name).trim();
  return {
    ink: of('--ink'),
    soft: of('--soft'),
    line: of('--line'),
    paper: of('--paper'),
    treatment: of('--treatment'),
    control: of('--control'),
    bad: of('--bad'),
    warn: of('--warn'),
    font: getComputedStyle(document.body).fontFamily,
  };
}
