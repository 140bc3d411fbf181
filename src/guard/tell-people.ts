import { Notifications } from '../notify/notifications.js';
import type { ResolvedOptions } from '../options.js';
import type { UnleashAdminClient } from '../unleash/admin-client.js';
import type { GuardRecords } from './guard-records.js';

/** Lets the user's notifiers hear what the guard tells. */
export function tellPeople(
  { flagKey, notify, unleash, clock }: ResolvedOptions,
  admin: UnleashAdminClient,
  records: GuardRecords,
): Notifications {
  const notifications = new Notifications({
    notify,
    subject: {
      flagKey,
      project: unleash.project,
      environment: unleash.environment,
      flagUrl: admin.flagPageUrl(flagKey),
    },
    clock,
    onFault: (what, error) => records.fault(what, error),
  });
  records.listen(notifications.listener);
  return notifications;
}
