import { describe, expect, it } from 'vitest';
import { MemoryOutcomeStore } from '../../../src/measure/memory-outcome-store.js';
import { ConfigError } from '../../../src/support/config-error.js';
import { type MetricOptions, metric } from '../../../src/triggers/metrics/metric.js';
import { Random } from '../../../src/what-if/simulate/random.js';

const START = 1_700_000_000_000;
const WITHIN = 60_000;
const CONVERSION = { kind: 'conversion', direction: 'higher-is-better', withinMs: WITHIN } as const;

/** The verdict after so many users, of whom each tracks what the function says. */
function verdictOf(
  event: string,
  options: MetricOptions,
  users: number,
  tracked: (
    random: Random,
    treated: boolean,
  ) => readonly { readonly name: string; readonly value?: number }[],
) {
  const trigger = metric(event, options);
  const store = new MemoryOutcomeStore({
    flagKey: 'shop',
    windowsMs: [],
    evidenceFor: [trigger],
    now: START,
  });
  const random = new Random(5);
  for (let i = 0; i < users; i++) {
    const treated = random.chance(0.5);
    const targetingKey = `user-${i}`;
    store.expose({
      flagKey: 'shop',
      arm: treated ? 'treatment' : 'control',
      variant: undefined,
      reason: 'SPLIT',
      errorCode: undefined,
      targetingKey,
      unit: targetingKey,
      chance: 0.5,
      epoch: 0,
      at: START + i,
    });
    for (const { name, value } of tracked(random, treated)) {
      store.metrics.track({ name, targetingKey, value }, START + i);
    }
  }
  const now = START + WITHIN + users;
  return trigger.evaluate(store.snapshot(now), now);
}

const problemsOf = (event: unknown, options: unknown) => {
  try {
    metric(event as string, options as MetricOptions);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error('nothing was wrong');
};

describe('metric', () => {
  it('is named after its event, and asks for a test', () => {
    expect(metric('Checkout Completed', CONVERSION).name).toBe('checkout-completed');
    expect(
      metric('cartValue', { kind: 'numeric', direction: 'lower-is-better', name: 'dear-carts' }),
    ).toMatchObject({
      name: 'dear-carts',
      threshold: 0,
      unit: 'none',
      windowMs: 0,
      evidence: {
        test: 'metric',
        alpha: 0.05,
        direction: 'lower-is-better',
        metric: { kind: 'numeric', event: 'cartValue', withinMs: 1_800_000, min: 0 },
      },
    });
  });

  it.each([
    ['', CONVERSION, /event: expected an event's name/],
    [7, CONVERSION, /event: expected an event's name/],
    ['!!!', CONVERSION, /name: expected a name for the trigger/],
    ['x', { ...CONVERSION, kind: 'total' }, /kind: expected 'conversion', 'numeric' or 'ratio'/],
    ['x', { direction: 'higher-is-better' }, /kind: expected/],
    ['x', { kind: 'conversion' }, /direction: expected 'higher-is-better' or 'lower-is-better'/],
    ['x', { ...CONVERSION, minDifference: 5 }, /minDifference: expected a fraction from 0 up to 1/],
    [
      'x',
      { ...CONVERSION, kind: 'numeric', minDifference: -1 },
      /minDifference: expected a number of 0 or more/,
    ],
    ['x', { ...CONVERSION, kind: 'numeric', min: Number.NaN }, /min: expected a number/],
    ['x', { ...CONVERSION, kind: 'ratio' }, /per: expected an event's name/],
    ['x', { ...CONVERSION, per: 'y' }, /per/],
    ['x', { ...CONVERSION, withinMs: 0 }, /withinMs: expected a positive number of milliseconds/],
    ['x', { ...CONVERSION, alpha: 5 }, /alpha: expected a probability/],
    ['x', undefined, /options/],
  ])('refuses metric(%o, %o)', (event, options, expected) => {
    expect(problemsOf(event, options)).toMatch(expected);
  });

  it('refuses a ratio of an event to itself', () => {
    expect(problemsOf('error', { kind: 'ratio', direction: 'lower-is-better', per: 'error' })).toMatch(
      /per: expected another event/,
    );
  });

  it('has no data for an event that is never tracked, never zero', () => {
    expect(verdictOf('checkout', CONVERSION, 300, () => [])).toMatchObject({
      status: 'insufficient-data',
      observed: undefined,
      message: 'No verdict on checkout: checkout was never tracked.',
    });
    expect(verdictOf('error', { ...CONVERSION, kind: 'ratio', per: 'page' }, 300, () => []).message).toBe(
      'No verdict on error: error or page was never tracked.',
    );
  });

  it('has no data where only unknown users track, and says what to do', () => {
    const trigger = metric('checkout', CONVERSION);
    const store = new MemoryOutcomeStore({
      flagKey: 'shop',
      windowsMs: [],
      evidenceFor: [trigger],
      now: START,
    });
    store.metrics.track({ name: 'checkout', targetingKey: 'zoe', value: undefined }, START);
    expect(trigger.evaluate(store.snapshot(START), START)).toMatchObject({
      status: 'insufficient-data',
      message:
        'No verdict on checkout: none of the 1 event could be used: track with the targeting key with which shop was evaluated. ' +
        'Left out: 1 event of users of whom no evaluation is known.',
    });
  });

  it('has no data where no value is valid, and where the control has too few', () => {
    const numeric = { ...CONVERSION, kind: 'numeric' } as const;
    expect(verdictOf('cart', numeric, 300, () => [{ name: 'cart', value: Number.NaN }])).toMatchObject({
      status: 'insufficient-data',
      message: expect.stringMatching(
        /none of the 300 events could be used\. Left out: 300 events with an invalid value\.$/,
      ),
    });
    expect(verdictOf('cart', numeric, 100, () => [{ name: 'cart', value: 3 }])).toMatchObject({
      status: 'insufficient-data',
      message: expect.stringMatching(/the control needs 100 to compare with\.$/),
    });
  });

  it('breaches when conversions fall, and shows both rates', () => {
    const verdict = verdictOf('checkout', CONVERSION, 2_000, (random, treated) =>
      random.chance(treated ? 0.1 : 0.3) ? [{ name: 'checkout' }] : [],
    );
    expect(verdict).toMatchObject({ status: 'breach', unit: 'fraction', threshold: 0 });
    expect(verdict.observed).toBeGreaterThan(0.1);
    expect(verdict.message).toMatch(
      /^Since .+ 1?\d(\.\d+)? % \(\d+ of \d+\) of the treatment's units have checkout within 1 min, [23]\d(\.\d+)? % \(\d+ of \d+\) of the control's: worse by \d+(\.\d+)? points; the evidence E is .+ healthy rollouts ever reach it \([\d,]+ units with a first event\)\.$/,
    );
    expect(verdict.evidence!.treatment.trials).toBeGreaterThan(100);
  });

  it.each(['numeric', 'ratio'] as const)(
    'breaches when values are worse, and shows both medians: %s',
    (kind) => {
      const options: MetricOptions =
        kind === 'numeric'
          ? { kind, direction: 'higher-is-better', withinMs: WITHIN }
          : { kind, direction: 'lower-is-better', withinMs: WITHIN, per: 'page' };
      const verdict = verdictOf('cart', options, 2_000, (random, treated) => {
        const value = (treated === (kind === 'numeric') ? 20 : 40) * (0.5 + random.next());
        return [{ name: 'cart', value }, { name: 'page' }];
      });
      expect(verdict).toMatchObject({ status: 'breach', unit: 'none' });
      expect(verdict.observed).toBeGreaterThan(10);
      expect(verdict.message).toMatch(
        /the median of cart is \d+(\.\d+)? in the treatment and \d+(\.\d+)? in the control, .+ of the treatment's units are (not )?(below|above) \d/,
      );
    },
  );

  it('is ok where nothing is shown to be worse', () => {
    const verdict = verdictOf('checkout', CONVERSION, 1_000, (random) =>
      random.chance(0.3) ? [{ name: 'checkout' }] : [],
    );
    expect(verdict).toMatchObject({
      status: 'ok',
      message: expect.stringContaining('not shown to be worse'),
    });
  });
});
