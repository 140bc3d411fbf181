import { z } from 'zod';
import { rateSchema, wholeSchema } from '../support/config-schemas.js';

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const SECONDS = { ms: 0.001, s: 1, sec: 1, min: 60, m: 60, h: 3_600, d: 86_400, day: 86_400 } as const;
const RATE = 'a number of requests in a time, for example 50/s, 200/min, 3000/h or 1000/day';
const DURATION = 'a length of time, for example 90s, 30min, 2h or 1d';

const asNumber = z.string().transform((text) => (NUMBER.test(text) ? Number(text) : text));

/** A fraction 0–1 on the command line. */
export const fractionOption = asNumber.pipe(rateSchema);

/** A fraction above 0, at most 1. */
export const shareOption = asNumber.pipe(
  rateSchema.refine((share) => share !== 0, { error: 'a fraction above 0, at most 1' }),
);

export function wholeOption(least: number) {
  return asNumber.pipe(wholeSchema(least));
}

/** A number above 0. */
export const positiveOption = asNumber.pipe(
  z
    .number({ error: 'a number above 0' })
    .refine((value) => value > 0 && Number.isFinite(value), { error: 'a number above 0' }),
);

/** `50/s` and the like, as requests per second. */
export const requestRateOption = z.string().transform((text, context) => {
  const [, amount, unit] = /^\s*([\d.]+)\s*\/\s*([a-z]+)\s*$/i.exec(text) ?? [];
  const perSecond = Number(amount) / secondsOf(unit);
  if (perSecond > 0 && Number.isFinite(perSecond)) return perSecond;
  const hint = NUMBER.test(text.trim()) ? `did you mean ${text.trim()}/s?` : undefined;
  context.addIssue({ code: 'custom', message: RATE, params: { hint } });
  return z.NEVER;
});

/** `30min` and the like, in milliseconds. */
export const durationOption = z.string().transform((text, context) => {
  const [, amount, unit] = /^\s*([\d.]+)\s*([a-z]+)\s*$/i.exec(text) ?? [];
  const durationMs = Number(amount) * secondsOf(unit) * 1_000;
  if (durationMs > 0 && Number.isFinite(durationMs)) return durationMs;
  context.addIssue({ code: 'custom', message: DURATION });
  return z.NEVER;
});

function secondsOf(unit: string | undefined): number {
  const name = unit?.toLowerCase() ?? '';
  return Object.hasOwn(SECONDS, name) ? SECONDS[name as keyof typeof SECONDS] : Number.NaN;
}
