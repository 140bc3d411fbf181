/** What must be true at the end: printed, with an exit code when something is not. */
export class Claims {
  readonly #lines: string[] = [];
  #broken = 0;

  /** Adds a claim. */
  isTrue(what: string, seen: boolean): void {
    if (!seen) this.#broken++;
    this.#lines.push(`  ${seen ? '✔' : '✘'} ${what}`);
  }

  /** Adds a claim that two counts are the same. */
  equal(what: string, actual: number, expected: number): void {
    const numbers = actual === expected ? `${actual}` : `${actual}, and not ${expected}`;
    this.isTrue(`${what}: ${numbers}`, actual === expected);
  }

  /** Prints all of them and sets the exit code. */
  print(): void {
    console.log(`\n${this.#lines.join('\n')}`);
    if (this.#broken > 0) process.exitCode = 1;
  }
}
