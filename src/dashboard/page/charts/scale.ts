interface Shown {
  /** All of them must be seen. */
  readonly values: readonly number[];
  /** Seen as far as that does not flatten the values: upper ends of intervals. */
  readonly soft: readonly number[];
  /** Seen when they are near enough, or when that is asked for. */
  readonly thresholds: readonly number[];
  readonly withAllThresholds: boolean;
  readonly least: number;
  readonly most?: number;
}

/** A threshold that is further above the data than so many times them would flatten the arms into one line. */
const NEAR = 2.5;

/** Where an axis that begins at 0 ends: at four round steps. */
export function axisTop(shown: Shown): number {
  const { values, soft, thresholds, withAllThresholds, least, most = Number.POSITIVE_INFINITY } = shown;
  const value = values.reduce((a, b) => Math.max(a, b), 0);
  const upper = soft.reduce((a, b) => Math.max(a, b), 0);
  const data = Math.max(least, value, Math.min(upper, 1.6 * value));
  const near = thresholds.filter((threshold) => withAllThresholds || threshold <= NEAR * data);
  const highest = near.reduce((a, b) => Math.max(a, b), data);
  return Math.min(most, 4 * roundStep((highest * 1.08) / 4));
}

/** The next 1, 2, 2.5 or 5 of its power of ten. */
function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  const factor =
    [1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10].find((each) => each * power >= step - 1e-12 * power) ?? 10;
  return Number((factor * power).toPrecision(6));
}
