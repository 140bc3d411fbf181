/** Behind the `#`, so that the page works below any path, and each decision has an address of its own. */
export type Route =
  | { readonly page: 'overview' }
  | { readonly page: 'flag'; readonly flagKey: string }
  | { readonly page: 'decision'; readonly flagKey: string; readonly id: string }
  | { readonly page: 'unknown' };

export function routeOf(hash: string): Route {
  const parts = hash.replace(/^#\/?/, '').split('/').map(decoded);
  const [flags, flagKey, decisions, id] = parts;
  if (parts.length === 1 && flags === '') return { page: 'overview' };
  if (flags !== 'flags' || flagKey === undefined || flagKey === '') return { page: 'unknown' };
  if (parts.length === 2) return { page: 'flag', flagKey };
  if (parts.length === 4 && decisions === 'decisions' && id !== undefined && id !== '') {
    return { page: 'decision', flagKey, id };
  }
  return { page: 'unknown' };
}

export const OVERVIEW = '#/';

export function flagHref(flagKey: string): string {
  return `#/flags/${encodeURIComponent(flagKey)}`;
}

export function decisionHref(flagKey: string, id: string): string {
  return `${flagHref(flagKey)}/decisions/${encodeURIComponent(id)}`;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
