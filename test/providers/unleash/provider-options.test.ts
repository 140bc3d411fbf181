import { Agent } from 'node:https';
import { InMemStorageProvider, Unleash } from 'unleash-client';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { UnleashProvider, type UnleashProviderOptions } from '../../../providers/unleash/provider.js';

const valid: UnleashProviderOptions = { url: 'https://unleash.example.com/api', appName: 'shop' };
const token = 'default:production.2d1c0f2b';

const MODE =
  "experimentalMode: expected { type: 'streaming' }, or { type: 'polling', format: 'full' } or 'delta'";
const BOOTSTRAP =
  'bootstrap: expected an object with url, filePath, bootstrapProvider, or data: the array "features" of what the client API of Unleash answers';

describe('the options of UnleashProvider', () => {
  it.each<[string, object]>([
    ['no more than a URL and a name', valid],
    ['explicit undefined', { ...valid, initializationTimeoutMs: undefined, refreshInterval: undefined }],
    [
      'everything of unleash-client that is data',
      { ...valid, customHeaders: { Authorization: token }, metricsInterval: 0 },
    ],
    ['white space around the URL', { ...valid, url: ` ${valid.url}\n` }],
    ['silence', { ...valid, logger: false }],
    [
      'other forms of what unleash-client takes',
      {
        ...valid,
        experimentalMode: { type: 'polling' },
        bootstrap: { url: undefined },
        storageProvider: new InMemStorageProvider(),
        strategies: [],
        tags: [{ name: 'team', value: 'uploads' }],
        customHeadersFunction: async () => ({}),
        instanceId: '',
        backupPath: '',
        disableMetrics: true,
      },
    ],
  ])('accept %s', (_, options) => {
    expect(() => new UnleashProvider(options as UnleashProviderOptions)).not.toThrow();
  });

  it.each<[string, Record<string, string>, object, number]>([
    ['a proxy of the environment', { https_proxy: 'http://proxy:3128' }, {}, 1],
    [
      'a proxy that is not for Unleash',
      { https_proxy: 'http://proxy:3128', no_proxy: '.example.com' },
      {},
      0,
    ],
    ['an agent', {}, { httpOptions: { agent: () => new Agent() } }, 1],
    ['nothing', {}, {}, 0],
  ])('say once that a stream goes past %s', (_, environment, options, lines) => {
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    onTestFinished(() => void vi.unstubAllEnvs());
    const logger = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() };

    new UnleashProvider({ ...valid, ...options, experimentalMode: { type: 'streaming' }, logger });

    expect(logger.warn).toHaveBeenCalledTimes(lines);
    for (const [, message] of logger.warn.mock.calls) expect(message).toMatch(/stream connects directly/);
  });

  it.each<[string, object, string]>([
    ['a missing URL', { url: undefined }, "url: expected the URL of Unleash's API, got nothing"],
    [
      'a URL without scheme',
      { url: 'unleash.example.com/api' },
      'url: expected the URL of Unleash\'s API, for example https://unleash.example.com/api, got "unleash.example.com/api"',
    ],
    [
      'user and password in the URL',
      { url: 'https://ann:pw@unleash.example.com/api' },
      'url: expected the URL of Unleash\'s API, for example https://unleash.example.com/api, got "https://…@unleash.example.com/api"; a user and password in it are not sent: leave them out',
    ],
    [
      'a query in the URL',
      { url: 'https://unleash.example.com/api?project=shop' },
      'url: expected the URL of Unleash\'s API, for example https://unleash.example.com/api, got "https://unleash.example.com/api?…"; what follows "?" or "#" is not sent: leave it out',
    ],
    [
      'a line break in the token',
      { customHeaders: { Authorization: `${token}\n` } },
      'customHeaders.Authorization: expected a client token, got a string (not shown); the token contains white space or characters that no token has',
    ],
    [
      'a URL without a host',
      { url: 'http:///api' },
      'url: expected the URL of Unleash\'s API, for example https://unleash.example.com/api, got "http:///api"',
    ],
    ['an empty name', { appName: ' ' }, 'appName: expected a name, got " "'],
    [
      'a negative interval',
      { refreshInterval: -1 },
      'refreshInterval: expected a number of milliseconds, 0 or more, got -1',
    ],
    [
      'an invalid time-out',
      { initializationTimeoutMs: 0 },
      'initializationTimeoutMs: expected a positive number of milliseconds, at most 2147483647, got 0',
    ],
    [
      'a missing token',
      { customHeaders: { Authorization: undefined } },
      'customHeaders.Authorization: expected text, got nothing',
    ],
    [
      'an empty token',
      { customHeaders: { Authorization: '' } },
      'customHeaders.Authorization: expected text that is not empty, got an empty string',
    ],
    [
      'a URL without /api',
      { url: 'https://unleash.example.com' },
      'url: expected the URL of Unleash\'s API, for example https://unleash.example.com/api, got "https://unleash.example.com"; the API of Unleash is one level below: use https://unleash.example.com/api',
    ],
    [
      'an admin token',
      { customHeaders: { authorization: '*:*.s3cret' } },
      'customHeaders.authorization: expected a client token, got a string (not shown); this is an admin token; expected a client token, also called backend token ("project:environment.…")',
    ],
    [
      'the environment of another token',
      { environment: 'development', customHeaders: { Authorization: token } },
      'environment: expected "production", that of the client token, got "development"; Unleash sends the flags of the token, whatever this option says',
    ],
    [
      'the project of another token',
      { projectName: 'shop', customHeaders: { Authorization: token } },
      'projectName: expected "default", that of the client token, got "shop"; Unleash sends the flags of the token, whatever this option says',
    ],
    [
      'a switch in quotation marks',
      { disableMetrics: 'false' },
      'disableMetrics: expected true or false, got "false"',
    ],
    ['a number for text', { instanceId: 5 }, 'instanceId: expected text, got 5'],
    ['a mode without its object', { experimentalMode: 'streaming' }, `${MODE}, got "streaming"`],
    ['an unknown mode', { experimentalMode: { type: 'stream' } }, `${MODE}, got an object`],
    [
      'an unknown format',
      { experimentalMode: { type: 'polling', format: 'deltas' } },
      `${MODE}, got an object`,
    ],
    [
      'the answer of the client API as flags',
      { bootstrap: { data: { features: [] } } },
      `${BOOTSTRAP}, got an object`,
    ],
    ['a bootstrap from nowhere', { bootstrap: { file: 'flags.json' } }, `${BOOTSTRAP}, got an object`],
    [
      'a class of storage',
      { storageProvider: InMemStorageProvider },
      'storageProvider: expected a storage provider with get and set, got a function',
    ],
    [
      'half a repository',
      { repository: { start() {} } },
      'repository: expected a repository with start, stop, getToggle and on, got an object',
    ],
    ['strategies by name', { strategies: {} }, 'strategies: expected an array of strategies, got an object'],
    ['tags as text', { tags: 'a:b' }, 'tags: expected an array of { name, value }, got "a:b"'],
    [
      'headers that are no function',
      { customHeadersFunction: {} },
      'customHeadersFunction: expected a function, got an object',
    ],
    [
      'half a logger',
      { logger: { info() {} } },
      'logger: expected a logger with debug, info, warn and error, or false, got an object',
    ],
  ])('refuse %s', (_, change, problem) => {
    expect(() => new UnleashProvider({ ...valid, ...change } as UnleashProviderOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', message: `Invalid UnleashProvider: ${problem}` }),
    );
  });

  it.each([undefined, null, 'https://unleash.example.com/api'])('refuse to be %j', (options) => {
    expect(() => new UnleashProvider(options as never)).toThrow(
      /Invalid UnleashProvider: expected an object, got/,
    );
  });

  it('refuse an unknown option by its name', () => {
    const options = { ...valid, initialisationTimeoutMs: 5 } as UnleashProviderOptions;

    expect(() => new UnleashProvider(options)).toThrow(
      /initialisationTimeoutMs: expected one of url, appName,.* got an unknown option/,
    );
  });

  it('list every problem at once, and no secret', () => {
    const options = { url: 'ftp://x', appName: 5, customHeaders: { Authorization: [token] } } as unknown;

    const problems = catchError(() => new UnleashProvider(options as UnleashProviderOptions));

    expect(problems).toMatchObject({
      problems: [{ path: 'url' }, { path: 'appName' }, { path: 'customHeaders.Authorization' }],
    });
    expect(String(problems)).not.toContain(token);
  });

  it('are checked beside a running client too', () => {
    const unleash = new Unleash({ ...valid, disableAutoStart: true, skipInstanceCountWarning: true });
    try {
      expect(() => new UnleashProvider(unleash, { closeTimeoutMs: -1 })).toThrow(
        /closeTimeoutMs: expected a positive number/,
      );
    } finally {
      unleash.destroy();
    }
  });

  it('refuse a client that is not for servers', () => {
    const forBrowsers = {
      isEnabled: () => true,
      getVariant: () => ({}),
      start: async () => {},
      on: () => {},
    };

    expect(() => new UnleashProvider(forBrowsers as never)).toThrow(
      'Invalid UnleashProvider: expected options, or an Unleash of unleash-client, got another client',
    );
  });

  it('start nothing', () => {
    vi.useFakeTimers();
    try {
      new UnleashProvider(valid);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});

function catchError(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return error;
  }
}
