import { z } from 'zod';

/** A rate: a fraction 0–1. A value that looks like a percentage is told so. */
export const rateSchema = z.number({ error: 'a fraction 0–1' }).superRefine((value, context) => {
  if (value >= 0 && value <= 1) return;
  const message = 'a fraction 0–1 (rates are fractions, percentages are 0–100)';
  const hint =
    value > 1 && value <= 100 ? `did you mean ${Number((value / 100).toPrecision(12))}?` : undefined;
  context.addIssue({ code: 'custom', message, params: { hint } });
});

/** A percentage as Unleash shows it: 0–100. */
export const percentageSchema = z
  .number({ error: 'a percentage 0–100' })
  .refine((value) => value >= 0 && value <= 100, {
    error: 'a percentage 0–100 (percentages are 0–100, rates are fractions 0–1)',
  });

/** The longest delay that a timer of the platform can wait for (2³¹ − 1 ms, almost 25 days). */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const DURATION = `a positive number of milliseconds, at most ${LONGEST_TIMER_MS}`;

/** A length of time in milliseconds: positive, and short enough for a timer. */
export const durationMsSchema = z
  .number({ error: DURATION })
  .refine((value) => value > 0 && value <= LONGEST_TIMER_MS, { error: DURATION });

/** A number of things, at least one. */
export const countSchema = z
  .number({ error: 'a whole number, 1 or more' })
  .refine((value) => Number.isSafeInteger(value) && value >= 1, { error: 'a whole number, 1 or more' });
