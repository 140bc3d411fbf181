import type { Stops, Traffic } from './simulation.js';

/** The chance of a false stop that every test gets here. */
export const ALPHA = 0.05;
export const SHARES = [0.01, 0.1, 0.5];
/** Enough outcomes for even the slowest scenario to end; the simulations of healthy rollouts are shorter. */
export const UNTIL_STOPPED = 400_000;

/** A titled table whose rows are computed one by one, so that progress can be shown. */
export interface Section {
  readonly key: string;
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (() => readonly string[])[];
}

/** The settings of one run of the benchmark, and what it found to be broken. */
export class Run {
  readonly replicates: number;
  /** For what is no promise, or costs most: a quarter of the replicates. */
  readonly fewer: number;
  readonly observations: number;
  readonly broken: string[] = [];
  readonly #seed: number;
  #rowSeed = 0;

  constructor(replicates: number, observations: number, seed: number) {
    this.replicates = replicates;
    this.fewer = Math.ceil(replicates / 4);
    this.observations = observations;
    this.#seed = seed;
  }

  /** Gives a row its own random numbers, whichever other rows run. */
  beginRow(section: string, row: number): void {
    this.#rowSeed = this.#seed + row;
    for (let i = 0; i < section.length; i++) {
      this.#rowSeed = Math.imul(this.#rowSeed ^ section.charCodeAt(i), 0x01000193);
    }
  }

  /** Traffic for the row's next simulation. */
  traffic(share: number): Traffic {
    const { replicates, observations } = this;
    return { seed: this.#rowSeed++, replicates, observations, share };
  }

  /** Shows a figure with its limit, and remembers it when it is above. */
  within(what: string, figure: number, limit: number, digits: number): string {
    if (figure <= limit) return `${figure.toFixed(digits)} (≤ ${limit.toFixed(digits)})`;
    this.broken.push(`${what}: ${figure.toFixed(digits)} is above ${limit.toFixed(digits)}`);
    return `**${figure.toFixed(digits)}** (> ${limit.toFixed(digits)})`;
  }

  /** Shows a rate of false stops, which must not be above alpha. */
  falseStops(what: string, stops: Stops): string {
    return this.within(`${what}: false stops`, stops.rate, ALPHA, 3);
  }
}

/** Median / 95th percentile. */
export function delays(stops: Stops): string {
  return `${stops.delay(0.5)} / ${stops.delay(0.95)}`;
}

export function percent(rate: number): string {
  return `${Number((rate * 100).toFixed(2))} %`;
}

/** A table in Markdown. */
export function table(
  title: string,
  columns: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [`\n### ${title}\n`, line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n');
}
