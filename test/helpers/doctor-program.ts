// The command line with the doctor alone, to be run as a process of its own.
import { Command } from 'commander';
import { registerDoctor } from '../../src/cli/doctor/doctor-command.js';

const program = new Command('rollout-guard');
registerDoctor(program);
await program.parseAsync();
