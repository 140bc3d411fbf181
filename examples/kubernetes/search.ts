const TITLES = ['C++ for cooks', 'Rust never sleeps', 'A short history of C', 'Go fish'];

/** The new path. Its queries are patterns, which the old path's are not. */
export function indexedSearch(query: string): string[] {
  const pattern = new RegExp(query, 'i');
  return TITLES.filter((title) => pattern.test(title));
}

/** The old path. */
export function scanningSearch(query: string): string[] {
  return TITLES.filter((title) => title.toLowerCase().includes(query.toLowerCase()));
}
