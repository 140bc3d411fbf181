/** What must hold at the end; printed, and the exit code when something does not. */
export class Claims {
  readonly #lines: string[] = [];
  #broken = 0;

  /** Adds a claim. */
  holds(what: string, holds: boolean): void {
    if (!holds) this.#broken++;
    this.#lines.push(`  ${holds ? '✔' : '✘'} ${what}`);
  }

  /** Adds a claim that two counts are the same. */
  equal(what: string, actual: number, expected: number): void {
    const numbers = actual === expected ? `${actual}` : `${actual}, and not ${expected}`;
    this.holds(`${what}: ${numbers}`, actual === expected);
  }

  /** Prints all of them and sets the exit code. */
  print(): void {
    console.log(`\n${this.#lines.join('\n')}`);
    if (this.#broken > 0) process.exitCode = 1;
  }
}
