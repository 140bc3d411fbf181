import type { Control, ControlReply, ControlsInForce, ControlType } from '../../model/control.js';
import { ConfigError, isRecord } from '../../support/config-error.js';
import { describeReceived } from '../../support/config-received.js';

/** A {@link Control} of one type without what the name of the method says: who asks (`by`), why, and what else it needs. */
export type ControlRequest<Type extends ControlType> = Omit<
  Extract<Control, { type: Type }>,
  'type' | 'trigger'
>;

/**
 * What operators may ask of a guard: one request, {@link control}, under a name for each kind. `by` is who asks, and `reason` why: text on one
 * line; both are in the audit log. In a fleet any process may be asked.
 */
export abstract class ControllableGuard {
  /** What operators have asked for and still applies. */
  abstract get controls(): ControlsInForce;

  /**
   * One request.
   *
   * @returns what was done, in one sentence.
   * @throws {@link ConfigError} when the request is invalid.
   * @throws {@link ControlError} when it is refused, with a stable `code`; nothing was changed then.
   */
  abstract control(control: Control): Promise<ControlReply>;

  /**
   * Stops the flag now, as a rollback would: in this process, in the fleet, then in Unleash. Resolves when it is off in Unleash, or,
   * if that takes longer, when it is off here; the guard then keeps trying. In a dry run, it is only recorded.
   */
  stop(asked: ControlRequest<'stop'>): Promise<ControlReply> {
    return this.#ask('stop', asked);
  }

  /** No automatic advance until {@link resume}. Triggers stay in force. */
  hold(asked: ControlRequest<'hold'>): Promise<ControlReply> {
    return this.#ask('hold', asked);
  }

  /** Ends a hold. */
  resume(asked: ControlRequest<'resume'>): Promise<ControlReply> {
    return this.#ask('resume', asked);
  }

  /** Moves the percentage in Unleash to that of the next stage. Refused while the stage is not met, unless `force` is true. */
  advance(asked: ControlRequest<'advance'>): Promise<ControlReply> {
    return this.#ask('advance', asked);
  }

  /** Closes the review that this trigger opened. It opens again only after the trigger was ok for `reviewCloseAfterMs`. */
  acknowledge(trigger: string, asked: ControlRequest<'acknowledge'>): Promise<ControlReply> {
    return this.#ask('acknowledge', asked, { trigger });
  }

  /** For `forMs` milliseconds, this trigger is evaluated and shown, and neither stops the flag nor opens a review. */
  mute(trigger: string, asked: ControlRequest<'mute'>): Promise<ControlReply> {
    return this.#ask('mute', asked, { trigger });
  }

  /** Ends a mute before its time. */
  unmute(trigger: string, asked: ControlRequest<'unmute'>): Promise<ControlReply> {
    return this.#ask('unmute', asked, { trigger });
  }

  async #ask(type: ControlType, asked: unknown, more: object = {}): Promise<ControlReply> {
    if (isRecord(asked)) return this.control({ ...asked, ...more, type } as Control);
    const expected = "an object such as { by: 'ann', reason: 'incident 42' }";
    throw new ConfigError(type, [{ path: '', expected, got: describeReceived(asked, []) }]);
  }
}
