import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { Controller } from '../../src/cli/controller/controller.js';
import { loadRules } from '../../src/what-if/replay/rules-file.js';
import { type Block, pages } from './pages.js';

const blocks = (...languages: string[]): Block[] =>
  pages.flatMap((page) => page.blocks).filter(({ language }) => languages.includes(language));

/** What of a configuration a page leaves out. */
const REST = {
  flagKey: 'async-upload',
  unleash: { url: 'https://unleash.example.com/api', environment: 'production' },
  rollback: [{ criticalErrors: [] }],
};
const CONFIG_KEYS = ['rollback', 'review', 'stages', 'flags', 'alerts', 'health', 'redis'];
const SECRETS = {
  UNLEASH_ADMIN_TOKEN: '*:*.0123456789abcdef',
  UNLEASH_CLIENT_TOKEN: 'default:production.0123456789abcdef',
  REDIS_URL: 'redis://localhost:6379',
  ROLLOUT_GUARD_ALERTS_TOKEN: 'a-token-of-more-than-16-characters',
};
const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** A page may leave out the end of an object: `, … }`. */
const parsed = (text: string): unknown => JSON.parse(text.replaceAll(/,\s*…(?=\s*[}\]])/g, ''));

const isConfig = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && CONFIG_KEYS.some((key) => key in value);

describe('data in the documentation', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'docs-data-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each(blocks('json', 'jsonl'))('is JSON: $place', ({ language, text }) => {
    const texts = language === 'jsonl' ? text.split('\n') : [text];
    for (const each of texts) expect(() => parsed(each)).not.toThrow();
  });

  it.each(blocks('yaml'))('is YAML: $place', ({ text }) => {
    const problems = parseAllDocuments(text).flatMap(({ errors }) => errors.map(({ message }) => message));
    expect(problems).toEqual([]);
  });

  const configs = blocks('json').filter(({ text }) => isConfig(parsed(text)));

  it('has configurations', () => expect(configs.length).toBeGreaterThan(3));

  it.each(configs)('is a configuration that the controller accepts: $place', async ({ text }) => {
    const config = parsed(text) as Record<string, unknown>;
    const { flagKey: _, rollback: __, ...ofSeveral } = REST;
    const path = join(folder, 'controller.json');
    await writeFile(path, JSON.stringify({ ...(config.flags === undefined ? REST : ofSeveral), ...config }));
    await expect(Controller.fromFile(path, SECRETS, silent)).resolves.toBeInstanceOf(Controller);
    if (config.rollback === undefined || config.unleash !== undefined) return;
    await writeFile(path, JSON.stringify(config));
    await expect(loadRules(path)).resolves.toMatchObject({ rollback: expect.any(Array) });
  });
});
