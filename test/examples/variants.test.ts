import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Found } from '../../examples/variants/rankings.js';
import { compiledFile, type SharedUnleash, sharedUnleash } from '../helpers/test-run.js';
import { ExampleProcess, unleashVariables, until } from './example-process.js';

const FLAG = 'search-ranking';

describe('the flag with several variants', () => {
  let unleash: SharedUnleash;
  let service: ExampleProcess;
  let url: string;

  const strategy = (weights: Readonly<Record<string, number>>) => ({
    name: 'flexibleRollout',
    parameters: { rollout: '100', stickiness: 'default', groupId: FLAG },
    variants: Object.entries(weights).map(([name, weight]) => ({
      ...{ name, weight, weightType: name === 'plain' ? 'variable' : 'fix', stickiness: 'default' },
      payload: { type: 'string', value: name },
    })),
  });

  const start = async () => {
    service = await ExampleProcess.start([await compiledFile('examples/variants/main.ts')], {
      ...unleashVariables(unleash),
      PORT: '0',
      REFRESH_MS: '200',
    });
    await service.says('Search: http');
    url = /Search: (http:\S+\/)/.exec(service.said)![1]!;
  };

  beforeAll(async () => {
    unleash = await sharedUnleash();
    await unleash.createFlag(FLAG, { strategies: [strategy({ plain: 340, recent: 330, popular: 330 })] });
    await start();
  });

  afterAll(async () => {
    await service?.[Symbol.asyncDispose]();
  });

  let asked = 0;
  /** What so many users find; every one of them is answered. */
  const find = async (users: number, query: string): Promise<Found[]> => {
    const found: Found[] = [];
    asked += users;
    for (let user = 0; user < users; user++) {
      const reply = await fetch(`${url}?user=user-${user}&q=${query}`);
      expect(reply.status).toBe(200);
      found.push((await reply.json()) as Found);
    }
    return found;
  };
  const rankings = (found: readonly Found[]) => [...new Set(found.map(({ ranking }) => ranking))].sort();
  const lines = async (file: string) =>
    (await readFile(join(service.folder, 'logs/search_ranking_rollout', file), 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));

  it('gives each user the ranking of the variant, and counts "plain" for the control', async () => {
    // An address that cannot be read ends that request only.
    expect((await fetch(`${url}/`)).status).toBe(500);
    expect(rankings(await find(60, 'cook'))).toEqual(['plain', 'popular', 'recent']);
    await until(async () => {
      const log = await lines('metrics.jsonl');
      expect(log).toHaveLength(asked);
      // A line leaves out what an earlier one of its arm has said.
      const variantsOf = (arm: string) =>
        new Set(log.filter((line) => line.arm === arm && line.variant).map(({ variant }) => variant));
      expect(variantsOf('control')).toEqual(new Set(['plain']));
      expect(variantsOf('treatment')).toEqual(new Set(['recent', 'popular']));
      // The draw of a user was two in three, although the flag is on for all.
      expect(new Set(log.map(({ chance, reason }) => `${reason} ${chance}`))).toEqual(
        new Set(['SPLIT 0.66']),
      );
    });
  });

  it('turns the flag off for one bad variant, and says which one it is', async () => {
    await find(150, 'guide');
    await until(async () => expect((await unleash.flag(FLAG)).enabled).toBe(false));
    const [decided] = (await lines('audit.jsonl')).filter(({ type }) => type === 'decided');
    expect(decided.decision.reason).toContain('have variant "popular"');
    expect(rankings(await find(60, 'guide'))).toEqual(['plain']);
  });

  it('goes on with the good variant when an operator has taken the bad one out', async () => {
    const { id } = (await unleash.flag(FLAG)).strategies[0]!;
    const { project, environment } = unleash;
    await unleash.request(
      'PUT',
      `/api/admin/projects/${project}/features/${FLAG}/environments/${environment}/strategies/${id}`,
      strategy({ plain: 500, recent: 500 }),
    );
    await unleash.enable(FLAG);
    await until(async () => expect(rankings(await find(20, 'guide'))).toEqual(['plain', 'recent']));
    await service.says('has no variant \\"popular\\" in Unleash');
  });

  it('ends with 0 on SIGTERM', async ({ task }) => {
    if ((task.result?.retryCount ?? 0) > 0) {
      // The attempt before has ended it, or tried to.
      await service[Symbol.asyncDispose]();
      await start();
    }
    expect(await service.ends('SIGTERM')).toBe(0);
  });
});
