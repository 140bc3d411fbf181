import type { GuardFigures } from '../model/observer.js';
import { eachInSlices } from '../support/async/slices.js';
import { METRICS, type Metric, NAMESPACE } from './metric-table.js';

/** What `Content-Type` to serve it with. */
export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** The figures of these flags in Prometheus' text format. Pure. */
export function prometheusText(flags: readonly GuardFigures[]): string {
  return `${METRICS.flatMap((metric) => linesOf(metric, flags)).join('\n')}\n`;
}

/** The same of guards that may be a thousand: other requests are served in between. */
export async function prometheusTextOf(
  guards: readonly { readonly figures: GuardFigures }[],
): Promise<string> {
  const flags: GuardFigures[] = [];
  await eachInSlices(guards, ({ figures }) => flags.push(figures));
  const parts: string[] = [];
  await eachInSlices(METRICS, (metric) => {
    parts.push(
      linesOf(metric, flags)
        .map((line) => `${line}\n`)
        .join(''),
    );
  });
  return parts.join('');
}

function linesOf(metric: Metric, flags: readonly GuardFigures[]): string[] {
  const { kind, help, samples } = metric;
  const full = nameOf(metric);
  const found = flags.flatMap((figures) =>
    samples(figures).flatMap(([labels, value]) => {
      const { flagKey: flag, environment, project } = figures.view;
      return value === undefined
        ? []
        : [`${full}${labelsOf({ flag, environment, project, ...labels })} ${numberOf(value)}`];
    }),
  );
  return found.length === 0 ? [] : [`# HELP ${full} ${help}`, `# TYPE ${full} ${kind}`, ...found];
}

/** As OpenTelemetry's names become Prometheus': https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/ */
function nameOf({ name, kind, unit }: Metric): string {
  const suffixes = [...(unit === 's' ? ['seconds'] : []), ...(kind === 'counter' ? ['total'] : [])];
  return [NAMESPACE, name.replaceAll('.', '_'), ...suffixes].join('_');
}

function labelsOf(labels: Readonly<Record<string, string | number | boolean>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(String(value))}"`);
  return `{${pairs.join(',')}}`;
}

/** https://prometheus.io/docs/instrumenting/exposition_formats/#comments-help-text-and-type-information */
function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}

function numberOf(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}
