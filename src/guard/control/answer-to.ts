import { setTimeout as sleep } from 'node:timers/promises';
import { REQUEST_LIFETIME_MS } from '../../fleet/control-link.js';
import type { ControlReply } from '../../model/control.js';
import { ControlError } from './control-error.js';

const ASK_AGAIN_MS = 100;

/** Where a request waits: in a guard's folder, or in the store that a fleet shares. */
interface Inbox {
  reply(id: string): Promise<ControlReply | undefined>;
  withdraw(id: string): Promise<boolean>;
}

interface Waiting {
  readonly waitMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Whether waiting keeps the process alive. @default true */
  readonly ref?: boolean;
}

/**
 * Waits for the answer to a request that was sent.
 *
 * @param who - Whose answer, for example `the leader of the fleet`.
 * @throws ControlError when none comes in time; the request is withdrawn then, unless it was begun.
 */
export async function answerTo(
  id: string,
  inbox: Inbox,
  who: string,
  { waitMs = REQUEST_LIFETIME_MS, signal, ref = true }: Waiting = {},
): Promise<ControlReply> {
  const startedAt = performance.now();
  while (performance.now() - startedAt < waitMs && signal?.aborted !== true) {
    const reply = await inbox.reply(id);
    if (reply !== undefined) return reply;
    await sleep(ASK_AGAIN_MS, undefined, { ref });
  }
  const isWithdrawn = await inbox.withdraw(id);
  const reply = isWithdrawn ? undefined : await inbox.reply(id);
  if (reply !== undefined) return reply;
  const what = isWithdrawn
    ? 'has not taken the request in time; it was withdrawn.'
    : 'has begun with the request, and has not answered yet: see its audit log.';
  throw new ControlError('NO_REPLY', `${who} ${what}`);
}
