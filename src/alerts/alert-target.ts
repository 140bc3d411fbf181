import type { Alert, ControlReply } from '../model/control.js';

/** What alerts act on; a guard. */
export interface AlertTarget {
  readonly flagKey: string;
  /** @throws ControlError when it was not taken. */
  alert(alert: Alert): Promise<ControlReply>;
}
