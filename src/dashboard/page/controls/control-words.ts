import type { ControlType } from '../../../model/control.js';
import type { RolloutView } from '../../../model/rollout-view.js';
import { percentageText } from '../words/numbers.js';

interface Ask {
  readonly title: string;
  /** What will happen. */
  readonly text: string;
  readonly button: string;
  readonly reason: 'required' | 'optional';
  readonly isDangerous?: boolean;
}

/** What a dialog says before something is done. */
export function askOf(type: ControlType, { flagKey, flag, stages }: RolloutView, trigger = ''): Ask {
  const now = flag?.percentage;
  const next = stages.find(({ percentage }) => percentage > (now ?? 100))?.percentage;
  switch (type) {
    case 'stop':
      return {
        title: `Stop ${flagKey}?`,
        text: `This turns the flag off now: all users${now === undefined ? '' : `, also the ${percentageText(now)} who have the treatment,`} get the control. Turning it on again in Unleash begins a new rollout.`,
        button: 'Stop the flag',
        reason: 'required',
        isDangerous: true,
      };
    case 'hold':
      return {
        title: `Hold ${flagKey}?`,
        text: 'The guard does not advance by itself until you resume. All triggers stay in force.',
        button: 'Hold',
        reason: 'required',
      };
    case 'resume':
      return {
        title: `Resume ${flagKey}?`,
        text: 'The guard advances by itself again when a stage is met.',
        button: 'Resume',
        reason: 'optional',
      };
    case 'advance':
      return {
        title: `Advance ${flagKey}?`,
        text: `This moves the percentage in Unleash from ${percentageText(now)} to ${percentageText(next)}. It is refused while the stage is not met.`,
        button: `Advance to ${percentageText(next)}`,
        reason: 'optional',
      };
    case 'acknowledge':
      return {
        title: `Acknowledge ${trigger}?`,
        text: 'This closes the review: you have checked it, and the rollout may go on.',
        button: 'Acknowledge',
        reason: 'optional',
      };
    case 'mute':
      return {
        title: `Mute ${trigger}?`,
        text: 'For this time the trigger neither stops the flag nor opens a review. It is evaluated and shown all the same.',
        button: 'Mute',
        reason: 'required',
      };
    case 'unmute':
      return {
        title: `Unmute ${trigger}?`,
        text: 'The trigger acts again from now on.',
        button: 'Unmute',
        reason: 'optional',
      };
  }
}
