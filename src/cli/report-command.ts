import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { drawCharts } from '../report/charts.js';
import { collectFleetReport, collectReport } from '../report/collect.js';
import { toHtml } from '../report/html.js';
import { toMarkdown } from '../report/markdown.js';
import type { RolloutReport } from '../report/rollout-report.js';
import { ConfigError } from '../support/config-error.js';
import { loadRules } from '../what-if/replay/rules-file.js';
import { complete, pathOption } from './command.js';
import { isRedisUrl } from './controls/control-target.js';
import { addFleetOptions, fleetFields, isFleetTarget, withFleetOf } from './fleets/fleet-choice.js';

const HELP = `
Writes report.json, report.md and report.html. The page needs no network. Its charts need the package echarts
(npm install echarts). The guard may be running meanwhile.

Exit codes: 0 the report was written, 1 there is nothing to report or it cannot be written, 2 wrong usage.`;

const FORMATS = ['json', 'md', 'html'] as const;
const FORMATS_EXPECTED = `one or more of ${FORMATS.join(', ')}, separated by commas`;

const optionsSchema = z.object({
  out: pathOption.optional(),
  format: z.array(z.enum(FORMATS, { error: FORMATS_EXPECTED })).min(1),
  config: pathOption.optional(),
  ...fleetFields,
  json: z.boolean(),
});

/** Adds the subcommand `report`. */
export function registerReport(program: Command): void {
  const command = program
    .command('report')
    .description('Writes a report of a rollout from the folder of its guard or the Redis of its fleet.')
    .argument(
      '<source...>',
      'the folder of a guard, for example logs/async_upload_rollout; of several guards of one flag, all; or redis://…',
    )
    .option(
      '--out <folder>',
      'where to write the report (default: the first folder; of a Redis, the current one)',
    )
    .option(
      '--format <formats>',
      FORMATS_EXPECTED,
      (text) => text.split(',').map((format) => format.trim()),
      [...FORMATS],
    )
    .option('--config <file>', 'rules whose thresholds are drawn (see rollout-guard replay --help)')
    .option('--json', 'print which files were written, as JSON', false);
  addFleetOptions(command);
  complete(command, HELP, optionsSchema, async ({ out, format, config, json, ...wanted }, first, sources) => {
    const rules = config === undefined ? undefined : await loadRules(config);
    const ofFleet = sources.filter((source) => isFleetTarget(source, sources.some(isRedisUrl) ? {} : wanted));
    if (ofFleet.length > 0 && sources.length > 1) {
      const expected = 'folders, or one Redis, which has what all processes of a fleet recorded';
      throw new ConfigError('arguments', [{ path: '', expected, got: `${sources.length} sources` }]);
    }
    const report =
      ofFleet.length > 0
        ? await withFleetOf(first, wanted, (fleet) => collectFleetReport(fleet, { rules }))
        : await collectReport(sources, { rules });
    const folder = out ?? (ofFleet.length > 0 ? '.' : first);
    await mkdir(folder, { recursive: true });
    const files: string[] = [];
    for (const kind of new Set(format)) {
      const path = join(folder, `report.${kind}`);
      await writeFile(path, await render(report, kind));
      files.push(path);
    }
    const { headline } = report;
    console.log(json ? JSON.stringify({ files, headline }, undefined, 2) : [...files, headline].join('\n'));
  });
}

async function render(report: RolloutReport, format: (typeof FORMATS)[number]): Promise<string> {
  switch (format) {
    case 'json':
      return `${JSON.stringify(report, undefined, 2)}\n`;
    case 'md':
      return toMarkdown(report);
    case 'html': {
      const charts = await drawCharts(report);
      if (charts === undefined) {
        console.error('report.html has no charts: run "npm install echarts" and repeat this command.');
      }
      return toHtml(report, charts);
    }
  }
}
