import { z } from 'zod';

/** A rate: a fraction 0–1. The error suggests the fraction for a value that looks like a percentage. */
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

const ALPHA = 'a probability above 0 and below 0.5';

/** The chance of a false stop that a sequential test may have. */
export const alphaSchema = z.number({ error: ALPHA }).superRefine((alpha, context) => {
  if (alpha > 0 && alpha < 0.5) return;
  const hint = alpha >= 1 && alpha < 50 ? `did you mean ${alpha / 100}?` : undefined;
  context.addIssue({ code: 'custom', message: ALPHA, params: { hint } });
});

const RATIO = 'a number above 0 (1.2 tolerates 20 % more)';

/** How many times the control's value is tolerated. */
export const ratioSchema = z
  .number({ error: RATIO })
  .refine((ratio) => ratio > 0 && Number.isFinite(ratio), { error: RATIO });

/** A whole number that is not below `least`. */
export function wholeSchema(least: number) {
  const error = `a whole number, ${least} or more`;
  return z.number({ error }).refine((value) => Number.isSafeInteger(value) && value >= least, { error });
}

/** A number of things, at least one. */
export const countSchema = wholeSchema(1);

/** An option that is on or off. */
export const booleanSchema = z.boolean({ error: 'true or false' });
