/** One measured figure beside what was promised of it. */
export interface Figure {
  readonly what: string;
  readonly control: string;
  readonly treatment: string;
  /** What the treatment gains, in the promise's words. */
  readonly gain: string;
  readonly promised: string;
  readonly kept: boolean;
}

/** A group of figures, how they came about, and what explains them. */
export interface Section {
  readonly title: string;
  readonly setUp: string;
  readonly figures: readonly Figure[];
  readonly remarks: readonly string[];
}

/** «81 % less», against a promise of at least `promisedPercent`. */
export function less(
  what: string,
  control: number,
  treatment: number,
  unit: string,
  promisedPercent: readonly [number, number],
): Figure {
  const percent = (1 - treatment / control) * 100;
  return {
    what,
    control: `${short(control)} ${unit}`,
    treatment: `${short(treatment)} ${unit}`,
    gain: Number.isFinite(percent) ? `${percent.toFixed(0)} % less` : 'none to compare',
    promised:
      promisedPercent[0] === promisedPercent[1]
        ? `${promisedPercent[0]} % fewer`
        : `${promisedPercent[0]}–${promisedPercent[1]} % less`,
    kept: percent >= promisedPercent[0],
  };
}

/** «7.4 times», against a promise of at least the first number. */
export function times(
  what: string,
  control: number,
  treatment: number,
  unit: string,
  promised: readonly [number, number],
): Figure {
  return {
    what,
    control: `${short(control)} ${unit}`,
    treatment: `${short(treatment)} ${unit}`,
    gain: `${(treatment / control).toFixed(1)} times`,
    promised: `${promised[0]}–${promised[1]} times`,
    kept: treatment / control >= promised[0],
  };
}

const short = (value: number): string =>
  value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1);

/** Prints a section. */
export function print({ title, setUp, figures, remarks }: Section): void {
  console.log(`\n${title}\n${setUp}`);
  console.table(
    Object.fromEntries(
      figures.map(({ what, kept, ...rest }) => [what, { ...rest, kept: kept ? 'yes' : 'NO' }]),
    ),
  );
  for (const remark of remarks) console.log(`  ${remark}`);
}
