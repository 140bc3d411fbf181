import { GeneralError } from '@openfeature/server-sdk';
import type { Unleash } from 'unleash-client';
import { canPoll, fetchesNothing, pollAfresh, streamStateOf } from './client-access.js';

/** What became of the polls of a client so far. */
interface Polled {
  /** How many brought flags, or that they are current. */
  readonly successes: number;
  /** Evaluations have data. */
  readonly isReady: boolean;
  /** Why the last one failed. */
  readonly problem: string | undefined;
}

/**
 * Asks Unleash now, and resolves when what it answered is evaluated. An open stream has brought everything already.
 *
 * @param neverFetches - The client is configured never to fetch anything.
 * @throws GeneralError when Unleash cannot be asked, or does not answer.
 */
export async function refreshNow(
  client: Unleash,
  neverFetches: boolean,
  polled: () => Polled,
): Promise<void> {
  if (streamStateOf(client) === 'open') return;
  if (!canPoll(client)) {
    throw new GeneralError(
      neverFetches || fetchesNothing(client)
        ? 'refreshInterval is 0, so nothing is fetched from Unleash: give a long interval instead.'
        : 'This Unleash client cannot be made to fetch its flags.',
    );
  }
  const { successes } = polled();
  await pollAfresh(client);
  // unleash-client evaluates the first data a few ticks later.
  if (!polled().isReady) await new Promise(setImmediate);
  const { successes: after, problem } = polled();
  if (after === successes) throw new GeneralError(problem ?? 'Unleash sent nothing that can be read.');
}
