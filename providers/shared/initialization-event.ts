import {
  type Client,
  type ErrorCode,
  type OpenFeatureEventEmitter,
  ProviderEvents,
  ProviderStatus,
} from '@openfeature/server-sdk';
import type { ProviderIdentity } from '../../src/model/flags.js';

/** A provider, as far as this needs it. */
interface Initialized {
  readonly metadata: ProviderIdentity;
  readonly events: OpenFeatureEventEmitter;
  defaultClient(): Client;
}

/**
 * Emits how the initialization of a provider ended, `READY` or `ERROR`, unless OpenFeature has done so. From version 0.9 of
 * its specification on it leaves that to providers; an SDK of before has set the status by then. Never rejects.
 *
 * @param opened - Settles with the provider's `initialize`.
 */
export async function emitOutcome(
  provider: Initialized,
  opened: Promise<void>,
  isClosing: () => boolean,
): Promise<void> {
  const error: unknown = await opened.then(
    () => undefined,
    (error) => error,
  );
  await new Promise(setImmediate);
  const { metadata, providerStatus } = provider.defaultClient();
  const isLeftToProvider =
    metadata.providerMetadata === provider.metadata && providerStatus === ProviderStatus.NOT_READY;
  if (!isLeftToProvider || isClosing()) return;
  if (error === undefined) {
    provider.events.emit(ProviderEvents.Ready, { message: 'The provider is initialized' });
  } else {
    const { message, code } = error as { readonly message: string; readonly code: ErrorCode };
    provider.events.emit(ProviderEvents.Error, { message, errorCode: code });
  }
}
