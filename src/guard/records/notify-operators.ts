import { Notifications } from '../../notify/notifications.js';
import { flagPageUrl } from '../../unleash/admin-access.js';
import type { ResolvedOptions } from '../options.js';
import type { GuardRecords } from './guard-records.js';

/** Lets the user's notifiers hear what the guard tells. */
export function notifyOperators(
  { flagKey, notify, unleash, clock }: ResolvedOptions,
  records: GuardRecords,
  speaks: () => boolean,
): Notifications {
  const notifications = new Notifications({
    notify,
    subject: {
      flagKey,
      project: unleash.project,
      environment: unleash.environment,
      flagUrl: flagPageUrl(unleash, flagKey),
    },
    clock,
    onFault: (what, error) => records.fault(what, error),
  });
  // In a fleet, one process speaks for all; of what it decided by itself, each tells.
  records.listen((event) => {
    if (event.type === 'decided' ? event.by === undefined : speaks()) notifications.listener(event);
  });
  return notifications;
}
