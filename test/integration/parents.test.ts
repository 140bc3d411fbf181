import { InMemStorageProvider } from 'unleash-client';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { UnleashProvider } from '../../providers/unleash/provider.js';
import { eventually } from '../helpers/eventually.js';
import { type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';

let unleash: SharedUnleash;

beforeAll(async () => {
  unleash = await sharedUnleash();
});

/** A provider that knows the flags as they are now. */
async function currentProvider(): Promise<UnleashProvider> {
  const provider = new UnleashProvider({
    url: unleash.apiUrl,
    appName: 'parents',
    customHeaders: { Authorization: unleash.clientToken },
    disableMetrics: true,
    skipInstanceCountWarning: true,
    storageProvider: new InMemStorageProvider(),
    logger: false,
  });
  await provider.initialize();
  onTestFinished(() => provider.onClose());
  return provider;
}

describe('a flag that depends on another, as the real Unleash delivers both', () => {
  it.each([
    ['a parent with the default stickiness', 'default', 100, 0.5],
    ['a parent that sticks to the user', 'userId', 100, 0.5],
    ['a parent at a percentage of its own', 'userId', 40, 0.2],
  ])(
    'is drawn by its own strategy, as far as the parent goes: %s',
    async (_, stickiness, percentage, chance) => {
      const key = `parents-${stickiness}-${percentage}`;
      const child = `${key}-child`;
      // The child first: where the test is tried again, its parent cannot be removed before it.
      await unleash.createFlag(child, { percentage: 50 });
      await unleash.createFlag(key, { stickiness, percentage });
      await unleash.request('POST', `/api/admin/projects/${unleash.project}/features/${child}/dependencies`, {
        feature: key,
      });
      // Unleash answers from a cache that it renews within a second.
      const provider = await eventually(async () => {
        const current = await currentProvider();
        const answer = await current.resolveBooleanEvaluation(child, false, { targetingKey: 'u' });
        // Without its parent, the child is drawn too.
        expect(answer).toMatchObject({ reason: 'SPLIT', flagMetadata: { chance } });
        return current;
      }, 200);
      const evaluations = await Promise.all(
        Array.from({ length: 1_025 }, (_, user) =>
          provider.resolveBooleanEvaluation(child, false, { targetingKey: `user-${user}` }),
        ),
      );

      expect(
        new Set(evaluations.map(({ reason, flagMetadata }) => `${reason} ${flagMetadata?.chance}`)),
      ).toEqual(new Set([`SPLIT ${chance}`]));
      expect(evaluations.filter(({ value }) => value).length / 1_025).toBeCloseTo(chance, 1);
    },
  );
});
