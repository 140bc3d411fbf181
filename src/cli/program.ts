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
import { registerWatch } from './watch-command.js';

/** The command line with all of its commands. */
export function rolloutGuard(): Command {
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
  return program;
}
