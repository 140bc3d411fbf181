import { open } from 'node:fs/promises';
import { z } from 'zod';
import type { GuardEvent } from '../model/event.js';
import { ARMS } from '../model/flow.js';
import { linesOf } from '../support/lines.js';

/** The name of the audit log within a guard's folder. */
export const AUDIT_FILE = 'audit.jsonl';

/** An event as it is written. */
export type AuditEntry = GuardEvent & { readonly flagKey?: string | undefined };

/** A line of an audit log that is left out. */
export interface AuditProblem {
  /** Counted from 1. */
  readonly line: number;
  readonly reason: string;
}

/**
 * The events of an audit log in the order in which they were written; nothing when there is no such file. What is not
 * an event of a guard is left out and told.
 *
 * @throws when the file is there and cannot be read.
 */
export async function* readAuditLog(
  path: string,
  onProblem: (problem: AuditProblem) => void = () => {},
): AsyncGenerator<AuditEntry, void, void> {
  const handle = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (handle === undefined) return;
  try {
    let number = 0;
    for await (const lines of linesOf(handle)) {
      for (const line of lines) {
        number += 1;
        if (line === '') continue;
        const event = line === undefined ? 'longer than an event can be' : parseAuditLine(line);
        if (typeof event === 'string') onProblem({ line: number, reason: event });
        else yield event;
      }
    }
  } finally {
    await handle.close();
  }
}

/**
 * Checks one line of `audit.jsonl`.
 * @returns the event, or one short sentence that says what is wrong with the line.
 */
export function parseAuditLine(line: string): AuditEntry | string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return 'not JSON, or half a line';
  }
  const parsed = eventSchema.safeParse(value);
  if (parsed.success) return parsed.data as AuditEntry;
  const [issue] = parsed.error.issues;
  return `${issue?.path.join('.') || 'the line'}: ${issue?.message ?? 'not an event'}`;
}

const count = z.number().min(0);
const arms = <S extends z.ZodType>(schema: S) => z.object({ treatment: schema, control: schema });
const number = z.number().optional();

const verdict = z.object({
  trigger: z.string(),
  status: z.enum(['ok', 'insufficient-data', 'breach']),
  observed: number,
  threshold: z.number(),
  sampleSize: arms(count),
  windowMs: z.number(),
  freshnessMs: number,
  message: z.string(),
});

const counts = z.object({
  successes: count,
  failures: count,
  expected: count,
  aborted: count,
  critical: count,
  fallbacks: count,
  retried: count,
  complaints: count.default(0),
});

const decision = z.object({
  id: z.string(),
  flagKey: z.string(),
  action: z.enum(['stop', 'step-back']),
  toPercentage: number,
  dryRun: z.boolean(),
  at: z.number(),
  epoch: z.number(),
  rolloutPercentage: number,
  verdicts: z.array(verdict),
  counts: arms(counts),
  reason: z.string(),
});

const progress = z.object({
  stage: z.object({
    percentage: z.number(),
    minOutcomes: z.number(),
    minSuccessRate: z.number(),
    minDurationMs: number,
  }),
  index: z.int().min(0),
  status: z.enum(['collecting', 'met', 'missed', 'blocked']),
  outcomes: count,
  successRate: number,
  elapsedMs: z.number(),
  message: z.string(),
});

const attributes = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));

const event = <Type extends GuardEvent['type'], Shape extends z.ZodRawShape>(type: Type, shape: Shape) =>
  z.object({ type: z.literal(type), at: z.number(), flagKey: z.string().optional(), ...shape });
const epoch = z.number();
const decisionId = z.string();

const eventSchema = z.discriminatedUnion(
  'type',
  [
    event('started', { epoch, status: z.enum(['armed', 'stopping', 'stopped']) }),
    event('rollout-changed', { epoch, enabled: z.boolean(), rolloutPercentage: number }),
    event('decided', { decision, by: z.literal('fleet').optional() }),
    event('fleet-connection', { problem: z.string().optional() }),
    event('stopped-here', { decisionId }),
    event('stop-failed', {
      decisionId,
      failure: z.object({ code: z.string(), message: z.string(), requiresAction: z.boolean() }),
    }),
    event('action-required', { decisionId, message: z.string() }),
    event('stopped', { decisionId, confirmedBy: z.enum(['read-back', 'definition', 'fleet']) }),
    event('stepped-back', { decisionId, from: number, to: number }),
    event('unleash-history', { change: z.enum(['off', 'on']), by: z.string(), changedAt: z.number() }),
    event('re-armed', { epoch }),
    event('stage', { epoch, progress }),
    event('advanced', { epoch, from: z.number(), to: z.number() }),
    event('review-opened', { epoch, verdict }),
    event('review-closed', { epoch, verdict }),
    event('complaint', { epoch, arm: z.enum(ARMS), attributes: attributes.optional() }),
    event('fault', { what: z.string(), message: z.string() }),
    event('closed', {}),
  ],
  { error: 'an event that this version does not know' },
);
