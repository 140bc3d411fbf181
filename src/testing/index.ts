export type { EmbeddedEvent, EmbeddedFlag, EmbeddedStrategy } from './admin-user.js';
export {
  type EmbeddedUnleash,
  type EmbeddedUnleashOptions,
  type NewFlag,
  startEmbeddedUnleash,
} from './embedded-unleash.js';
export { EmbeddedUnleashError, type EmbeddedUnleashErrorCode } from './unleash-start-error.js';
