import type { Command } from 'commander';
import { z } from 'zod';
import type { RolloutRules } from '../guard/options/rules.js';
import { ConfigError } from '../support/config-error.js';
import { describeSimulation } from '../what-if/simulate/describe.js';
import { metricsOf } from '../what-if/simulate/metrics.js';
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
Plays whole rollouts, through all stages, with invented calls through the real triggers: the async-upload preset, or the rules
of --config. It shows how often a healthy rollout is stopped by accident (with new, returning and heavy users, arms of different
speed, outages that both arms share, and drift), how soon a broken one is stopped, and how many calls fail until then.
The same seed gives the same result.

  rollout-guard simulate --control-failure 0.01 --treatment-failure 0.1 --rate 5/s

Metrics of your own have data with --metric checkout-completed=0.3:0.24: how often a unit has the event, or the median of its values.

Shares and failure rates are fractions: 0.01 is 1 %. Exit codes: 0 done, 1 a file cannot be read, 2 wrong usage.`;

const optionsSchema = z.object({
  share: shareOption.optional(),
  controlFailure: fractionOption,
  treatmentFailure: fractionOption,
  rate: requestRateOption,
  for: durationOption,
  users: wholeOption(1),
  latency: durationOption,
  slowdown: positiveOption,
  replicates: wholeOption(1),
  seed: wholeOption(0),
  metric: z.array(z.string()),
  config: pathOption.optional(),
  json: z.boolean(),
});

/** Adds the subcommand `simulate`. */
export function registerSimulate(program: Command): void {
  const command = program
    .command('simulate')
    .description('Shows beforehand what your rules will do: false stops, delays, and the harm done.')
    .option('--share <fraction>', "one share of the treatment instead of the rules' stages")
    .requiredOption('--control-failure <fraction>', 'how often the control fails')
    .requiredOption('--treatment-failure <fraction>', 'how often a harmful treatment fails')
    .requiredOption('--rate <requests>', 'requests of both arms, for example 50/s or 200/min')
    .option('--for <time>', 'how long each stage lasts, for example 30min or 2h', '1h')
    .option('--users <count>', 'how many users there are where they come again', '1000')
    .option('--latency <time>', "the control's median duration", '200ms')
    .option('--slowdown <factor>', 'how many times as long a harmful treatment takes', '1')
    .option('--replicates <count>', 'simulated rollouts of each kind', '20')
    .option('--seed <number>', 'where the random numbers begin', '1')
    .option(
      '--metric <event=control:treatment...>',
      'what units do for a metric of your rules, in the control and in a harmful treatment',
      [],
    )
    .option('--config <file>', 'your rules instead of the preset (see rollout-guard replay --help)')
    .option('--json', 'print the figures as JSON', false);
  complete(command, HELP, optionsSchema, async (options) => {
    const rules = await rulesOf(options.config);
    const metrics = metricsOf(rules, options.metric);
    const bar = new ProgressBar(process.stderr);
    const simulation = simulate({
      rules,
      service: {
        shares: options.share === undefined ? sharesOf(rules) : [options.share],
        stageMs: options.for,
        requestsPerSecond: options.rate,
        controlFailureRate: options.controlFailure,
        treatmentFailureRate: options.treatmentFailure,
        users: options.users,
        latencyMs: options.latency,
        slowdown: options.slowdown,
        ...(metrics.length > 0 && { metrics }),
      },
      replicates: options.replicates,
      seed: options.seed,
      onProgress: (done, total) => bar.show(done, total, 'rollouts'),
    });
    bar.clear();
    process.stdout.write(
      options.json ? `${JSON.stringify(simulation, undefined, 2)}\n` : describeSimulation(simulation),
    );
  });
}

function sharesOf({ stages }: RolloutRules): number[] {
  if (stages.length > 0) return stages.map(({ percentage }) => percentage / 100);
  const expected = 'a fraction above 0, at most 1, since the rules have no stages';
  throw new ConfigError('options', [{ path: 'share', expected, got: 'nothing' }]);
}
