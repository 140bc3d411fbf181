const isInstance = Function.prototype[Symbol.hasInstance];

/**
 * Has `instanceof` recognise the errors of another copy of this package. There are two copies where two versions are installed, and where a
 * test runner resets modules after the package was loaded.
 *
 * @param isOne - Recognises such an error by what it has.
 */
export function recognizeCopies(
  kind: abstract new (...args: never[]) => Error,
  isOne: (value: unknown) => boolean,
): void {
  Object.defineProperty(kind, Symbol.hasInstance, {
    value(this: typeof kind, value: unknown): boolean {
      // A class that extends it inherits this.
      return this === kind ? isOne(value) : isInstance.call(this, value);
    },
  });
}
