import type { Fault } from '../fault.js';
import { diskFaults } from './disk-faults.js';
import { adminFaults, clientFaults } from './http-faults.js';
import { clockFaults, noFault, processFaults } from './process-faults.js';
import { redisFaults } from './redis-faults.js';
import { tlsFaults } from './tls-faults.js';

/** The fault matrix. The first row is what the machine itself does to the figures. */
export const FAULT_MATRIX: readonly Fault[] = [
  noFault,
  ...adminFaults,
  ...clientFaults,
  ...diskFaults,
  ...redisFaults,
  ...processFaults,
  ...clockFaults,
  ...tlsFaults,
];
