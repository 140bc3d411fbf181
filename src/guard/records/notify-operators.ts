import { Notifications } from '../../notify/notifications.js';
import { flagPageUrl } from '../../unleash/admin-access.js';
import type { GuardFleet } from '../fleet/guard-fleet.js';
import type { GuardContext } from '../guard-context.js';

/** Passes the guard's events to the user's notifiers. */
export function notifyOperators(
  { flagKey, notify, unleash, clock, records }: GuardContext,
  fleet: GuardFleet,
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
  // In a fleet, the leader notifies for all, and every process of what it decided itself.
  records.listen((event) => {
    if (event.type === 'decided' ? event.by === undefined : fleet.leads) notifications.listener(event);
  });
  return notifications;
}
