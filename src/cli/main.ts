#!/usr/bin/env node
import { Command } from 'commander';
import { version } from '../support/version.js';
import { exitWith } from './command.js';
import { registerCompletion } from './completion/completion-command.js';
import { registerControls } from './controls/control-commands.js';
import { registerDashboard } from './dashboard-command.js';
import { registerDoctor } from './doctor/doctor-command.js';
import { registerDrill } from './drill-command.js';
import { registerInit } from './init/init-command.js';
import { registerReplay } from './replay-command.js';
import { registerReport } from './report-command.js';
import { registerRun } from './run-command.js';
import { registerSimulate } from './simulate-command.js';
import { registerStatus } from './status-command.js';
import { endWithReader } from './terminal/closed-pipe.js';
import { endWithNpm } from './terminal/npm-parent.js';
import { registerWatch } from './watch-command.js';

const program = new Command('rollout-guard')
  .description(
    'Guarded rollouts for Unleash: evaluates how the code behind a flag behaves, and turns the flag off when it fails.',
  )
  .version(version)
  .exitOverride(exitWith);

registerInit(program);
registerDoctor(program);
registerDrill(program);
registerControls(program);
registerStatus(program);
registerWatch(program);
registerDashboard(program);
registerReport(program);
registerReplay(program);
registerSimulate(program);
registerRun(program);
registerCompletion(program);

endWithReader(process);
endWithNpm(process);
void program.parseAsync();
