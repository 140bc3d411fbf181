import { checkAdmin } from './check-admin-token.js';
import { checkClientToken } from './check-client-token.js';
import { checkFlag } from './check-flag.js';
import { checkClock, checkFolder, checkUrl } from './check-server.js';
import { checkStrategies } from './check-strategies.js';
import type { Finding } from './finding.js';
import type { Observations } from './observations.js';

/** Every check, in the order in which to fix them. Pure. */
export function diagnose(observations: Observations): Finding[] {
  return [
    checkUrl(observations),
    checkClientToken(observations),
    ...checkAdmin(observations),
    ...checkFlag(observations),
    ...checkStrategies(observations),
    checkClock(observations),
    checkFolder(observations.folder),
  ];
}
