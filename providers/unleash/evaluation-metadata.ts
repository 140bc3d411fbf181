import type { FlagMetadata } from '@openfeature/server-sdk';
import type { Context } from 'unleash-client';
import type { Explanation } from './reason-resolver.js';

type Known = Readonly<Record<string, FlagMetadata[string] | null | undefined>>;

/** The flag metadata of evaluations that know the same of a flag. What is unknown is left out: OpenFeature's has no `undefined`. */
export class EvaluationMetadata {
  /** What every evaluation carries in which chance had no part: frozen and shared. */
  readonly shared: FlagMetadata;
  /** Copied by every evaluation that was drawn. */
  readonly #drawn: FlagMetadata;

  constructor(known: Known) {
    this.shared = Object.freeze(compact(known));
    this.#drawn = compact({ ...known, chance: null, contextId: null });
  }

  /** The metadata of an evaluation: with `chance` and `contextId` when chance decided. */
  of(explanation: Explanation, context: Context): FlagMetadata {
    const { chance } = explanation;
    if (chance === undefined) return this.shared;
    const contextId = explanation.contextId(context);
    if (contextId === undefined) return { ...this.shared, chance };
    const metadata = { ...this.#drawn };
    metadata.chance = chance;
    metadata.contextId = contextId;
    return metadata;
  }
}

/** Without `undefined`, and in one piece of memory, which is copied fastest: an object that grew is in two. */
function compact(known: Known): FlagMetadata {
  return JSON.parse(JSON.stringify(known));
}
