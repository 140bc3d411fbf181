import type { FleetLink } from './fleet-link.js';
import type { FleetTiming } from './fleet-options.js';

/** What the processes of a fleet share: `RedisOutcomeStore` from `unleash-rollout-guard/redis`. */
export interface SharedStore {
  readonly timing: FleetTiming;
  /** Connects this process to the fleet of one flag in one environment. */
  link(flag: { readonly flagKey: string; readonly environment: string }): FleetLink;
}
