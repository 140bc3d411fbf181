import { type Unleash, UnleashEvents } from 'unleash-client';
import { withDeadline } from '../../../src/support/deadline.js';
import { internalsOf } from './client-access.js';
import type { Transport } from './transport.js';

/** Sends the remaining usage metrics of a client that is about to end, for a limited time. Never rejects. */
export async function sendLastMetrics(client: Unleash, timeoutMs: number): Promise<void> {
  // Sending starts a new timer, and unleash-client then forgets the running one, which would outlive the client.
  clearTimeout(internalsOf(client).metrics?.timer);
  await withDeadline(timeoutMs, undefined, () => client.flushMetrics()).catch(ignore);
}

/** Ends a client with everything that it started. */
export function endClient(client: Unleash, transport: Transport): void {
  // A request that is still under way may fail after the end. Without these listeners unleash-client would print the
  // error, and its repository, whose listeners `destroy` removes, would raise it as an unhandled rejection.
  client.on(UnleashEvents.Error, ignore);
  client.destroy();
  internalsOf(client).repository.on(UnleashEvents.Error, ignore);
  transport.close();
}

function ignore(): void {}
