export {
  type EmbeddedUnleash,
  type EmbeddedUnleashOptions,
  type NewFlag,
  startEmbeddedUnleash,
} from './embedded-unleash.js';
export { EmbeddedUnleashError, type EmbeddedUnleashErrorCode } from './errors.js';
export type { EmbeddedEvent, EmbeddedFlag, EmbeddedStrategy } from './person.js';
