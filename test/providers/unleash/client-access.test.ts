import { InMemStorageProvider, Unleash } from 'unleash-client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { missingIn } from '../../../providers/unleash/client/client-access.js';

describe('what the provider goes without', () => {
  it('is nothing with the installed unleash-client', () => {
    const client = new Unleash({
      url: 'http://localhost/api',
      appName: 'shop',
      disableAutoStart: true,
      skipInstanceCountWarning: true,
      storageProvider: new InMemStorageProvider(),
    });
    onTestFinished(() => client.destroy());

    expect(missingIn(client)).toEqual([]);
  });

  it('is named where a version keeps its parts otherwise', () => {
    const other = {
      repository: { connected: false, storageProvider: {} },
      metrics: {},
    } as unknown as Unleash;

    expect(missingIn(other)).toEqual([
      'polls on demand and after a refused token',
      'the usual interval after an outage',
      'usage metrics after they were refused once',
      'appName and environment in constraints',
    ]);
  });
});
