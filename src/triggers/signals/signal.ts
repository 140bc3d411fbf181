import { z } from 'zod';
import { parseConfig } from '../../support/config-error.js';
import type { SignalContext, SignalReading } from '../trigger.js';
import { triggerNameSchema } from '../window-rule.js';
import {
  limitSchema,
  readFields,
  refineTiming,
  type SignalReadOptions,
  type SignalTrigger,
  signalTrigger,
} from './signal-trigger.js';

/** Options of {@link signal}: one limit, and how to read. */
export type SignalOptions = SignalReadOptions &
  (
    | {
        /** More than this is a breach. */
        readonly above: number;
        readonly below?: undefined;
      }
    | {
        readonly above?: undefined;
        /** Less than this is a breach. */
        readonly below: number;
      }
  );

/** Reads a signal; see {@link signal}. */
export type SignalFunction = (
  context: SignalContext,
) => Promise<number | SignalReading | undefined> | number | SignalReading | undefined;

const ONE_LIMIT = 'either above or below, and not both';

const configSchema = z.lazy(() =>
  z.strictObject({
    name: triggerNameSchema,
    read: z.custom<SignalFunction>((value) => typeof value === 'function', {
      error: 'a function that returns a number, for example async () => queue.depth()',
    }),
    options: z
      .strictObject({ above: limitSchema.optional(), below: limitSchema.optional(), ...readFields })
      .superRefine((options, context) => {
        refineTiming(options, context);
        const { above, below } = options;
        if (above === undefined && below === undefined) {
          context.addIssue({ code: 'custom', path: ['above'], message: `a number, or one in below` });
        } else if (above !== undefined && below !== undefined) {
          context.addIssue({ code: 'custom', path: ['below'], message: ONE_LIMIT });
        }
      }),
  }),
);

/**
 * Breaches when a number that your function reads is above or below a limit; exactly the limit is no breach. The guard
 * calls the function every 15 seconds while the flag is on, beside the requests and never twice at the same time. Without a
 * reading of the last minute there is no verdict.
 *
 * ```ts
 * signal('queue-depth', async () => queue.depth(), { above: 1_000 })
 * ```
 *
 * The function returns `undefined` or `NaN` when there is no number now, and `{ value, at }` when the number
 * is older than the call. What it throws is reported once as a fault. It must end when its `signal` is aborted: it is not
 * called before that.
 *
 * @param name - Kebab-case; verdicts and faults show it.
 * @throws ConfigError that lists everything that is wrong.
 */
export function signal(name: string, read: SignalFunction, options: SignalOptions): SignalTrigger {
  const config = parseConfig(configSchema, { name, read, options }, 'signal');
  const { above, below, ...reading } = config.options;
  const limit =
    above === undefined
      ? ({ direction: 'below', threshold: below! } as const)
      : ({ direction: 'above', threshold: above } as const);
  const rule = { name: config.name, subject: `The signal ${config.name}`, ...limit };
  return signalTrigger(rule, async (context) => config.read(context), reading);
}
