import { beforeAll, expect, it } from 'vitest';
import { type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';
import { Backend, ExampleService } from './example-service.js';

let unleash: SharedUnleash;

beforeAll(async () => {
  unleash = await sharedUnleash();
});

it('the example of several flags turns the failing flag off, and rolls the other one out', {
  timeout: 120_000,
}, async () => {
  const flagKeys = ['catalog-search', 'catalog-prices'];
  const flag = { percentage: 50, stickiness: 'userId' };
  await Promise.all(flagKeys.map((key) => unleash.createFlag(key, flag)));
  await using backend = await Backend.start();
  await using service = await ExampleService.start('examples/several-flags/service.ts', unleash, {
    CATALOG_URL: backend.url,
  });
  const from = (path: string) => ({ status: 200, text: JSON.stringify({ from: path }) });
  const prices = await service.askAs(20, '/prices/shoe');
  expect(prices).toContainEqual(from('/v2/prices/shoe'));
  expect(prices).toContainEqual(from('/v1/prices/shoe'));
  expect(await service.askAs(20, '/search?q=shoes')).toContainEqual(from('/v2/search'));
  const overview = await (await service.dashboard('api/flags')).json();
  expect(overview).toMatchObject({ flags: flagKeys.map((flagKey) => ({ flagKey })) });

  backend.broken = /^\/v2\/search/;
  const served = await service.askUntilOff(unleash, 'catalog-search', '/search?q=shoes');
  expect(served).toEqual(served.map(() => from('/v1/search')));
  expect(await service.askAs(20, '/prices/shoe')).toEqual(prices);
  expect(await unleash.flag('catalog-prices')).toMatchObject({ enabled: true });

  expect(await service.terminate(), service.output).toBe(0);
  expect(await service.summary('catalog-prices')).toMatchObject({ total: { count: 40 } });
});
