#!/usr/bin/env node
import { rolloutGuard } from './program.js';
import { endWithReader } from './terminal/closed-pipe.js';
import { endWithNpm } from './terminal/npm-parent.js';

const program = rolloutGuard();
endWithReader(process);
endWithNpm(process);
void program.parseAsync();
