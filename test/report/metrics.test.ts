import { afterEach, beforeEach, expect, it } from 'vitest';
import { drawCharts } from '../../src/report/charts.js';
import { collectReport } from '../../src/report/collect.js';
import { toHtml } from '../../src/report/html.js';
import { toMarkdown } from '../../src/report/markdown.js';
import { metric } from '../../src/triggers/metrics/metric.js';
import { GuardHarness } from '../helpers/guard-harness.js';

let harness: GuardHarness;

beforeEach(async () => {
  harness = await GuardHarness.create();
});
afterEach(() => harness.close());

const WITHIN = { direction: 'higher-is-better', withinMs: 200 } as const;

it('a report has each metric by arm, as a table and as a chart', async () => {
  const guard = await harness.started({
    tickMs: 20,
    review: [
      metric('<b>checkout', { ...WITHIN, kind: 'conversion', name: 'checkout' }),
      metric('cart', { ...WITHIN, kind: 'numeric' }),
      metric('never', { ...WITHIN, kind: 'numeric' }),
    ],
  });
  for (let user = 0; user < 40; user++) {
    const treated = user % 2 === 0;
    const flagMetadata = { chance: 0.5, contextId: `user-${user}` };
    guard.exposed({ value: treated, reason: 'SPLIT', flagMetadata }, `user-${user}`);
    if (user % 4 < 2) guard.track('<b>checkout', { targetingKey: `user-${user}` });
    guard.track('cart', { targetingKey: `user-${user}` }, { value: treated ? 30 : 12.5 });
  }
  const counted = () => guard.status().snapshot.evidence?.[1]?.metric?.arms;
  await harness.until(
    'all are over',
    () => counted()?.treatment.trials === 20 && counted()?.control.trials === 20,
  );
  await guard.close();
  const report = await collectReport([harness.folder]);
  const arms = (treatment: number, control: number) => ({
    treatment: { trials: 20, sum: treatment },
    control: { trials: 20, sum: control },
  });
  expect(report.metrics).toEqual([
    { trigger: 'checkout', kind: 'conversion', ...arms(10, 10) },
    { trigger: 'cart', kind: 'numeric', ...arms(600, 250) },
  ]);
  expect(toMarkdown(report)).toMatch(/\| cart \| mean of the values \| 30 \| 20 \| 12\.5 \| 20 \|/);
  const charts = await drawCharts(report);
  const own = charts!.filter(({ id }) => id.startsWith('metric-'));
  expect(own.map(({ description }) => description)).toEqual([
    expect.stringContaining('treatment: 50.00 %, control: 50.00 %'),
    expect.stringContaining('treatment: 30, control: 12.5'),
  ]);
  const html = toHtml(report, charts);
  expect(html.match(/<figure><figcaption>[^<]*(checkout|cart)[^<]*:/g)).toHaveLength(2);
  expect(html).not.toContain('<b>');
});
