import { z } from 'zod';
import { describeReceived } from './config-received.js';
import { recognizeCopies } from './data/kind.js';
import { countOf } from './wording.js';

/** One thing that is wrong with a configuration. It contains no secret: `got` is text that may be shown. */
export interface ConfigProblem {
  /** Where, for example `unleash.url` or `stages[2].percentage`; empty for the value as a whole. */
  readonly path: string;
  /** What would have been right, for example `a fraction 0–1`. */
  readonly expected: string;
  /** What came, as text; a secret's value is never part of it. */
  readonly got: string;
  /** What was probably meant, for example `did you mean 0.95?`. */
  readonly hint?: string;
}

/** A configuration that cannot be used. It lists every problem, not only the first. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** Always the same; {@link isConfigError} recognises the error. */
  readonly code = 'INVALID_CONFIG';
  /** Everything that is wrong, in the order of the fields. */
  readonly problems: readonly ConfigProblem[];

  /**
   * @param what - What was configured, for example `RolloutGuard` or `successRateBelow`.
   * @param problems - At least one problem.
   */
  constructor(what: string, problems: readonly ConfigProblem[]) {
    super(describeProblems(what, problems));
    this.problems = problems;
  }
}

/** Whether an error is a {@link ConfigError}; works across copies of this package. */
export function isConfigError(error: unknown): error is ConfigError {
  return error instanceof Error && 'code' in error && error.code === 'INVALID_CONFIG' && 'problems' in error;
}

recognizeCopies(ConfigError, isConfigError);

/**
 * Checks `value` against `schema` and returns what the schema makes of it, defaults filled in.
 *
 * A schema's own error text is read as *what was expected* (`z.number({ error: 'a fraction 0–1' })`), and must not
 * repeat the value, which is added (or withheld) here. A custom issue may carry a hint in `params.hint`.
 *
 * @param what - What is being configured; the message begins with it.
 * @throws {@link ConfigError} that lists every problem, unknown keys of strict objects included.
 */
export function parseConfig<S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  // Options are checked once: to compile code for them takes longer than to check them.
  const parsed = schema.safeParse(value, { error: expectedFor, reportInput: true, jitless: true });
  if (parsed.success) return parsed.data;
  throw new ConfigError(
    what,
    parsed.error.issues.flatMap((issue) => problemsOf(issue, [], value)),
  );
}

/** Whether a value has fields by name, which a list has not. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether a value has functions of all these names. */
export function hasMethods(value: unknown, names: readonly string[]): boolean {
  return names.every((name) => typeof Object(value)[name] === 'function');
}

/** What was made, or why it was not. */
export interface Attempt<T> {
  readonly made: T | undefined;
  readonly problems: readonly ConfigProblem[];
}

/**
 * Makes a part of something from its configuration, and collects what is wrong with it.
 *
 * @param place - Where a path of that part is in the whole configuration.
 * @throws what `make` throws beside a {@link ConfigError}.
 */
export function attempt<T>(make: () => T, place = (path: string) => path): Attempt<T> {
  try {
    return { made: make(), problems: [] };
  } catch (error) {
    if (!isConfigError(error)) throw error;
    const problems = error.problems.map((problem) => ({ ...problem, path: place(problem.path) }));
    return { made: undefined, problems };
  }
}

/**
 * Throws when there is any problem. Of two about the same field, or one of which is about a field within the other's, the
 * first is reported.
 *
 * @throws {@link ConfigError} that lists the problems.
 */
export function throwProblems(what: string, problems: readonly ConfigProblem[]): void {
  const reported: ConfigProblem[] = [];
  for (const problem of problems) {
    const isKnown = reported.some(({ path }) => contains(path, problem.path) || contains(problem.path, path));
    if (!isKnown) reported.push(problem);
  }
  if (reported.length > 0) throw new ConfigError(what, reported);
}

function contains(outer: string, path: string): boolean {
  return path === outer || path.startsWith(`${outer}.`) || path.startsWith(`${outer}[`);
}

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

function problemsOf(issue: Issue, parent: Path, root: unknown): ConfigProblem[] {
  const path = [...parent, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => problem([...path, key], issue.message, 'an unknown option'));
  }
  if (issue.code === 'invalid_union') {
    const branch = closestBranch(issue.errors);
    if (branch !== undefined) return branch.flatMap((inner) => problemsOf(inner, path, root));
  }
  const hint = issue.code === 'custom' ? issue.params?.hint : undefined;
  const received = describeReceived(valueAt(root, path), path);
  return [problem(path, issue.message, received, typeof hint === 'string' ? hint : undefined)];
}

function problem(path: Path, expected: string, got: string, hint?: string): ConfigProblem {
  const base = { path: formatPath(path), expected, got };
  return hint === undefined ? base : { ...base, hint };
}

/** The one branch of a union whose outer type fits the value, so that its inner problems are worth listing. */
function closestBranch(branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  const fitting = branches.filter((issues) =>
    issues.every((issue) => issue.path.length > 0 || issue.code === 'unrecognized_keys'),
  );
  return fitting.length === 1 ? fitting[0] : undefined;
}

/** Zod's contextual error map: names what was expected wherever a schema does not. */
function expectedFor(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return withArticle(issue.format === 'safeint' ? 'integer' : issue.expected);
    case 'invalid_value':
      return oneOf(issue.values);
    case 'too_small':
      return bound(issue.inclusive === false ? 'more than' : 'at least', issue.minimum, issue.origin);
    case 'too_big':
      return bound(issue.inclusive === false ? 'less than' : 'at most', issue.maximum, issue.origin);
    case 'not_multiple_of':
      return `a multiple of ${issue.divisor}`;
    case 'invalid_format':
      return issue.format === 'regex' ? `text like ${issue.pattern}` : `a valid ${issue.format}`;
    case 'unrecognized_keys':
      return knownKeys(issue.inst);
    case 'invalid_union':
      if (Array.isArray(issue.options)) return oneOf(issue.options);
      return issue.errors.map((errors) => errors.map(({ message }) => message).join(' and ')).join(', or ');
    default:
      return 'a valid value';
  }
}

function knownKeys(schema: z.core.$ZodRawIssue['inst']): string {
  if (!(schema instanceof z.ZodObject)) return 'no further option';
  // A field of which nothing is accepted is there for its message.
  const known = Object.keys(schema.shape).filter((name) => !acceptsNothing(schema.shape[name]));
  return oneOf(known);
}

function acceptsNothing(field: unknown): boolean {
  return field instanceof z.ZodOptional && field.unwrap() instanceof z.ZodUndefined;
}

function oneOf(values: readonly unknown[]): string {
  return values.length === 1 ? String(values[0]) : `one of ${values.map(String).join(', ')}`;
}

function bound(relation: string, limit: number | bigint, origin: string): string {
  if (origin === 'number' || origin === 'int' || origin === 'bigint') return `${relation} ${limit}`;
  return `${relation} ${countOf(Number(limit), origin === 'string' ? 'character' : 'item')}`;
}

function withArticle(noun: string): string {
  return `${/^[aeiou]/.test(noun) ? 'an' : 'a'} ${noun}`;
}

function formatPath(path: Path): string {
  return path
    .map((key, depth) => (typeof key === 'number' ? `[${key}]` : `${depth === 0 ? '' : '.'}${String(key)}`))
    .join('');
}

function valueAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined,
    root,
  );
}

function describeProblems(what: string, problems: readonly ConfigProblem[]): string {
  const lines = problems.map(({ path, expected, got, hint }) => {
    const sentence = `${path === '' ? '' : `${path}: `}expected ${expected}, got ${got}`;
    return hint === undefined ? sentence : `${sentence}; ${hint}`;
  });
  return lines.length === 1
    ? `Invalid ${what}: ${lines[0]}`
    : `Invalid ${what}: ${lines.length} problems\n${lines.map((line) => `  - ${line}`).join('\n')}`;
}
