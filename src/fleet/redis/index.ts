export { FleetError, type FleetErrorCode, isFleetError } from '../fleet-link.js';
export type { RedisClient, RedisScriptOptions } from './redis-client.js';
export { RedisOutcomeStore, type RedisOutcomeStoreOptions } from './redis-outcome-store.js';
