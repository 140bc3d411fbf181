import type { Logger } from '../../src/support/logger.js';

/** Longer than providers take to notice a change in Unleash. */
const DOUBT_MS = 60_000;

/**
 * Whether a provider answers as Unleash's definitions give, flag by flag. Right after a change one of both is behind for a
 * moment, and a provider that evaluates something else is never right: the chance that the definitions give is then not that
 * of the answer.
 */
export class Agreement {
  readonly #logger: Logger;
  readonly #provider: string;
  readonly #differedAt = new Map<string, number>();

  /** @param provider - The name of the provider. */
  constructor(logger: Logger, provider: string) {
    this.#logger = logger;
    this.#provider = provider;
  }

  /**
   * Notes one answer.
   *
   * @returns whether the provider has answered as Unleash for a while.
   */
  note(flagKey: string, isEqual: boolean): boolean {
    if (!isEqual) {
      if (!this.#differedAt.has(flagKey)) {
        this.#logger.warn(
          { flagKey, provider: this.#provider },
          'The provider answers otherwise than the definition in Unleash: if that lasts longer than a change takes to arrive, ' +
            'it evaluates another environment or with another context, and the guard cannot compare the arms',
        );
      }
      this.#differedAt.set(flagKey, performance.now());
      return false;
    }
    const differedAt = this.#differedAt.get(flagKey);
    if (differedAt === undefined) return true;
    if (performance.now() - differedAt < DOUBT_MS) return false;
    this.#differedAt.delete(flagKey);
    return true;
  }
}
