/**
 * Resolves at the first Ctrl-C or `SIGTERM`. Later ones change nothing: the terminal signals a whole group of
 * processes, and npm and tsx forward a signal that each of them has received already.
 */
export function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve());
  });
}
