import { armOf } from '../../measure/exposure-ledger.js';
import type { FlagFacts, VariantFacts } from '../../model/flags.js';
import type { Evaluation } from '../../model/shapes.js';
import type { GuardContext } from '../context/guard-context.js';

/** What an evaluation says of its arm. */
type Draw = Pick<Evaluation, 'reason' | 'flagMetadata'>;

/** Where some variants of a flag are the control, the treatment is the others: evaluations are translated to one flag that is on for them. */
export class TreatmentVariants {
  readonly #names: ReadonlySet<string>;
  readonly #context: GuardContext;
  #read: FlagFacts | undefined;
  /** Of the users whom the flag is on for, those with the treatment: a fraction; undefined when it is not known. */
  #share: number | undefined;

  /** @param names - Of the treatment's variants. */
  constructor(names: readonly string[], context: GuardContext) {
    this.#names = new Set(names);
    this.#context = context;
  }

  /** The evaluation of a flag that is on exactly for the treatment, with the chance of that. */
  translated(evaluation: Evaluation, targetingKey: string | undefined): Evaluation {
    const { variant } = evaluation;
    const { flagKey, flagFacts, records } = this.#context;
    const facts = flagFacts();
    if (facts !== this.#read) this.#learn(facts);
    const isOn = armOf(evaluation) === 'treatment';
    if (isOn && (variant === undefined || variant === 'on'))
      records.fault(UNNAMED, `${flagKey}: ${UNNAMED_WHY}`);
    const value = isOn && variant !== undefined && this.#names.has(variant);
    return { ...evaluation, value, ...drawOf(evaluation, targetingKey, facts, this.#share) };
  }

  /** A name that Unleash does not have makes a control of every user, which nobody would see. */
  #learn(facts: FlagFacts | undefined): void {
    this.#read = facts;
    this.#share = facts?.variants && shareOf(facts.variants, this.#names);
    if (facts?.variants === undefined) return;
    const known = facts.variants.weights.map(({ name }) => name);
    const missing = [...this.#names].filter((name) => !known.includes(name));
    if (missing.length === 0) return;
    const { flagKey, records } = this.#context;
    records.fault(
      'treatmentVariants',
      `${flagKey} has no variant ${quoted(missing)} in Unleash, it has ${quoted(known)}.`,
    );
  }
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ');
}

const UNNAMED = 'evaluations without a variant';
const UNNAMED_WHY =
  'an evaluation names no variant, and counts for the control: the flag has none, or its impression data is on.';

/** With which chance a user got one of these variants, and by which unit; neither where it is unknown. */
function drawOf(
  { reason, flagMetadata }: Evaluation,
  targetingKey: string | undefined,
  facts: FlagFacts | undefined,
  share: number | undefined,
): Draw {
  const { chance, contextId, ...rest } = flagMetadata ?? {};
  if (typeof chance === 'number') {
    const metadata = share === undefined ? rest : { ...flagMetadata, chance: chance * share };
    return { reason, flagMetadata: metadata };
  }
  // A flag that is on for all: the variant alone was drawn.
  if (reason !== 'STATIC' && reason !== 'SPLIT') return { reason, flagMetadata };
  if (share === 1 && facts?.rolloutPercentage === 100) return { reason: 'STATIC', flagMetadata };
  const unknown: Draw = { reason: 'SPLIT', flagMetadata };
  if (facts?.variants === undefined || share === undefined || facts.rolloutPercentage !== 100) return unknown;
  const { stickiness } = facts.variants;
  if (stickiness === 'random') return { reason: 'SPLIT', flagMetadata: { ...rest, chance: share } };
  const isByUser = stickiness === 'default' || stickiness === 'userId';
  if (!isByUser || targetingKey === undefined) return unknown;
  return { reason: 'SPLIT', flagMetadata: { ...rest, chance: share, contextId: targetingKey } };
}

function shareOf({ weights }: VariantFacts, names: ReadonlySet<string>): number {
  let all = 0;
  let treated = 0;
  for (const { name, weight } of weights) {
    all += weight;
    if (names.has(name)) treated += weight;
  }
  return all === 0 ? 0 : treated / all;
}
