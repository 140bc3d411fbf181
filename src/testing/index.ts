export type { AdminUser, EmbeddedEvent, EmbeddedFlag, EmbeddedStrategy, NewFlag } from './admin-user.js';
export {
  type EmbeddedUnleash,
  type EmbeddedUnleashOptions,
  startEmbeddedUnleash,
} from './embedded-unleash.js';
export { EmbeddedUnleashError, type EmbeddedUnleashErrorCode } from './embedded-unleash-error.js';
