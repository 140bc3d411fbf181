export { FleetError, type FleetErrorCode, isFleetError } from '../fleet-link.js';
export type { RedisClient, RedisScriptOptions } from './redis-client.js';
export type { RedisFlag } from './redis-keys.js';
export { RedisOutcomeStore, type RedisOutcomeStoreOptions } from './redis-outcome-store.js';
export { RedisReader, type RedisReaderOptions } from './redis-reader.js';
