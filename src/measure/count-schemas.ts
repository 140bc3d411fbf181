import { z } from 'zod';

/** A whole number of at least 0. */
export const countSchema = z.int().min(0);

/** Trials, of which no more than all failed. */
export const trialsSchema = z
  .object({ trials: countSchema, failures: countSchema })
  .refine(({ trials, failures }) => failures <= trials);

/** Trials of both arms. */
export const blockCountsSchema = z.object({ treatment: trialsSchema, control: trialsSchema });

/** An unsigned number of 32 bits. */
export const uint32Schema = z.int().min(0).max(0xffff_ffff);
