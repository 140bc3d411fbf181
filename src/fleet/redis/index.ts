export { FleetError, type FleetErrorCode, isFleetError } from '../fleet-link.js';
export type { RedisClient } from './redis-client.js';
export { RedisOutcomeStore, type RedisOutcomeStoreOptions } from './redis-outcome-store.js';
