// A whole life of the provider in a process of its own, which then has nothing left to do: see exit.test.ts.
import { OpenFeature } from '@openfeature/server-sdk';
import { InMemStorageProvider } from 'unleash-client';
import { UnleashProvider } from '../../../providers/unleash/provider.js';

const [url = '', server] = process.argv.slice(2);
const provider: UnleashProvider = new UnleashProvider({
  url,
  appName: 'shop',
  storageProvider: new InMemStorageProvider(),
  logger: false,
  ...(server === 'hanging' && {
    refreshInterval: 200,
    customHeadersFunction: () =>
      provider.flag('upload') === undefined ? Promise.resolve({}) : new Promise(() => {}),
  }),
});

new UnleashProvider({ url, appName: 'never registered', logger: false });
await OpenFeature.setProviderAndWait(provider);
const enabled = await OpenFeature.getClient().getBooleanValue('upload', false, { targetingKey: 'u' });
if (server === 'hanging') await new Promise((resolve) => setTimeout(resolve, 500));
const start = performance.now();
await OpenFeature.close();
const closing = server === 'hanging' ? ` closed after ${Math.round(performance.now() - start)} ms` : '';
process.stdout.write(`enabled: ${enabled}${closing}`);
