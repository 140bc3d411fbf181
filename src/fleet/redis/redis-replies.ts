import { z } from 'zod';
import type { Decision } from '../../model/shapes.js';
import { type FleetEntry, FleetError, type FleetState, type SyncReply } from '../fleet-link.js';

const whole = z.coerce.number().pipe(z.int());

const stateSchema = z.tuple([
  z.string(),
  whole,
  whole,
  whole,
  whole,
  z.string(),
  z.string(),
  z.enum(['', 'off', 'stepped-back']),
  z.string(),
]);

const decisionSchema = z.looseObject({
  id: z.string(),
  flagKey: z.string(),
  at: z.number(),
  epoch: z.int(),
  reason: z.string(),
  verdicts: z.array(z.looseObject({ trigger: z.string(), message: z.string() })).min(1),
});

/** Reads the state as the scripts give it. @throws {@link FleetError} when it is none. */
export function readState(answer: unknown): FleetState {
  const parsed = stateSchema.safeParse(answer);
  if (!parsed.success) throw foreign('a state');
  const [datasetId, version, epoch, epochStartedAt, oldestEpoch, revision, stop, done, released] =
    parsed.data;
  return {
    datasetId,
    version,
    epoch,
    epochStartedAt,
    oldestEpoch,
    revision,
    stop:
      stop === ''
        ? undefined
        : {
            decision: json(stop, decisionSchema, 'a decision') as unknown as Decision,
            done: done || undefined,
          },
    clearedStops: json(released, z.array(z.string()), 'a list of decisions'),
  };
}

const replySchema = z.tuple([
  whole,
  z.enum(['none', 'taken', 'duplicate', 'gap', 'full', 'unknown-data']),
  whole,
  whole,
  z.string(),
  z.string(),
  z.unknown(),
]);

/** Reads the answer to a sync. @throws {@link FleetError} when it is none. */
export function readSyncReply(answer: unknown): SyncReply {
  const parsed = replySchema.safeParse(answer);
  if (!parsed.success) throw foreign('an answer to a sync');
  const [now, delta, lastSequence, assignedEpoch, judge, fence, state] = parsed.data;
  return {
    now,
    delta,
    lastSequence,
    assignedEpoch,
    judge: judge === '' ? undefined : judge.slice(0, judge.lastIndexOf(' ')),
    fence: fence === '' ? undefined : Number(fence),
    state: Array.isArray(state) ? readState(state) : undefined,
  };
}

const entrySchema = z.tuple([z.string(), z.tuple([z.enum(['d', 'e']), z.string()])]);

/** Reads one entry of the stream. @throws {@link FleetError} when it is none. */
export function readEntry(answer: unknown): FleetEntry {
  const parsed = entrySchema.safeParse(answer);
  if (!parsed.success) throw foreign('an entry');
  const [id, [kind, text]] = parsed.data;
  if (kind === 'd') return { id, type: 'delta', text };
  const [epoch = 0, at = 0, keepWindows = 0] = text.split(' ').map(Number);
  return { id, type: 'epoch', epoch, at, keepWindows: keepWindows === 1 };
}

function json<T>(text: string, schema: z.ZodType<T>, what: string): T {
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    throw foreign(what);
  }
}

function foreign(what: string): FleetError {
  const message = `Redis holds something else than ${what} under the guard's names: give RedisOutcomeStore another prefix.`;
  return new FleetError(message, { requiresAction: true });
}
