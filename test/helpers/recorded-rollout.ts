import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { vi } from 'vitest';
import { outcomeOfTrack } from '../../src/guard/observe/tracked-outcomes.js';
import { asyncUploadRollout } from '../../src/guard/options/async-upload-rollout.js';
import type { RolloutGuardOptions } from '../../src/guard/options/options.js';
import { RolloutGuard } from '../../src/guard/rollout-guard.js';
import { rowOfOutcome } from '../../src/log/log-row.js';
import { jsonLineOf, RepeatedNames } from '../../src/log/log-row-schema.js';
import type { GuardEvent } from '../../src/model/event.js';
import type { Arm, Decision } from '../../src/model/shapes.js';
import { FakeAdminApi } from './fake-admin-api.js';
import { FakeFlags } from './fake-flags.js';

/** A part of a rollout: what an operator set in Unleash, and how the code then behaved. */
export interface Phase {
  /** 0 is off. */
  readonly percentage: number;
  readonly outcomes: number;
  /** Between two outcomes, in milliseconds. */
  readonly everyMs: number;
  readonly failureRate?: Partial<Record<Arm, number>>;
  readonly medianMs?: Partial<Record<Arm, number>>;
  readonly errorTypes?: readonly string[];
}

export interface RecordedRollout {
  readonly events: readonly GuardEvent[];
  readonly decisions: readonly Decision[];
  /** How many lines `metrics.jsonl` has. */
  readonly outcomes: number;
  /** Where the fake clock stood at the end. */
  readonly endedAt: number;
}

export const ROLLOUT_START = Date.UTC(2026, 2, 2, 8, 0, 0);

/**
 * Runs the real guard through a rollout on a fake clock, against a fake Unleash, and leaves its folder behind: the audit
 * log and journal that the guard wrote, and the log of exactly the outcomes that were reported to it. Fake timers must be off;
 * they are off again afterwards.
 */
export async function recordRollout(
  folder: string,
  phases: readonly Phase[],
  options: Partial<RolloutGuardOptions> = {},
): Promise<RecordedRollout> {
  vi.useFakeTimers({
    now: ROLLOUT_START,
    toFake: ['Date', 'performance', 'setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'],
  });
  const flags = new FakeFlags();
  flags.change({ rolloutPercentage: phases[0]?.percentage, enabled: (phases[0]?.percentage ?? 0) > 0 });
  const unleash = new FakeAdminApi();
  const events: GuardEvent[] = [];
  const random = randomFrom(7);
  const guard = new RolloutGuard({
    flagKey: 'async-upload',
    flags,
    unleash: { url: 'http://unleash.test/api', token: '*:*.made-up', environment: 'production' },
    rollback: asyncUploadRollout.rollback,
    review: asyncUploadRollout.review,
    stages: asyncUploadRollout.stages,
    logger: false,
    fetch: unleash.fetch,
    random: () => 0,
    readMemoryBytes: () => 200 * 2 ** 20,
    ...options,
    folder,
    onEvent: (event) => events.push(event),
  });
  const lines: string[] = [];
  const names = new RepeatedNames();
  const percentages = new Map<number, number>();
  try {
    await guard.start();
    for (const [index, phase] of phases.entries()) {
      if (index > 0) changeRollout(flags, unleash, phase.percentage);
      percentages.set(guard.status().epoch, phase.percentage);
      for (let count = 0; count < phase.outcomes; count++) {
        vi.advanceTimersByTime(phase.everyMs);
        lines.push(reportOutcome(guard, flags, phase, percentages, random, lines.length, names));
        // The guard evaluates at the end of the turn.
        await nextTurn();
        if (guard.status().state.status === 'stopping') await stopped(guard, flags);
      }
    }
    vi.advanceTimersByTime(1_000);
  } finally {
    await guard.close();
    vi.useRealTimers();
  }
  await writeFile(join(folder, 'metrics.jsonl'), lines.join(''));
  const decisions = events.flatMap((event) => (event.type === 'decided' ? [event.decision] : []));
  return { events, decisions, outcomes: lines.length, endedAt: events.at(-1)!.at };
}

function changeRollout(flags: FakeFlags, unleash: FakeAdminApi, percentage: number): void {
  const enabled = percentage > 0;
  if (enabled !== unleash.enabled) unleash.toggle(enabled, 'ada');
  flags.change({ enabled, rolloutPercentage: percentage });
}

/** One user's operation: an exposure, and `client.track()` when it has ended. @returns its line in the log */
function reportOutcome(
  guard: RolloutGuard,
  flags: FakeFlags,
  phase: Phase,
  percentages: ReadonlyMap<number, number>,
  random: () => number,
  serial: number,
  names: RepeatedNames,
): string {
  const isOn = flags.facts!.enabled && !flags.isOverridden() && random() * 100 < phase.percentage;
  const arm: Arm = isOn ? 'treatment' : 'control';
  const targetingKey = `user-${serial}`;
  const draw = { chance: phase.percentage / 100, contextId: targetingKey };
  const isDrawn = flags.facts!.enabled && !flags.isOverridden();
  const exposure = guard.exposed(
    isDrawn ? { value: isOn, reason: 'SPLIT', flagMetadata: draw } : { value: isOn, reason: 'DISABLED' },
    targetingKey,
  );
  const success = random() >= (phase.failureRate?.[arm] ?? 0.002);
  const medianMs = phase.medianMs?.[arm] ?? (isOn ? 420 : 640);
  const errorTypes = phase.errorTypes ?? ['TimeoutError', 'ECONNRESET', 'StorageError'];
  const event = {
    name: 'async-upload',
    targetingKey,
    value: Math.round(medianMs * Math.exp(0.45 * normal(random)) * 100) / 100,
    details: success
      ? { success, file_size_mb: 3 }
      : { success, errorType: errorTypes[Math.floor(random() ** 2 * errorTypes.length)]! },
  };
  flags.track(event);
  const outcome = outcomeOfTrack(event, exposure, new Set(), Date.now());
  if (typeof outcome === 'string') throw new Error(outcome);
  return jsonLineOf(
    rowOfOutcome(outcome, {
      executionTypes: { treatment: 'async', control: 'sync', fallback: 'sync_fallback' },
      columns: ['file_size_mb', 'provider', 'request_id'],
      percentageOf: (epoch) => percentages.get(epoch),
      hidden: (unit) => unit.replace('user-', 'hash'),
    }),
    names,
  );
}

/** Waits until Unleash is off; the fake clock stands still meanwhile. The flag's definition then arrives as off. */
async function stopped(guard: RolloutGuard, flags: FakeFlags): Promise<void> {
  while (guard.status().state.status !== 'stopped') await nextTurn();
  flags.change({ enabled: false });
}

function randomFrom(seed: number): () => number {
  let state = seed;
  // Lehmer's generator with the multiplier of Park and Miller, "minimal standard".
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
}
