/** Below this the argument is moved up first; from here on the series is exact to a double. */
const SERIES_FROM = 10;
const HALF_LOG_TWO_PI = 0.5 * Math.log(2 * Math.PI);
/** B₂ₙ / (2n(2n − 1)), the coefficients of Stirling's series. */
const STIRLING = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400];
const LARGEST_TERMS = 10_000;

/**
 * The natural logarithm of the gamma function for `x > 0`: Stirling's series, after moving small arguments up by
 * Γ(x + 1) = x·Γ(x).
 *
 * Source: NIST Digital Library of Mathematical Functions, 5.5.1 and 5.11.1.
 */
export function logGamma(x: number): number {
  let shifted = x;
  let product = 1;
  while (shifted < SERIES_FROM) {
    product *= shifted;
    shifted++;
  }
  const inverse = 1 / shifted;
  const square = inverse * inverse;
  let series = 0;
  for (let i = STIRLING.length - 1; i >= 0; i--) series = series * square + STIRLING[i]!;
  return (
    (shifted - 0.5) * Math.log(shifted) - shifted + HALF_LOG_TWO_PI + series * inverse - Math.log(product)
  );
}

/** log B(a, b) for `a, b > 0`. */
export function logBeta(a: number, b: number): number {
  return logGamma(a) + logGamma(b) - logGamma(a + b);
}

/**
 * The logarithm of the regularised incomplete beta function Iₓ(a, b): the chance that a Beta(a, b) variable is at most
 * `x`. `a, b > 0`, `0 ≤ x ≤ 1`.
 *
 * Source: the continued fraction of NIST Digital Library of Mathematical Functions, 8.17.22, evaluated with Lentz's
 * method, on the side of the mean where it converges quickly.
 */
export function logIncompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return Number.NEGATIVE_INFINITY;
  if (x >= 1) return 0;
  if (x > (a + 1) / (a + b + 2)) return Math.log1p(-Math.exp(logIncompleteBeta(1 - x, b, a)));
  const front = a * Math.log(x) + b * Math.log1p(-x) - Math.log(a) - logBeta(a, b);
  return front - Math.log(betaFraction(x, a, b));
}

/** The denominator 1 + d₁/(1 + d₂/(1 + …)) of the continued fraction. */
function betaFraction(x: number, a: number, b: number): number {
  let value = 1;
  let c = 1;
  let d = 0;
  for (let term = 1; term <= LARGEST_TERMS; term++) {
    const m = term >> 1;
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    const coefficient = term % 2 === 0 ? even : odd;
    d = 1 / notZero(1 + coefficient * d);
    c = notZero(1 + coefficient / c);
    value *= c * d;
    if (Math.abs(c * d - 1) < 1e-15) break;
  }
  return value;
}

/** Lentz's method divides by these: an exact zero is moved aside by less than it can matter. */
function notZero(value: number): number {
  return Math.abs(value) < 1e-300 ? 1e-300 : value;
}
