import { Readable } from 'node:stream';
import { isGeneratorObject } from 'node:util/types';
import { recognizeCopies } from '../support/data/kind.js';

/**
 * An arm failed after it had read from its input, a stream or a body that can be read only once: nothing else can run on it.
 * The arm's error is its `cause`.
 */
export class ConsumedInputError extends Error {
  /** Always the same; {@link isConsumedInputError} recognises the error. */
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

recognizeCopies(ConsumedInputError, isConsumedInputError);

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
  const search: Search = { left: MOST_VALUES, found: [] };
  try {
    collect(input, 0, search);
  } catch {
    // A getter or a proxy of the user's may throw: what it hides cannot be watched.
  }
  return search.found;
}

/** Whether any of these has been read since; of a generator that is not known, and it is taken for read. */
export function areConsumed(sources: readonly object[]): boolean {
  return sources.some((source) => isGeneratorObject(source) || isRead(source));
}

interface Search {
  left: number;
  readonly found: object[];
}

/** Runs in every call: most inputs are plain objects, and what a class may be costs more to find out than all the rest. */
function collect(value: object, depth: number, search: Search): void {
  const isList = Array.isArray(value);
  if (!isList && value.constructor !== Object) {
    if (isSource(value)) {
      if (!isRead(value)) search.found.push(value);
      return;
    }
    if (ArrayBuffer.isView(value)) return;
  }
  if (depth === DEEPEST) return;
  if (isList) {
    // By its numbers: the keys of a list are texts, which would be made first.
    for (let index = 0; index < value.length; index++) {
      if (!collectFrom(value[index], depth, search)) return;
    }
    return;
  }
  for (const key in value) {
    if (!collectFrom((value as Record<string, unknown>)[key], depth, search)) return;
  }
}

/** @returns whether more values may be searched. */
function collectFrom(inner: unknown, depth: number, search: Search): boolean {
  if (typeof inner === 'object' && inner !== null) collect(inner, depth + 1, search);
  return --search.left > 0;
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
