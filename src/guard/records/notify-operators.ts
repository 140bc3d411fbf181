import { Notifications } from '../../notify/notifications.js';
import { flagPageUrl } from '../../unleash/base-url.js';
import type { ResolvedOptions } from '../options.js';
import type { GuardRecords } from './guard-records.js';

/**
 * Sends what a guard reports to its notifiers.
 *
 * @param isReporter - Whether this process reports for its fleet: one does, and each reports what it decided by itself.
 */
export function notifyOperators(
  { flagKey, notify, unleash, clock }: ResolvedOptions,
  records: GuardRecords,
  isReporter: () => boolean,
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
  records.listen((event) => {
    if (event.type === 'decided' ? event.by === undefined : isReporter()) notifications.listener(event);
  });
  return notifications;
}
