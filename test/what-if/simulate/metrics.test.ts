import { describe, expect, it } from 'vitest';
import { resolveRules } from '../../../src/guard/options/rules.js';
import { failureRegression } from '../../../src/triggers/event-regression.js';
import { metric } from '../../../src/triggers/metrics/metric.js';
import { metricsOf } from '../../../src/what-if/simulate/metrics.js';
import { scenariosOf } from '../../../src/what-if/simulate/scenarios.js';
import { characterise } from '../../../src/what-if/simulate/simulation.js';

const WITHIN = { withinMs: 60_000 } as const;
const RULES = resolveRules({
  rollback: [
    failureRegression(),
    metric('checkout', { ...WITHIN, kind: 'conversion', direction: 'higher-is-better' }),
  ],
  review: [
    metric('cart', { ...WITHIN, kind: 'numeric', direction: 'higher-is-better' }),
    metric('page-error', { ...WITHIN, kind: 'ratio', per: 'page-view', direction: 'lower-is-better' }),
  ],
});

const service = (metrics: readonly string[]) => ({
  shares: [0.5],
  stageMs: 1_200_000,
  requestsPerSecond: 3,
  controlFailureRate: 0.01,
  treatmentFailureRate: 0.01,
  users: 200,
  latencyMs: 100,
  slowdown: 1,
  metrics: metricsOf(RULES, metrics),
});
const played = (name: string, metrics: readonly string[]) => {
  const scenario = scenariosOf(service(metrics)).find((each) => each.name === name)!;
  return characterise(RULES, scenario, { replicates: 2, seed: 1 });
};

describe('simulated metrics', () => {
  it('stop a harmful treatment by its conversions alone, and no healthy one', () => {
    const harm = played('harm', ['checkout=0.5:0.2']);
    expect(harm.stopped.count).toBe(2);
    expect(harm.stoppedBy).toEqual([{ trigger: 'checkout', count: 2 }]);
    expect(played('healthy', ['checkout=0.5:0.2']).stopped.count).toBe(0);
  });

  it('open a review for values and ratios', () => {
    const harm = played('harm', ['cart=40:10', 'page-error=0.05:0.5']);
    expect(harm.reviews.map(({ trigger }) => trigger).sort()).toEqual(['cart', 'page-error']);
  });

  it.each([
    ['checkout', /expected <event>=<control>:<treatment>/],
    ['checkout=0.3', /expected <event>/],
    ['checkout=a:b', /expected <event>/],
    ['checkout=30:24', /fractions from 0 to 1/],
    ['cart=0:10', /medians above 0/],
    ['other=0.3:0.2', /an event of the rules' metrics: checkout, cart, page-error/],
  ])('refuse %s', (text, message) => {
    expect(() => metricsOf(RULES, [text])).toThrow(message);
  });

  it('ask for rules with metrics', () => {
    expect(() => metricsOf(resolveRules({ rollback: [failureRegression()] }), ['x=0.3:0.2'])).toThrow(
      /rules with metrics \(--config\)/,
    );
  });
});
