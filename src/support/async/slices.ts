/** So long calls follow one another without a pause, in milliseconds; requests are served between two such slices. */
const SLICE_MS = 5;

/** As {@link inSlices}, for who waits for the end. @throws what `run` throws. */
export async function eachInSlices<Item>(items: readonly Item[], run: (item: Item) => void): Promise<void> {
  let startedAt = performance.now();
  for (const item of items) {
    run(item);
    if (performance.now() - startedAt < SLICE_MS) continue;
    await new Promise((resolve) => setImmediate(resolve));
    startedAt = performance.now();
  }
}

/**
 * Calls `run` with each item, which must not throw. However many there are, they do not block the event loop: after a few milliseconds the
 * rest waits for its next turn.
 *
 * @param done - Called after the last one, in its turn.
 */
export function inSlices<Item>(
  items: readonly Item[],
  run: (item: Item) => void,
  done: () => void,
  from = 0,
): void {
  const startedAt = performance.now();
  for (let index = from; index < items.length; index++) {
    run(items[index]!);
    if (performance.now() - startedAt < SLICE_MS || index + 1 === items.length) continue;
    setImmediate(inSlices<Item>, items, run, done, index + 1);
    return;
  }
  done();
}
