import { describe, expect, it } from 'vitest';
import {
  ConfigurationError,
  completeSettings,
  serviceSettings,
} from '../../../examples/upload-service/config.js';

describe('settings', () => {
  it('of the service need nothing', () => {
    expect(serviceSettings({})).toMatchObject({ HOST: '127.0.0.1', PORT: 3000, MAX_FILE_BYTES: 104_857_600 });
  });

  it('are numbers where they should be', () => {
    expect(serviceSettings({ PORT: '0', MAX_FILE_BYTES: '5', PROVIDER_CONNECTIONS: '2' })).toMatchObject({
      PORT: 0,
      MAX_FILE_BYTES: 5,
      PROVIDER_CONNECTIONS: 2,
    });
  });

  it.each([{ PORT: 'http' }, { PORT: '65536' }, { MAX_FILE_BYTES: '0' }, { PROVIDER_CONNECTIONS: '1.5' }])(
    'refuse %j',
    (env) => expect(() => serviceSettings(env)).toThrow(Object.keys(env)[0]),
  );

  it('list everything that is missing in one error, and no value', () => {
    const env = { PORT: '-1', UNLEASH_URL: 'unleash.example.com', UNLEASH_ADMIN_TOKEN: '*:*.made-up-secret' };
    const read = () => completeSettings(env);
    expect(read).toThrow(ConfigurationError);
    expect(read).toThrow(/PORT.*UNLEASH_URL.*UNLEASH_CLIENT_TOKEN.*FILE_API_KEY/s);
    expect(read).not.toThrow(/made-up-secret/);
  });

  it('choose Kimi and the usual project by default', () => {
    const env = {
      UNLEASH_URL: 'https://unleash.example.com/api',
      UNLEASH_CLIENT_TOKEN: 'default:production.made-up',
      UNLEASH_ADMIN_TOKEN: '*:*.made-up',
      FILE_API_KEY: 'sk-made-up',
    };
    expect(completeSettings(env)).toMatchObject({ FILE_API: 'kimi', UNLEASH_PROJECT: 'default', PORT: 3000 });
    expect(() => completeSettings({ ...env, FILE_API: 'other' })).toThrow('FILE_API');
  });

  it('need a key of its own for a fallback', () => {
    const env = {
      UNLEASH_URL: 'https://unleash.example.com/api',
      UNLEASH_CLIENT_TOKEN: 'default:production.made-up',
      UNLEASH_ADMIN_TOKEN: '*:*.made-up',
      FILE_API_KEY: 'sk-made-up',
      FALLBACK_FILE_API: 'glm',
    };
    expect(() => completeSettings(env)).toThrow('FALLBACK_FILE_API_KEY');
    expect(completeSettings({ ...env, FALLBACK_FILE_API_KEY: 'sk-other' })).toMatchObject({
      FALLBACK_FILE_API: 'glm',
    });
  });
});
