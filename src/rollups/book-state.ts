import { z } from 'zod';
import { ROLLUP_LENGTHS_MS } from './rollup.js';

/**
 * The lists in which a rollout is kept, on disk and in Redis: rollups of each length, and annotations. A list only grows, and what is too
 * much is removed from its beginning: minutes of at least a day, ten minutes of a week, hours of a year.
 */
export const SERIES = [
  { name: 'minutes', durationMs: ROLLUP_LENGTHS_MS[0], maxLines: 1_800 },
  { name: 'ten-minutes', durationMs: ROLLUP_LENGTHS_MS[1], maxLines: 1_200 },
  { name: 'hours', durationMs: ROLLUP_LENGTHS_MS[2], maxLines: 9_000 },
  { name: 'annotations', durationMs: 0, maxLines: 5_000 },
] as const;

/** The name of one of {@link SERIES}. */
export type SeriesName = (typeof SERIES)[number]['name'];

/** Those of rollups, ascending. */
export const LENGTHS = SERIES.filter(({ durationMs }) => durationMs > 0);
const SERIES_NAMES = SERIES.map(({ name }) => name);

export const pendingLineSchema = z.lazy(() =>
  z
    .object({
      series: z.enum(SERIES_NAMES),
      line: z.string(),
      /** When what it describes ended. */
      end: z.number(),
    })
    .readonly(),
);

/** A line that is to be added to its list. */
export type PendingLine = z.infer<typeof pendingLineSchema>;

export const bookStateSchema = z.lazy(() =>
  z
    .object({
      /** The rollups that are not over yet, as lines, one for each length at most. */
      running: z.array(z.string()).max(LENGTHS.length).readonly(),
      /** Everything so far, as one rollup. */
      total: z.string().optional(),
      firstOutcomeAt: z.number().optional(),
      lastOutcomeAt: z.number().optional(),
      /** When versions of the service were seen last. */
      versions: z.array(z.tuple([z.string(), z.number()]).readonly()).readonly(),
      /** What Unleash showed last: `off`, or a percentage, or `on`. */
      shown: z.string().optional(),
    })
    .readonly(),
);

/** What continues in the next run, or in the next leader. Plain JSON. */
export type BookState = z.infer<typeof bookStateSchema>;

export const earlierBookSchema = z.lazy(() =>
  z
    .object({
      book: bookStateSchema,
      /** What is over and not written yet. */
      pending: z.array(pendingLineSchema).readonly(),
    })
    .readonly(),
);

/** What a {@link RollupBook} continues. */
export interface EarlierBook extends z.infer<typeof earlierBookSchema> {}
