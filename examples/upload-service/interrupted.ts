/**
 * Resolves at the first Ctrl-C or `SIGTERM`. Later ones change nothing: the terminal signals a whole group of
 * processes, and npm and tsx pass on once more what each of them has had already.
 */
export function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve());
  });
}
