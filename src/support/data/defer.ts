/** Has a property computed when it is first read. A guard evaluates after every outcome, and few of its results are read. */
export function defer<Key extends string, Value>(
  target: { [key in Key]: Value },
  key: Key,
  compute: () => Value,
): void {
  let value: { readonly computed: Value } | undefined;
  const get = () => {
    value ??= { computed: compute() };
    return value.computed;
  };
  Object.defineProperty(target, key, { get, enumerable: true });
}
