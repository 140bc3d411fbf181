import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { z } from 'zod';
import type { RolloutRules } from '../guard/rules.js';
import { ConfigError } from '../support/config-error.js';
import { drawSimulation } from '../what-if/simulate/chart.js';
import { describeSimulation } from '../what-if/simulate/describe.js';
import { simulate } from '../what-if/simulate/simulation.js';
import { complete, pathOption, rulesOf } from './command.js';
import { ProgressBar } from './progress.js';
import {
  durationOption,
  fractionOption,
  positiveOption,
  requestRateOption,
  shareOption,
  wholeOption,
} from './quantities.js';

const HELP = `
Plays rollouts with invented outcomes through the real triggers: the async-upload preset, or the rules of --config. It shows how
often a healthy rollout is stopped by accident, how soon a broken one is stopped, and what this share of the traffic can
detect at all. The same seed gives the same result.

  rollout-guard simulate --share 0.01 --control-failure 0.01 --treatment-failure 0.1 --rate 50/s

Shares and failure rates are fractions: 0.01 is 1 %. Exit codes: 0 done, 1 a file cannot be read or written, 2 wrong usage.`;

const optionsSchema = z.object({
  share: shareOption.optional(),
  controlFailure: fractionOption,
  treatmentFailure: fractionOption,
  rate: requestRateOption,
  for: durationOption,
  users: wholeOption(1).optional(),
  latency: durationOption,
  slowdown: positiveOption,
  replicates: wholeOption(20),
  seed: wholeOption(0),
  config: pathOption.optional(),
  svg: pathOption.optional(),
  json: z.boolean(),
});

/** Adds the subcommand `simulate`. */
export function registerSimulate(program: Command): void {
  const command = program
    .command('simulate')
    .description('Shows beforehand what your rules will do: false stops, delays, and what can be detected.')
    .option('--share <fraction>', "the treatment's share of the users (default: the first stage's)")
    .requiredOption('--control-failure <fraction>', 'how often the control fails')
    .requiredOption('--treatment-failure <fraction>', 'how often the treatment fails')
    .requiredOption('--rate <requests>', 'requests of both arms, for example 50/s or 200/min')
    .option('--for <time>', 'how long the stage lasts, for example 30min or 2h', '30min')
    .option(
      '--users <count>',
      'how many users there are, each with many requests (default: one request each)',
    )
    .option('--latency <time>', "the control's median duration", '200ms')
    .option('--slowdown <factor>', 'how many times as long the treatment takes', '1')
    .option('--replicates <count>', 'simulated rollouts', '200')
    .option('--seed <number>', 'where the random numbers begin', '1')
    .option('--config <file>', 'your rules instead of the preset (see rollout-guard replay --help)')
    .option('--svg <file>', 'also write a picture (needs the package echarts)')
    .option('--json', 'print the figures as JSON', false);
  complete(command, HELP, optionsSchema, async (options) => {
    const rules = await rulesOf(options.config);
    const bar = new ProgressBar(process.stderr);
    const simulation = simulate({
      rules,
      scenario: {
        share: options.share ?? firstShareOf(rules),
        controlFailureRate: options.controlFailure,
        treatmentFailureRate: options.treatmentFailure,
        requestsPerSecond: options.rate,
        durationMs: options.for,
        users: options.users,
        latencyMs: options.latency,
        slowdown: options.slowdown,
      },
      replicates: options.replicates,
      seed: options.seed,
      onProgress: (done, total) => bar.show(done, total, 'rollouts'),
    });
    bar.clear();
    process.stdout.write(
      options.json ? `${JSON.stringify(simulation, undefined, 2)}\n` : describeSimulation(simulation),
    );
    if (options.svg !== undefined) await writePicture(options.svg, await drawSimulation(simulation));
  });
}

/** Before a start the first stage is of interest. */
function firstShareOf({ stages }: RolloutRules): number {
  const [first] = stages;
  if (first !== undefined) return first.percentage / 100;
  const expected = 'a fraction above 0, at most 1, since the rules have no stages';
  throw new ConfigError('options', [{ path: 'share', expected, got: 'nothing' }]);
}

async function writePicture(path: string, svg: string | undefined): Promise<void> {
  if (svg === undefined) {
    const expected = 'the package echarts beside this one (npm install echarts)';
    throw new ConfigError('options', [{ path: 'svg', expected, got: 'none' }]);
  }
  await writeFile(path, svg);
}
