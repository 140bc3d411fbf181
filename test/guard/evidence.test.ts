import { afterEach, describe, expect, it } from 'vitest';
import { asyncUploadRollout } from '../../src/guard/options/async-upload-rollout.js';
import type { RolloutGuardOptions } from '../../src/guard/options/options.js';
import { RolloutGuard } from '../../src/guard/rollout-guard.js';
import type { Arm, Evaluation } from '../../src/model/shapes.js';
import { failureRegression } from '../../src/triggers/event-regression.js';
import { FakeAdminApi } from '../helpers/fake-admin-api.js';
import { FakeFlags } from '../helpers/fake-flags.js';

const guards: RolloutGuard[] = [];

afterEach(async () => {
  await Promise.all(guards.splice(0).map((guard) => guard.close()));
});

/** Every tenth user gets the treatment. */
const armOf = (user: number): Arm => (user % 10 === 0 ? 'treatment' : 'control');

async function guardOf(
  reason: string,
  rules: Partial<RolloutGuardOptions>,
): Promise<{ guard: RolloutGuard; flags: FakeFlags }> {
  const flags = new FakeFlags();
  const guard = new RolloutGuard({
    flagKey: 'async-upload',
    flags,
    client: {
      getBooleanDetails: async (_flag, _default, context): Promise<Evaluation> => ({
        value: armOf(Number(context?.targetingKey?.slice(5))) === 'treatment',
        reason,
        ...(reason === 'SPLIT' && { flagMetadata: { chance: 0.1, contextId: context!.targetingKey! } }),
      }),
    },
    unleash: { url: 'http://unleash.test/api', token: '*:*.made-up', environment: 'production' },
    ...asyncUploadRollout,
    ...rules,
    folder: false,
    logger: false,
    fetch: new FakeAdminApi().fetch,
    random: () => 0,
  });
  guards.push(guard);
  await guard.start();
  return { guard, flags };
}

/** @returns How many users came until the flag was stopped, or all of them. */
async function usersUntilStop(
  failing: Arm,
  reason = 'SPLIT',
  rules: Partial<RolloutGuardOptions> = {},
  users = 600,
): Promise<number> {
  const { guard, flags } = await guardOf(reason, rules);
  const fail = () => Promise.reject(new Error('down'));
  const run = guard.operation<number, string>({
    treatment: (user) => (armOf(user) === failing ? fail() : 'new'),
    control: (user) => (armOf(user) === failing && failing === 'control' ? fail() : 'old'),
    retries: 0,
  });
  for (let user = 0; user < users; user++) {
    await run({ targetingKey: `user-${user}` }, user).catch(() => {});
    // The guard evaluates once for each turn of the event loop.
    await new Promise(setImmediate);
    if (flags.isOverridden()) return user + 1;
  }
  return users;
}

describe('RolloutGuard on evidence', () => {
  it('stops a treatment that always fails after a handful of its outcomes', async () => {
    expect(await usersUntilStop('treatment')).toBeLessThanOrEqual(50);
  });

  it('never stops the treatment because the control fails', async () => {
    expect(await usersUntilStop('control')).toBe(600);
  });

  it('compares no users whom targeting put into an arm, but limits apply to them', async () => {
    expect(await usersUntilStop('treatment', 'TARGETING_MATCH', { rollback: [failureRegression()] })).toBe(
      600,
    );
    expect(await usersUntilStop('treatment', 'TARGETING_MATCH')).toBeLessThanOrEqual(200);
  });
});
