import { ERROR_TYPE, VARIANT } from '../model/concentration.js';
import type { Concentration } from '../model/shapes.js';
import type { OutcomeDetail, OutcomeDetails } from '../model/snapshot.js';

/** Fewer failing units say nothing of where. */
const MIN_FAILING = 4;
/** So large a share of the treatment's failing units must have a value. */
const MIN_SHARE = 0.5;
/** By so much the share must be larger than elsewhere. */
const MIN_EXCESS = 0.2;
const MAX_CONCENTRATIONS = 3;
/** Error types that every failure may have. */
const SAYS_NOTHING: ReadonlySet<string> = new Set(['Error', 'unknown']);
/** An attribute with more distinct numbers is shown in ranges of powers of two. */
const MAX_NUMBERS = 8;

/**
 * The values that are much more frequent among the treatment's failing units than among outcomes that did not fail, the strongest
 * first: at most one for each attribute, and three in all.
 *
 * @param since - Failures from before are left out, in milliseconds since 1970.
 */
export function whereItFails(details: OutcomeDetails, since = Number.NEGATIVE_INFINITY): Concentration[] {
  const failing = details.failures.filter(({ at }) => at >= since);
  const treatment = failing.filter(({ arm }) => arm === 'treatment');
  const control = failing.filter(({ arm }) => arm === 'control');
  if (treatment.length < MIN_FAILING) return [];
  const names = new Set(treatment.flatMap(({ attributes }) => Object.keys(attributes ?? {})));
  const found = [...names, ERROR_TYPE].flatMap((attribute) => {
    const readValue = reader(attribute, [...treatment, ...details.others]);
    const value = mostFrequent(treatment.map(readValue));
    if (value === undefined || (attribute === ERROR_TYPE && SAYS_NOTHING.has(value))) return [];
    const share = (list: readonly OutcomeDetail[]) => ({
      count: list.filter((detail) => readValue(detail) === value).length,
      of: list.length,
    });
    // The control has none of the treatment's variants: they are compared among themselves.
    const others = details.others.filter(({ arm }) => attribute !== VARIANT || arm === 'treatment');
    return [
      {
        attribute,
        value,
        treatment: share(treatment),
        control: share(control),
        others: share(others),
      },
    ];
  });
  return found
    .filter((each) => rate(each.treatment) >= MIN_SHARE && excessOf(each) >= MIN_EXCESS)
    .sort((a, b) => excessOf(b) - excessOf(a))
    .slice(0, MAX_CONCENTRATIONS);
}

/** An error type is compared with the control's failures: other outcomes have none. */
function excessOf({ attribute, treatment, control, others }: Concentration): number {
  const elsewhere = attribute === ERROR_TYPE ? control : others;
  return rate(treatment) - rate(elsewhere);
}

function rate({ count, of }: Concentration['treatment']): number {
  return of === 0 ? 0 : count / of;
}

/** How an attribute is read as text; numbers that differ from one outcome to the next as a range. */
function reader(
  attribute: string,
  all: readonly OutcomeDetail[],
): (detail: OutcomeDetail) => string | undefined {
  if (attribute === ERROR_TYPE) return ({ errorType }) => errorType;
  const numbers = new Set<number>();
  for (const { attributes } of all) {
    const value = attributes?.[attribute];
    if (typeof value === 'number') numbers.add(value);
  }
  const inRanges = numbers.size > MAX_NUMBERS;
  return ({ attributes }) => {
    const value = attributes?.[attribute];
    if (value === undefined) return undefined;
    return typeof value === 'number' && inRanges ? rangeOf(value) : String(value);
  };
}

function rangeOf(value: number): string {
  if (!(value > 0)) return value === 0 ? '0' : 'below 0';
  const lower = 2 ** Math.floor(Math.log2(value));
  return `${lower}–${lower * 2}`;
}

function mostFrequent(values: readonly (string | undefined)[]): string | undefined {
  const counts = new Map<string, number>();
  for (const value of values) if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1);
  let best: string | undefined;
  for (const [value, count] of counts) if (best === undefined || count > counts.get(best)!) best = value;
  return best;
}
