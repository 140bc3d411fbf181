import { type Client, type EventDetails, OpenFeature, ProviderEvents } from '@openfeature/server-sdk';

const STARTED = [ProviderEvents.Ready, ProviderEvents.Stale, ProviderEvents.Error] as const;

/** The OpenFeature domains whose providers have started, or failed to; undefined is the default one. */
export function registeredDomains(): readonly (string | undefined)[] {
  const domains = new Set<string | undefined>();
  const note = (details?: EventDetails) => {
    domains.add(details?.domain);
  };
  for (const event of STARTED) {
    // The SDK has no list of domains, but calls a new handler at once for each one in that state.
    OpenFeature.addHandler(event, note);
    OpenFeature.removeHandler(event, note);
  }
  return [...domains];
}

/** @param domain - Undefined for the default one. */
export function clientOf(domain: string | undefined): Client {
  return domain === undefined ? OpenFeature.getClient() : OpenFeature.getClient(domain);
}
