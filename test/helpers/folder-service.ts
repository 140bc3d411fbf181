// A guard in a process of its own, which does what its parent says, in a folder that it may share. Unleash is in memory.
import { RolloutGuard, successRateBelow } from 'unleash-rollout-guard';
import { FakeAdminApi } from './fake-admin-api.js';
import { FakeFlags } from './fake-flags.js';

const { flagKey, folder, isUnleashDown } = JSON.parse(process.env.SETTINGS!);
const flags = new FakeFlags();
const unleash = new FakeAdminApi();
if (isUnleashDown) unleash.failure = () => new Response('', { status: 503 });

const guard = new RolloutGuard({
  flagKey,
  flags,
  unleash: { url: 'http://unleash.test/api', token: '*:*.made-up', environment: 'production' },
  rollback: [successRateBelow(0.95, { minOutcomes: 20 })],
  folder,
  tickMs: 50,
  logger: false,
  fetch: unleash.fetch,
  onEvent: (event) => process.send!({ event }),
});
const upload = guard.operation({
  treatment: () => Promise.reject(new Error('down')),
  control: () => 'old',
  retries: 0,
});

process.on('message', async (command) => {
  if (command === 'fail') {
    for (let user = 0; user < 20; user++) await upload({ targetingKey: `user-${user}` }, undefined);
  }
  if (command === 'close') {
    await guard.close();
    process.exit(0);
  }
});

await guard.start();
process.send!({ started: { isOverridden: flags.isOverridden(), state: guard.state.status } });
