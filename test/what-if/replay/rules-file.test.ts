import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ConfigError } from '../../../src/support/config-error.js';
import { loadRules, TRIGGER_NAMES } from '../../../src/what-if/replay/rules-file.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rules-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function load(name: string, text: string) {
  const path = join(folder, name);
  await writeFile(path, text);
  return loadRules(path);
}

describe('loadRules', () => {
  it('makes triggers of the names in a JSON file', async () => {
    const rules = await load(
      'rules.json',
      JSON.stringify({
        rollback: [{ successRateBelow: [0.95, { minOutcomes: 7 }] }, { criticalErrors: [] }],
        review: [{ successRateBetween: [0.95, 0.97] }],
        stages: [{ percentage: 10, minOutcomes: 5, minSuccessRate: 0.9 }],
      }),
    );
    expect(rules.rollback).toMatchObject([
      { name: 'success-rate-below', threshold: 0.95, minOutcomes: 7 },
      { name: 'critical-errors' },
    ]);
    expect(rules.review.map(({ name }) => name)).toEqual(['success-rate-between']);
    expect(rules.stages).toHaveLength(1);
    expect(rules.reviewCloseAfterMs).toBe(300_000);
  });

  it('reads a file that begins with the mark of its encoding', async () => {
    const rules = await load('rules.json', '\ufeff{ "rollback": [{ "criticalErrors": [] }] }');
    expect(rules.rollback).toMatchObject([{ name: 'critical-errors' }]);
  });

  it('names a file that is neither JSON nor a module, and a folder', async () => {
    const expected = 'expected a .json file, or a JavaScript module, got';
    await expect(load('rules.yaml', 'rollback: []')).rejects.toThrow(
      `rules.yaml: ${expected} a file that ends in ".yaml"`,
    );
    await mkdir(join(folder, 'folder.json'));
    await expect(loadRules(join(folder, 'folder.json'))).rejects.toThrow(`folder.json: ${expected} a folder`);
    await expect(loadRules(folder)).rejects.toThrow(`${expected} a folder`);
  });

  it.each([
    ['an empty file', ' \n', 'an empty file'],
    ['a comma too many', '{\n  "rollback": [],\n}', 'invalid JSON in line 3'],
    ['a missing comma', '{\n  "token": "secret"\n\n  "b": 1\n}', 'invalid JSON in line 4'],
    ['a word', '{ "token": secret }', 'invalid JSON'],
  ])('says where a file is no JSON, and nothing of what is in it: %s', async (_what, text, got) => {
    const error = (await load('rules.json', text).catch((error: unknown) => error)) as ConfigError;
    expect(error.problems).toEqual([{ path: '', expected: 'JSON', got }]);
  });

  it('refuses a name that an object has twice', async () => {
    const text = `{ "stages": [], "\\u0073tages": [],
      "rollback": [{ "criticalErrors": [] }, { "successRateBelow": [0.9, { "minOutcomes": 5, "minOutcomes": 7 }] }] }`;
    const error = (await load('rules.json', text).catch((error: unknown) => error)) as ConfigError;
    expect(error.problems).toEqual([
      { path: 'stages', expected: 'each name once', got: 'the name twice' },
      { path: 'rollback.successRateBelow.minOutcomes', expected: 'each name once', got: 'the name twice' },
    ]);
  });

  it('can make every trigger of the package', async () => {
    const exported = Object.keys(await import('../../../src/index.js'));
    const folder = join(import.meta.dirname, '../../../src/triggers');
    const files = (await readdir(folder)).filter((file) => file.endsWith('.ts'));
    const modules = await Promise.all(
      [...files, 'metrics/metric.ts', 'signals/prometheus.ts'].map(
        (file) => import(pathToFileURL(join(folder, file)).href) as Promise<Record<string, unknown>>,
      ),
    );
    const triggers = modules
      .flatMap((module) => Object.keys(module).filter((name) => typeof module[name] === 'function'))
      .filter((name) => exported.includes(name));
    expect(triggers.length).toBeGreaterThan(5);
    expect([...TRIGGER_NAMES].sort()).toEqual(triggers.sort());
  });

  it.each([
    ['named exports', 'export const rollback = [successRateBelow(0.9)];'],
    ['a default', 'export default { rollback: [successRateBelow(0.9)], folder: "of a preset" };'],
  ])('runs a module with %s', async (_what, code) => {
    const factory = pathToFileURL(join(import.meta.dirname, '../../../src/triggers/success-rate-below.ts'));
    const { rollback } = await load('rules.mjs', `import { successRateBelow } from '${factory}';\n${code}`);
    expect(rollback).toMatchObject([{ name: 'success-rate-below', threshold: 0.9 }]);
  });

  it.each([
    ['half a file', '{"rollback":', /expected JSON/],
    ['no rules', '{}', /rollback: expected a list of triggers/],
    ['no trigger', '{"rollback":[]}', /rollback: expected at least one trigger/],
    ['an unknown trigger', '{"rollback":[{"toString":[]}]}', /rollback\[0\]: expected .*successRateBelow/],
    ['two in one', '{"rollback":[{"criticalErrors":[],"memoryGrowth":[1.2]}]}', /rollback\[0\]/],
    ['a rate that is a percentage', '{"rollback":[{"successRateBelow":[95]}]}', /did you mean 0.95\?/],
    ['two of one name', '{"rollback":[{"criticalErrors":[]},{"criticalErrors":[]}]}', /rollback\[1\]\.name/],
    [
      'stages out of order',
      '{"rollback":[{"criticalErrors":[]}],"stages":[{"percentage":10,"minOutcomes":1,"minSuccessRate":1},{"percentage":1,"minOutcomes":1,"minSuccessRate":1}]}',
      /stages\[1\]\.percentage/,
    ],
  ])('refuses %s', async (_what, text, message) => {
    await expect(load('rules.json', text)).rejects.toMatchObject({
      code: 'INVALID_CONFIG',
      message: expect.stringMatching(message),
    });
  });

  it('lists what is wrong with every trigger and every stage, and where', async () => {
    const rules = {
      rollback: [{ successRateBelow: [95] }, { criticalErrors: [] }, { unknown: [] }],
      stages: [{ percentage: 0, minOutcomes: 1, minSuccessRate: 1 }],
    };
    const error = await load('rules.json', JSON.stringify(rules)).catch((error: unknown) => error);
    expect((error as ConfigError).problems.map(({ path }) => path)).toEqual([
      'rollback[0].successRateBelow.rate',
      'rollback[2]',
      'stages[0].percentage',
    ]);
  });
});
