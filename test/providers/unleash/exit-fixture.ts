// A whole life of the provider in a process of its own, which then has nothing left to do: see exit.test.ts.
import { OpenFeature } from '@openfeature/server-sdk';
import { InMemStorageProvider } from 'unleash-client';
import { UnleashProvider } from '../../../providers/unleash/provider.js';

const [url = ''] = process.argv.slice(2);
const provider = new UnleashProvider({
  url,
  appName: 'shop',
  storageProvider: new InMemStorageProvider(),
  logger: false,
});

new UnleashProvider({ url, appName: 'never registered', logger: false });
await OpenFeature.setProviderAndWait(provider);
const enabled = await OpenFeature.getClient().getBooleanValue('upload', false, { targetingKey: 'u' });
await OpenFeature.close();
process.stdout.write(`enabled: ${enabled}`);
