import { ConfigError, type ConfigProblem, isConfigError } from '../../support/config-error.js';

/** What was made, or why it was not. */
export interface Attempt<T> {
  readonly made: T | undefined;
  readonly problems: readonly ConfigProblem[];
}

/**
 * Makes something of a part of a configuration, and keeps what is wrong with it for later.
 *
 * @param place - Where a path of that part is in the whole configuration.
 * @throws what `make` throws beside a ConfigError.
 */
export function attempt<T>(make: () => T, place = (path: string) => path): Attempt<T> {
  try {
    return { made: make(), problems: [] };
  } catch (error) {
    if (!isConfigError(error)) throw error;
    return {
      made: undefined,
      problems: error.problems.map((problem) => ({ ...problem, path: place(problem.path) })),
    };
  }
}

/**
 * Throws when there is any problem. Of two about the same field the first is told, and none about a field within one that
 * has a problem itself.
 *
 * @param what - What was configured.
 * @throws ConfigError that lists every problem.
 */
export function throwProblems(what: string, problems: readonly ConfigProblem[]): void {
  const told: ConfigProblem[] = [];
  for (const problem of problems) if (!told.some(({ path }) => holds(path, problem.path))) told.push(problem);
  if (told.length > 0) throw new ConfigError(what, told);
}

function holds(outer: string, path: string): boolean {
  return path === outer || path.startsWith(`${outer}.`) || path.startsWith(`${outer}[`);
}
