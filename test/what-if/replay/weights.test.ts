import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseRules } from '../../../src/guard/options/rules.js';
import { failureRegression } from '../../../src/triggers/event-regression.js';
import { latencyRegression } from '../../../src/triggers/latency-regression.js';
import { sampleRatioMismatch } from '../../../src/triggers/sample-ratio-mismatch.js';
import { successRateBelow } from '../../../src/triggers/success-rate-below.js';
import { replayLog } from '../../../src/what-if/replay/replay-log.js';
import { seeded } from '../../helpers/kill-log.js';
import { startLogging } from '../../log/logging.js';
import { outcomeOf, START } from '../../measure/outcomes.js';

const RULES = parseRules(
  {
    rollback: [
      successRateBelow(0.95, { minOutcomes: 100 }),
      failureRegression(),
      latencyRegression(),
      sampleRatioMismatch(),
    ],
  },
  'rules',
);

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weights-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

interface Plan {
  readonly seed: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly failureRate: { readonly treatment: number; readonly control: number };
  readonly medianMs: { readonly treatment: number; readonly control: number };
}

/** Logs one rollout twice, all of it and a sample, and replays both. */
async function replayBoth({ seed, seconds, perSecond, failureRate, medianMs }: Plan) {
  const paths = [join(folder, `all-${seed}`), join(folder, `sample-${seed}`)] as const;
  const options = { csv: false, summaryMs: 1_000_000 };
  const all = await startLogging(paths[0], { ...options, maxLinesPerSecond: 1_000_000 });
  const sample = await startLogging(paths[1], { ...options, maxLinesPerSecond: 20 });
  const random = seeded(seed);
  for (let second = 0; second < seconds; second++) {
    for (let index = 0; index < perSecond; index++) {
      const at = START + Math.floor((second + index / perSecond) * 1_000);
      const arm = random() < 0.2 ? 'treatment' : 'control';
      const outcome = outcomeOf({
        at,
        arm,
        chance: 0.2,
        targetingKey: `user-${second}-${index}`,
        result: random() < failureRate[arm] ? 'failure' : 'success',
        durationMs: medianMs[arm] * Math.exp(random() - 0.5),
      });
      const { exposure } = outcome;
      for (const { log } of [all, sample]) {
        log.record({ ...outcome, exposure: { ...exposure, at: at - Math.round(outcome.durationMs!) } });
      }
    }
    for (const { log, time } of [all, sample]) {
      time.now += 1_000;
      await log.flush();
    }
  }
  await all.log.close();
  await sample.log.close();
  const replays = [];
  for (const path of paths) replays.push(await replayLog(path, { rules: RULES, tickMs: 1_000 }));
  return { all: replays[0]!, sample: replays[1]! };
}

describe('the replay of a sampled log', () => {
  it('finds a failing treatment when the replay of the whole log does, with the same counts', async () => {
    const plan = { seconds: 60, perSecond: 200, failureRate: { treatment: 0.1, control: 0.01 } };
    const { all, sample } = await replayBoth({
      ...plan,
      seed: 3,
      medianMs: { treatment: 300, control: 300 },
    });
    expect(sample.outcomes).toBe(all.outcomes);
    const firing = (replay: typeof all, trigger: string) =>
      replay.firings.list.find((each) => each.trigger === trigger);
    for (const trigger of ['failure-regression', 'success-rate-below']) {
      const [whole, part] = [firing(all, trigger), firing(sample, trigger)];
      expect(whole, trigger).toBeDefined();
      expect(Math.abs(part!.at - whole!.at), trigger).toBeLessThanOrEqual(5_000);
    }
    const observed = (replay: typeof all) => firing(replay, 'success-rate-below')!.verdict.observed!;
    expect(Math.abs(observed(sample) - observed(all))).toBeLessThan(0.02);
    expect(firing(sample, 'sample-ratio-mismatch')).toBeUndefined();
    expect(firing(sample, 'latency-regression')).toBeUndefined();
  });

  it('finds a slow treatment, and nothing else', async () => {
    const plan = { seconds: 60, perSecond: 200, failureRate: { treatment: 0.01, control: 0.01 } };
    const { all, sample } = await replayBoth({
      ...plan,
      seed: 5,
      medianMs: { treatment: 450, control: 300 },
    });
    for (const replay of [all, sample]) {
      expect(replay.firings.list.map(({ trigger }) => trigger)).toEqual(['latency-regression']);
    }
  });

  it('finds nothing where both arms are alike, though all failures are written and few successes', async () => {
    for (let seed = 10; seed < 20; seed++) {
      const rate = { treatment: 0.03, control: 0.03 };
      const medianMs = { treatment: 300, control: 300 };
      const plan = { seconds: 20, perSecond: 200, failureRate: rate, medianMs };
      const { sample } = await replayBoth({ ...plan, seed });
      expect(
        sample.firings.list.map(({ trigger }) => trigger),
        `seed ${seed}`,
      ).toEqual([]);
    }
  });
});
