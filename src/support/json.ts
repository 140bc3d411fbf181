/** The value of a JSON text; undefined when it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Names that an object of a JSON text has twice, each with those around it: `JSON.parse` would drop the first without a word. */
export function namesTwice(json: string): readonly string[] {
  const open: { readonly names: Set<string>; last: string }[] = [];
  const found: string[] = [];
  for (const [token, text, isName] of json.matchAll(/("(?:[^"\\]|\\.)*")(\s*:)?|[{}[\]]/g)) {
    if (token === '{' || token === '[') open.push({ names: new Set(), last: '' });
    else if (token === '}' || token === ']') open.pop();
    const inner = open.at(-1);
    if (text === undefined || isName === undefined || inner === undefined) continue;
    inner.last = JSON.parse(text) as string;
    if (inner.names.has(inner.last)) found.push(open.flatMap(({ last }) => last || []).join('.'));
    inner.names.add(inner.last);
  }
  return found;
}
