import { Readable } from 'node:stream';
import { isGeneratorObject } from 'node:util/types';

/**
 * An arm failed after it had read from its input, a stream or a body that can be read only once: nothing else can run on it.
 * The arm's error is its `cause`.
 */
export class ConsumedInputError extends Error {
  readonly code = 'INPUT_CONSUMED';
  override readonly name = 'ConsumedInputError';

  constructor(cause: unknown) {
    super(
      'The treatment failed after it had read from its input, so the control cannot serve the user with it. ' +
        'Give the operation an option `input` that makes the input anew for each attempt.',
      { cause },
    );
  }
}

/** Whether `error` is a {@link ConsumedInputError}; works across copies of this package. */
export function isConsumedInputError(error: unknown): error is ConsumedInputError {
  return error instanceof Error && 'code' in error && error.code === 'INPUT_CONSUMED';
}

/** Values of an input that are searched for streams, altogether: it may be a large document. */
const MOST_VALUES = 64;
const DEEPEST = 2;
const NONE: readonly object[] = [];

/**
 * The streams, bodies and generators in an input that can be read only once, and have not been read yet: the input itself,
 * its properties, and theirs. Never throws.
 */
export function unreadSources(input: unknown): readonly object[] {
  if (typeof input !== 'object' || input === null) return NONE;
  const sources: object[] = [];
  try {
    collect(input, 0, { left: MOST_VALUES }, sources);
  } catch {
    // A getter or a proxy of the user's may throw: what it hides cannot be watched.
  }
  return sources;
}

/** Whether any of these has been read since; of a generator that is not known, and it is taken for read. */
export function areConsumed(sources: readonly object[]): boolean {
  return sources.some((source) => isGeneratorObject(source) || isRead(source));
}

function collect(value: object, depth: number, budget: { left: number }, sources: object[]): void {
  if (isSource(value)) {
    if (!isRead(value)) sources.push(value);
    return;
  }
  if (depth === DEEPEST || ArrayBuffer.isView(value)) return;
  for (const key in value) {
    if (budget.left-- <= 0) return;
    const inner = (value as Record<string, unknown>)[key];
    if (typeof inner === 'object' && inner !== null) collect(inner, depth + 1, budget, sources);
  }
}

function isSource(value: object): boolean {
  return (
    value instanceof Readable || value instanceof ReadableStream || isBody(value) || isGeneratorObject(value)
  );
}

/** `Request`, `Response` and their look-alikes. */
function isBody(value: object): value is { readonly bodyUsed: boolean } {
  return 'bodyUsed' in value && typeof value.bodyUsed === 'boolean';
}

function isRead(source: object): boolean {
  if (isBody(source)) return source.bodyUsed;
  if (source instanceof ReadableStream && source.locked) return true;
  return Readable.isDisturbed(source as Readable);
}
