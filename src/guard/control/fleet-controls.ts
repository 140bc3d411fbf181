import type { ControlLink } from '../../fleet/control-link.js';
import type { FleetMember } from '../../fleet/fleet-member.js';
import type { ControlReply, ControlRequest, ControlState } from '../../model/control.js';
import { messageOf } from '../../support/async/callbacks.js';
import { answerTo } from './answer-to.js';
import { ControlError } from './control-error.js';

/** Requests of operators in the store that a fleet shares, as one of its processes sees them. */
export class FleetControls {
  readonly #link: ControlLink;
  readonly #member: Pick<FleetMember, 'role' | 'leader' | 'problem'>;

  constructor(link: ControlLink, member: Pick<FleetMember, 'role' | 'leader' | 'problem'>) {
    this.#link = link;
    this.#member = member;
  }

  get leads(): boolean {
    return this.#member.leader !== undefined;
  }

  /**
   * Asks the leader, and waits for its answer.
   *
   * @throws ControlError when no leader answers, or the shared store does not.
   */
  async ask(request: ControlRequest, signal: AbortSignal): Promise<ControlReply> {
    const { role, problem } = this.#member;
    if (role === 'standalone') {
      const why = problem ?? 'no process with an admin token leads the fleet';
      throw new ControlError(
        'FLEET',
        `This process is cut off from its fleet: ${why}. Only "stop" is possible.`,
      );
    }
    try {
      await this.#link.send(request);
      return await answerTo(request.id, this.#link, "The fleet's leader", { signal, ref: false });
    } catch (error) {
      if (error instanceof ControlError) throw error;
      throw new ControlError('FLEET', `The fleet's shared store cannot be used: ${messageOf(error)}`);
    }
  }

  /** What waits for this process, if it is the leader. */
  async take(): Promise<readonly ControlRequest[]> {
    const lease = this.#member.leader?.lease;
    return lease === undefined ? [] : ((await this.#link.take(lease)) ?? []);
  }

  /** Notes what this process is about to do. `false` when another one leads by now. */
  async begin(request: ControlRequest): Promise<boolean> {
    const lease = this.#member.leader?.lease;
    return lease !== undefined && this.#link.begin(lease, request);
  }

  /** Shares what is in force, and an answer with it. `false` when another process leads by now. */
  async save(
    state: ControlState,
    answer?: { readonly id: string; readonly reply: ControlReply },
  ): Promise<boolean> {
    const { leader } = this.#member;
    if (leader?.lease === undefined) return false;
    // An acknowledged review is part of it.
    await leader.saveCheckpoint();
    return leader.lease !== undefined && this.#link.save(leader.lease, state, answer);
  }
}
