const UNITS_UP_TO_HOURS = [
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
] as const;

/** A length of time in the largest unit that keeps it whole: `5 min`, `90 s`, `1 h`. */
export function formatDuration(durationMs: number): string {
  for (const [unit, unitMs] of UNITS_UP_TO_HOURS) {
    if (durationMs >= unitMs && durationMs % unitMs === 0) return `${durationMs / unitMs} ${unit}`;
  }
  return durationMs >= 1000 ? `${(durationMs / 1000).toFixed(1)} s` : `${Math.round(durationMs)} ms`;
}

/** About how long: `3 d 4 h`, `12 min`, `40 s`. */
export function formatSpan(durationMs: number): string {
  const minutes = Math.round(durationMs / 60_000);
  if (minutes < 2) return formatDuration(Math.round(durationMs / 1000) * 1000);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48
    ? `${hours} h`
    : `${Math.floor(hours / 24)} d${hours % 24 === 0 ? '' : ` ${hours % 24} h`}`;
}

/** A decision, or what has its words. Its reason has the messages of its verdicts, and then where the treatment fails. */
interface Reasoned {
  readonly reason: string;
  readonly verdicts: readonly { readonly message: string }[];
}

/** Why a flag was stopped, for a title: of several triggers the first, and as {@link plainReason}. */
export function briefReason({ reason, verdicts }: Reasoned): string {
  const others = verdicts.length - 1;
  return withoutFigures(reason, verdicts, ([first = '']) =>
    others < 1 ? first : `${first.replace(/\.$/, '')}, and ${countOf(others, 'more trigger')} breached.`,
  );
}

/** Why a flag was stopped, for an operator: without the figures of the tests, which follow after a semicolon. */
export function plainReason({ reason, verdicts }: Reasoned): string {
  return withoutFigures(reason, verdicts, (messages) => messages.join(' '));
}

function withoutFigures(
  reason: string,
  verdicts: Reasoned['verdicts'],
  joined: (messages: readonly string[]) => string,
): string {
  const all = verdicts.map(({ message }) => message);
  const whole = all.join(' ');
  if (all.length === 0 || !reason.startsWith(whole)) return reason;
  const plain = all.map((message) => `${message.split('; the evidence E ', 1)[0]!.replace(/\.$/, '')}.`);
  return `${joined(plain)}${reason.slice(whole.length)}`;
}

/**
 * A verdict in a word or two. Beyond its threshold, a trigger is ok only because of what it says here: `ok, not proven` before its test
 * agrees, `ok, shared outage` when the control fails alike.
 */
export function verdictWord(verdict: {
  readonly status: 'ok' | 'insufficient-data' | 'breach';
  readonly observed?: number | undefined;
  readonly threshold: number;
  readonly rate?: 'success' | 'error' | undefined;
  readonly blame?: string | undefined;
  readonly evidence?: object | undefined;
}): string {
  const { status, observed, threshold, rate, blame, evidence } = verdict;
  if (status === 'insufficient-data') return 'not enough data';
  if (status === 'breach' || observed === undefined) return status;
  if (blame === 'shared') return 'ok, shared outage';
  const isBeyond = rate === 'success' ? observed < threshold : observed > threshold;
  return isBeyond && (blame === 'unproven' || evidence !== undefined) ? 'ok, not proven' : 'ok';
}

/** How long ago something was, in the largest unit of which there are two: `90 s ago`, `3 h ago`, `12 d ago`. */
export function formatAgo(ageMs: number): string {
  for (const [unit, unitMs] of [['d', 86_400_000] as const, ...UNITS_UP_TO_HOURS]) {
    if (ageMs >= 2 * unitMs) return `${Math.floor(ageMs / unitMs)} ${unit} ago`;
  }
  return `${Math.max(0, Math.floor(ageMs / 1000))} s ago`;
}

/** A time, for messages that are read within a day or later: `10:42 UTC`, `26 Nov 10:42 UTC`. */
export function formatTime(at: number, now: number): string {
  const date = new Date(at);
  const time = `${date.toISOString().slice(11, 16)} UTC`;
  if (Math.abs(now - at) < 43_200_000) return time;
  const month = date.toLocaleString('en-GB', { month: 'short', timeZone: 'UTC' });
  return `${date.getUTCDate()} ${month} ${time}`;
}

/** A time for an operator, in UTC and to the minute: `2026-03-01 12:00 UTC`. */
export function formatDate(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** `in the last 5 min` */
export function inLast(windowMs: number): string {
  return `in the last ${formatDuration(windowMs)}`;
}

/** A fraction as a percentage without meaningless digits: `95 %`, `99.5 %`. */
export function formatThreshold(rate: number): string {
  return `${Number((rate * 100).toPrecision(12))} %`;
}

/**
 * A fraction as a percentage with one decimal, and with more where rounding would make it look equal to the threshold
 * that it is compared with: `95.0 %` is not below 95 %, `94.996 %` is.
 */
export function formatRate(rate: number, threshold: number): string {
  let decimals = 1;
  while (decimals < 8 && rate !== threshold && sameWhenRounded(rate, threshold, decimals)) decimals += 1;
  return `${(rate * 100).toFixed(decimals)} %`;
}

function sameWhenRounded(a: number, b: number, decimals: number): boolean {
  // Most rates are far from their threshold, and two roundings would be the most costly part of a verdict.
  return Math.abs(a - b) < 0.01 && (a * 100).toFixed(decimals) === (b * 100).toFixed(decimals);
}

/** A count with commas between thousands: `2,000`. */
export function formatCount(count: number): string {
  return count < 1_000 ? String(count) : String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 outcome`, `2,000 outcomes` */
export function countOf(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** `a, b and 3 more`: of many names, those for which a message has room. */
export function formatNames(names: readonly string[], most: number): string {
  const shown = names.slice(0, most).join(', ');
  return names.length > most ? `${shown} and ${formatCount(names.length - most)} more` : shown;
}

/** `a and 2 other flags`: flags of which a message names one. */
export function formatFlags(first: string, others: number): string {
  return others === 0 ? first : `${first} and ${others} other flag${others === 1 ? '' : 's'}`;
}

/** Bytes as mebibytes: `128.0 MiB`. */
export function formatBytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/** What a number is; `none` when that is not known. */
type QuantityUnit = 'fraction' | 'ratio' | 'ms' | 'count' | 'bytes' | 'none';

/**
 * A value with its unit: `94.2 %`, `2.1×`, `842 ms`, `3`, `128.0 MiB`.
 *
 * @param comparedWith - Gets as many digits as it takes to distinguish the two, as `formatRate` does.
 */
export function formatQuantity(value: number, unit: QuantityUnit, comparedWith = Number.NaN): string {
  switch (unit) {
    case 'fraction':
      return Number.isNaN(comparedWith) ? formatThreshold(value) : formatRate(value, comparedWith);
    case 'ratio':
      return `${significant(value, comparedWith, 3)}×`;
    case 'ms':
      return value >= 10_000
        ? `${significant(value / 1000, comparedWith / 1000, 3)} s`
        : `${significant(value, comparedWith, 3)} ms`;
    case 'bytes':
      return formatBytes(value);
    case 'count':
    case 'none':
      return significant(value, comparedWith, 4);
  }
}

/** With so many digits, whole numbers whole, and with more where rounding would hide a difference. */
function significant(value: number, comparedWith: number, digits: number): string {
  const rounded = (number: number, precision: number) =>
    Math.abs(number) >= 10 ** precision ? Math.round(number) : Number(number.toPrecision(precision));
  let precision = digits;
  while (
    precision < 15 &&
    value !== comparedWith &&
    rounded(value, precision) === rounded(comparedWith, precision)
  ) {
    precision += 1;
  }
  return String(rounded(value, precision));
}

/**
 * What a verdict observed, and its threshold, with units: `94.2 %` and `95 %`. A test that compares the arms observes a difference of
 * their rates: `13.8 points`, as its message says.
 */
export function verdictFigures(verdict: {
  readonly observed?: number | undefined;
  readonly threshold: number;
  readonly unit: QuantityUnit;
  readonly rate?: 'success' | 'error' | undefined;
  readonly evidence?: object | undefined;
}): { readonly observed: string | undefined; readonly threshold: string } {
  const { observed, threshold, unit, rate, evidence } = verdict;
  const isDifference = unit === 'fraction' && rate === undefined && evidence !== undefined;
  const text = (value: number, comparedWith?: number) => {
    const quantity = formatQuantity(value, unit, comparedWith);
    return isDifference ? quantity.replace('%', quantity === '1 %' ? 'point' : 'points') : quantity;
  };
  return {
    observed: observed === undefined ? undefined : text(observed, threshold),
    threshold: text(threshold),
  };
}

/** How sure a test is of its breach: `at most 3.5 % of healthy rollouts ever get here`; undefined for what was compared directly. */
export function certaintyOf(verdict: {
  readonly status: string;
  readonly evidence?: { readonly alpha: number } | undefined;
}): string | undefined {
  if (verdict.status !== 'breach' || verdict.evidence === undefined) return undefined;
  return `at most ${formatThreshold(verdict.evidence.alpha)} of healthy rollouts ever get here`;
}

/** The evidence E of a test, or its limit, as the messages of verdicts have it: `0.687`, `132`, `2500`, `10^6`. */
export function formatEvidence(e: number): string {
  if (e > 442_413) return `10^${Math.floor(Math.log10(e) + 1e-9)}`;
  return String(e >= 100 ? Math.round(e) : Number(e.toPrecision(3)));
}

/** What an operator does next, wherever that is said. */
export const NEXT_STEP = {
  stopped:
    'Fix the cause and deploy; then set the percentage to begin with, and turn the flag on in Unleash: a new rollout begins.',
  gone: 'Unleash sends the service no such flag any more. To roll out further, have it there again; else remove the flag and its guard from the code.',
  steppedBack:
    'Fix the cause and deploy; then raise the percentage in Unleash: the guard does not raise it again by itself.',
  retried: 'The guard keeps trying.',
  review: 'Check it; then acknowledge the review, or turn the flag off.',
} as const;

/** How a decision ended that no operator has ended. */
export function whySuperseded(replacedBy: string | undefined): string {
  return replacedBy === undefined
    ? 'It came too late for the fleet: an operator had turned the flag on since, or another process led the fleet.'
    : 'Another decision applies in its place.';
}

/** Beside the percentage in Unleash, while a stop is not confirmed. */
export const STILL_ON = 'in Unleash; the service gives all users the control';

/** A request that did not turn the flag off, and whether only an operator can. */
interface StopFailed {
  readonly message: string;
  readonly requiresAction: boolean;
}

/** That a stop is not confirmed. */
export const NOT_OFF_YET = 'The flag is not off in Unleash yet.';

/** That a stop is not confirmed, why, and what follows. */
export function notOffYet(failure: StopFailed | undefined): string {
  return `${NOT_OFF_YET} ${whatFollows(failure)}`;
}

/** Who finishes a stop that is not confirmed. */
export function whatFollows(failure: StopFailed | undefined): string {
  if (failure === undefined) return 'The guard is turning it off.';
  return failure.requiresAction ? failure.message : `${NEXT_STEP.retried} ${failure.message}`;
}

/** For so long after a change of the percentage, outcomes may be under way. */
const FIRST_OUTCOME_MS = 60_000;

/** That the treatment has no outcome yet, and what to check; undefined when it has one, or cannot have any. */
export function noOutcomeYet({
  at,
  state,
  flag,
  epochStartedAt,
  arms,
}: {
  readonly at: number;
  readonly state: { readonly status: string };
  readonly flag?: { readonly enabled: boolean; readonly percentage?: number | undefined } | undefined;
  readonly epochStartedAt: number;
  readonly arms: {
    readonly treatment: { readonly counts: { readonly successes: number; readonly failures: number } };
  };
}): string | undefined {
  const { successes, failures } = arms.treatment.counts;
  if (state.status !== 'armed' || flag?.enabled !== true || successes + failures > 0) return undefined;
  const fact = 'No outcome of the treatment has arrived yet.';
  return flag.percentage === 0 || at - epochStartedAt < FIRST_OUTCOME_MS
    ? fact
    : `${fact} If users get it, check that new OutcomeHook(guard) is registered, and that the code runs through guard.operation() or reports its end with client.track().`;
}

interface BothArms<Each> {
  readonly treatment: Each;
  readonly control: Each;
}

/** An arm's figures, of which only the counts are sure to be there. */
type ShownArm<ArmView extends { readonly counts: unknown }> = Partial<ArmView> & Pick<ArmView, 'counts'>;

/**
 * Both arms as they are shown. A stop begins an epoch, in which nothing is counted: then, as they were when it was decided, and their
 * counts are all that is known of them.
 */
export function shownArms<
  ArmView extends { readonly counts: { readonly successes: number; readonly failures: number } },
>({
  state,
  arms,
}: {
  readonly state:
    | { readonly status: 'armed' }
    | {
        readonly status: 'stopping' | 'stopped';
        readonly decision: { readonly at: number; readonly counts: BothArms<ArmView['counts']> };
      };
  readonly arms: BothArms<ArmView>;
}): {
  readonly arms: BothArms<ShownArm<ArmView>>;
  /** When it was decided, if that is what they show. */
  readonly decidedAt: number | undefined;
} {
  const { successes, failures } = arms.treatment.counts;
  if (state.status === 'armed' || successes + failures > 0) return { arms, decidedAt: undefined };
  const { at, counts } = state.decision;
  const of = (each: ArmView['counts']) => ({ counts: each }) as ShownArm<ArmView>;
  return { arms: { treatment: of(counts.treatment), control: of(counts.control) }, decidedAt: at };
}

/** What the numbers of each kind of metric are. */
export const METRIC_WORDS = {
  conversion: 'share of users who did it',
  numeric: 'mean of the values',
  ratio: 'mean of the ratios',
} as const;
