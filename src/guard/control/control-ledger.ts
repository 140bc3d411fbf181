import type { ControlState, ControlsInForce } from '../../model/control.js';
import { NO_CONTROLS } from './control-state.js';

/** What operators have asked for and still applies: the current {@link ControlState}. */
export class ControlLedger {
  state: ControlState = NO_CONTROLS;

  get inForce(): ControlsInForce {
    const { hold, mutes } = this.state;
    return hold === undefined ? { mutes } : { hold, mutes };
  }

  /** The alerts that fire now, the oldest first. */
  get firingAlerts(): ControlState['alerts'] {
    return this.state.alerts.filter(({ isFiring }) => isFiring);
  }

  isMuted(trigger: string, now: number): boolean {
    return this.state.mutes.some((mute) => mute.trigger === trigger && now < mute.until);
  }
}
