import { beforeAll, expect, it } from 'vitest';
import { type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';
import { until } from './example-process.js';
import { Backend, ExampleService } from './example-service.js';

const FLAG = 'shop-search';
const NEW = { status: 200, text: '{"from":"/v2"}' };
const OLD = { status: 200, text: '{"from":"/v1"}' };

let unleash: SharedUnleash;

beforeAll(async () => {
  unleash = await sharedUnleash();
});

it('the example of an existing OpenFeature set-up guards one flag, and leaves hooks and domains as they were', {
  timeout: 120_000,
}, async () => {
  // A constraint that only users pass whose region the application's own hook adds.
  await unleash.createFlag(FLAG, {
    strategies: [
      {
        name: 'flexibleRollout',
        parameters: { rollout: '50', stickiness: 'userId', groupId: FLAG },
        constraints: [{ contextName: 'region', operator: 'IN', values: ['us'] }],
      },
    ],
  });
  await using backend = await Backend.start();
  await using service = await ExampleService.start('examples/existing-openfeature/service.ts', unleash, {
    SEARCH_URL: backend.url,
    REGION: 'us',
  });
  // A machine that is busy may have delayed its event loop.
  await until(async () =>
    expect(JSON.parse((await service.ask('/health')).text)).toMatchObject({ guard: { status: 'ok' } }),
  );
  const served = await service.askAs(20, '/search?q=shoes');
  expect(served).toContainEqual(NEW);
  expect(served).toContainEqual(OLD);
  for (let user = 0; user < 5; user++) expect(await service.ask('/staff/search?q=shoes')).toEqual(NEW);

  const { treatment, control } = (await service.view(FLAG)).arms;
  const isNew = served.filter(({ text }) => text === NEW.text).length;
  expect([treatment.counts.successes, control.counts.successes]).toEqual([isNew, 20 - isNew]);

  backend.broken = /^\/v2/;
  const duringFailure = await service.askUntilOff(unleash, FLAG, '/search?q=shoes');
  expect(duringFailure).toEqual(duringFailure.map(() => OLD));
  backend.broken = undefined;
  // The domain of the staff has a flag of the same key, and no guard.
  expect(await service.ask('/staff/search?q=shoes')).toEqual(NEW);
  expect(await service.ask('/search?q=shoes', 'user-1')).toEqual(OLD);

  // The application's own hook has seen every evaluation of both domains.
  const logged = (line: string) => service.output.split('\n').filter((each) => each === line).length;
  expect(logged(`staff: ${FLAG} is true`)).toBe(6);
  expect(logged(`default: ${FLAG} is true`) + logged(`default: ${FLAG} is false`)).toBe(
    served.length + duringFailure.length + 1,
  );
  expect(await service.terminate(), service.output).toBe(0);
});
