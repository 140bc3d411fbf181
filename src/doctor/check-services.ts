import { examineRedis } from '../fleet/redis/examine-redis.js';
import type { GuardNotification, Notifier, NotifyFunction } from '../notify/notifier.js';
import { messageOf } from '../support/async/callbacks.js';
import { DeadlineError, withDeadline } from '../support/deadline.js';
import { type Finding, findingsOf } from './finding.js';

/** Whether a fleet can use a Redis. Nothing is written there. */
export async function checkRedis(url: string, timeoutMs: number): Promise<Finding> {
  const { ok, warn, fail } = findingsOf('redis');
  try {
    const { version, evicts } = await examineRedis(url, timeoutMs);
    if (evicts !== undefined && evicts !== 'noeviction') {
      return warn(
        `Redis ${version} answers, and deletes keys when its memory is full (maxmemory-policy ${evicts}).`,
        'Set maxmemory-policy to noeviction, or use another Redis: with keys of a fleet, outcomes would be lost.',
      );
    }
    return ok(`Redis ${version} answers, and runs the scripts of a fleet.`);
  } catch (error) {
    return fail(
      messageOf(error),
      'Check the URL, the password and TLS (rediss://), and that this machine may reach it.',
    );
  }
}

/** What notifiers are tested with. */
export interface NotifierTest {
  readonly flagKey: string;
  readonly project: string;
  readonly environment: string;
  readonly flagUrl: string;
  readonly id: string;
  readonly at: number;
  readonly timeoutMs: number;
  /** @default each notifier's own */
  readonly fetch?: typeof fetch | undefined;
}

/** One finding for each notifier. @param test - What is sent through each; undefined: nothing is sent. */
export async function checkNotifiers(
  notifiers: readonly (Notifier | NotifyFunction)[],
  test: NotifierTest | undefined,
): Promise<Finding[]> {
  return Promise.all(
    notifiers.map(async (notifier, index): Promise<Finding> => {
      const { ok, fail, unknown } = findingsOf('notifier');
      const name = notifier.name || `notify[${index}]`;
      if (test === undefined) {
        return unknown(`Whether ${name} delivers was not tried.`, 'Send a test message with --send-test.');
      }
      try {
        await deliver(notifier, test);
        return ok(`${name} has delivered a test message.`);
      } catch (error) {
        const why =
          error instanceof DeadlineError ? `no reply within ${test.timeoutMs} ms` : messageOf(error);
        return fail(`${name} could not deliver a test message: ${why}`, 'Check its address and its secret.');
      }
    }),
  );
}

function deliver(notifier: Notifier | NotifyFunction, test: NotifierTest): Promise<void> {
  const { id, at, flagKey, project, environment, flagUrl, timeoutMs, fetch } = test;
  const notification: GuardNotification = {
    ...{ id, flagKey, project, environment, flagUrl },
    type: 'started',
    severity: 'info',
    title: `A test for ${flagKey}`,
    message: 'A test message of "rollout-guard doctor --send-test". Nothing has happened.',
    facts: [],
    time: new Date(at).toISOString(),
    decisionId: undefined,
    decision: undefined,
    incident: undefined,
  };
  const send = typeof notifier === 'function' ? notifier : notifier.notify.bind(notifier);
  return withDeadline(timeoutMs, undefined, async (signal) => send(notification, { signal, fetch }));
}
