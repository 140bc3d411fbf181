import type { Alert, Control, ControlReply } from '../../model/control.js';
import { isControlError } from './control-error.js';

/**
 * Passes a notification of an alert on. A stop that no leader answers is done by this process, as a stop waits for nobody.
 *
 * @throws ControlError when it was not taken.
 */
export async function takeAlert(
  alert: Alert,
  ask: (control: Alert | Control) => Promise<ControlReply>,
): Promise<ControlReply> {
  try {
    return await ask(alert);
  } catch (error) {
    const isUnanswered = isControlError(error) && (error.code === 'FLEET' || error.code === 'NO_REPLY');
    if (!alert.isFiring || alert.action !== 'stop' || alert.dryRun || !isUnanswered) throw error;
    return ask({ type: 'stop', ...requestOf(alert) });
  }
}

/** An alert's stop. It blames no arm: an alert does not know of arms. */
export function requestOf({ by, reason }: Alert): { readonly by: string; readonly reason: string } {
  return { by: `An alert from ${by}`, reason };
}
