interface Article {
  readonly title: string;
  readonly year: number;
  /** Unknown on its first day. */
  readonly views?: { readonly perDay: number };
}

const ARTICLES: readonly Article[] = [
  { title: 'Guide to old maps', year: 2019, views: { perDay: 12 } },
  { title: 'Guide to the world', year: 2024, views: { perDay: 310 } },
  { title: 'Guide to tomorrow', year: 2026 },
  { title: 'How to cook rice', year: 2022, views: { perDay: 95 } },
  { title: 'How to cook less', year: 2025, views: { perDay: 40 } },
];

type Ranking = (found: readonly Article[]) => readonly Article[];

/** As they were written: what all users had before. */
const plain: Ranking = (found) => found;
const recent: Ranking = (found) => [...found].sort((a, b) => b.year - a.year);
/** It fails for an article that has no views yet. */
const popular: Ranking = (found) => [...found].sort((a, b) => b.views!.perDay - a.views!.perDay);

/** By the names of the flag's variants. */
const RANKINGS: ReadonlyMap<string, Ranking> = new Map([
  ['plain', plain],
  ['recent', recent],
  ['popular', popular],
]);

/** What a user finds, and how it was ranked. */
export interface Found {
  readonly ranking: string;
  readonly titles: readonly string[];
}

/** @throws RangeError for a variant that Unleash has, and this code does not. */
export function search(query: string, ranking: string): Found {
  const rank = RANKINGS.get(ranking);
  if (rank === undefined) throw new RangeError(`There is no ranking ${ranking}.`);
  const found = ARTICLES.filter(({ title }) => title.toLowerCase().includes(query.toLowerCase()));
  return { ranking, titles: rank(found).map(({ title }) => title) };
}
