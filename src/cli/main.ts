#!/usr/bin/env node
import { Command } from 'commander';
import { version } from '../version.js';
import { registerDoctor } from './doctor.js';
import { exitWith } from './problem.js';
import { registerReplay } from './replay.js';
import { registerReport } from './report.js';
import { registerRun } from './run.js';
import { registerSimulate } from './simulate.js';
import { registerStatus } from './status.js';
import { registerWatch } from './watch.js';

const program = new Command('rollout-guard')
  .description('Guarded rollouts for Unleash: watches a flag and turns it off when its code path fails.')
  .version(version)
  .exitOverride(exitWith);

registerDoctor(program);
registerStatus(program);
registerWatch(program);
registerReport(program);
registerReplay(program);
registerSimulate(program);
registerRun(program);

await program.parseAsync();
