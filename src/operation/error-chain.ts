/** Causes are followed so far and no further: chains can be long, or circular. */
const MAX_ERRORS = 8;

/**
 * The error and what caused it, outermost first: its `cause` before the parts of an `AggregateError`, at most eight
 * altogether. Anything may be thrown, so what is neither an object nor a function gives an empty chain.
 */
export function errorChain(error: unknown): readonly object[] {
  const chain: object[] = [];
  const waiting: unknown[] = [error];
  while (waiting.length > 0 && chain.length < MAX_ERRORS) {
    const next = waiting.shift();
    if (typeof next !== 'object' || next === null || chain.includes(next)) continue;
    chain.push(next);
    const parts = property(next, 'errors');
    waiting.unshift(property(next, 'cause'), ...(Array.isArray(parts) ? parts.slice(0, MAX_ERRORS) : []));
  }
  return chain;
}

/** A property of a foreign object, whose getters and proxies may throw. */
export function property(of: object, name: string): unknown {
  try {
    return (of as Record<string, unknown>)[name];
  } catch {
    return undefined;
  }
}

/** Names and codes are identifiers; whatever holds a space or is longer may be a message. */
const IDENTIFIER = /^[A-Za-z_$][\w$.:-]{0,63}$/;

function identifier(value: unknown): string | undefined {
  return typeof value === 'string' && IDENTIFIER.test(value) ? value : undefined;
}

/** The error's own code, such as `ECONNRESET`. Numbers are left out: they mean something else in every library. */
export function errorCode(error: object): string | undefined {
  return identifier(property(error, 'code'));
}

/** The error's class: its `name` where one was set, else the name of its constructor. */
export function errorName(error: object): string | undefined {
  const name = identifier(property(error, 'name'));
  if (name !== undefined && name !== 'Error') return name;
  const type = property(error, 'constructor');
  const className = typeof type === 'function' ? identifier(property(type, 'name')) : undefined;
  // A plain object's class says nothing, not even that it is an error.
  return className === 'Object' ? name : (className ?? name);
}

/** Whether the error's class, or one that it extends, has one of these names. */
export function hasClassNamed(error: object, names: ReadonlySet<string>): boolean {
  const ownName = errorName(error);
  if (ownName !== undefined && names.has(ownName)) return true;
  try {
    let prototype: object | null = Object.getPrototypeOf(error);
    for (let depth = 0; depth < MAX_ERRORS && prototype !== null; depth++) {
      if (names.has(prototype.constructor.name)) return true;
      prototype = Object.getPrototypeOf(prototype);
    }
  } catch {
    // A proxy's traps may throw, and a prototype may lack a constructor: then it has no name that anyone gave.
  }
  return false;
}

/** The HTTP status that an error carries, in any of the usual places. */
export function errorStatus(error: object): number | undefined {
  const response = property(error, 'response') ?? property(error, '$metadata');
  const carriers = typeof response === 'object' && response !== null ? [error, response] : [error];
  for (const carrier of carriers) {
    for (const name of ['status', 'statusCode', 'httpStatusCode']) {
      const status = property(carrier, name);
      if (typeof status === 'number' && Number.isInteger(status) && status >= 100 && status < 600)
        return status;
    }
  }
  return undefined;
}
