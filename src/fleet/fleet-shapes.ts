// What crosses the shared store: one schema for each shape, from which its type is inferred.
import { z } from 'zod';
import { storeDumpSchema } from '../measure/outcome-delta.js';
import { decisionSchema } from '../model/shapes.js';
import { reportedStateSchema } from '../model/state.js';
import { parseJson } from '../support/json.js';

/** JSON inside a field of text. */
export function jsonText<Schema extends z.ZodType>(schema: Schema) {
  const parsed = z.string().transform((text, context) => {
    const value = parseJson(text);
    if (value === undefined) context.addIssue({ code: 'custom', message: 'expected JSON' });
    return value;
  });
  return parsed.pipe(schema);
}

const fleetStopSchema = z
  .object({
    decision: jsonText(decisionSchema),
    /** What Unleash accepted: undefined until it accepted the stop. */
    done: z.enum(['off', 'stepped-back']).optional(),
  })
  .readonly();

/** A stop that was decided by one process and applies to all. */
export type FleetStop = z.infer<typeof fleetStopSchema>;

export const fleetStateSchema = z
  .object({
    /** Identifies the server's data: another one means that the data was lost. */
    datasetId: z.string(),
    /** Raised with every change. */
    version: z.int(),
    /** 0 until the first process has reported a definition. */
    epoch: z.int(),
    epochStartedAt: z.number(),
    /** Outcomes of earlier epochs count in no window. */
    oldestEpoch: z.int(),
    /** The definition (see `FlagFacts.revision`) that the epoch belongs to. */
    revision: z.string(),
    /** The stop that applies to the whole fleet. */
    stop: fleetStopSchema.optional(),
    /** The latest decisions that an operator has undone, by identifier. */
    clearedStops: jsonText(z.array(z.string()).readonly()),
  })
  .readonly();

/** What all processes of a fleet agree on for one flag. Times are the server's. */
export type FleetState = z.infer<typeof fleetStateSchema>;

export const syncReplySchema = z
  .object({
    /** The server's time. */
    now: z.number(),
    /**
     * `duplicate`: accepted before. `gap`: deltas after `lastSequence` are missing. `full`: no leader reads, and no more is
     * stored: retry later. `unknown-data`: the server's data is not what the process saw last.
     */
    delta: z.enum(['none', 'accepted', 'duplicate', 'gap', 'full', 'unknown-data']),
    /** The last delta of this process that was accepted. */
    lastSequence: z.int(),
    /** The epoch of the process's definition; 0 without one. */
    assignedEpoch: z.int(),
    /** The leader's instance; undefined while the fleet has none. */
    leader: z.string().optional(),
    /** Set when this process is the leader: its number; a later leader has a higher one. */
    fence: z.int().optional(),
    /** Undefined when the process has it already. */
    state: fleetStateSchema.optional(),
  })
  .readonly();

/** The reply to a sync. */
export type SyncReply = z.infer<typeof syncReplySchema>;

const epochEntrySchema = z.object({ epoch: z.int(), at: z.number(), keepWindows: z.boolean() });

const fleetEntrySchema = z.union([
  z
    .tuple([z.string(), z.tuple([z.literal('delta'), z.string()])])
    .transform(([id, [type, text]]) => ({ id, type, text })),
  z
    .tuple([z.string(), z.tuple([z.literal('epoch'), jsonText(epochEntrySchema)])])
    .transform(([id, [type, epoch]]) => ({ id, type, ...epoch })),
]);

/** What the leader reads, in the order in which the server accepted it. */
export type FleetEntry = z.infer<typeof fleetEntrySchema>;

export const fleetEntriesSchema = z
  .tuple([z.string(), z.array(fleetEntrySchema)])
  .transform(([serverRun, entries]) => ({ serverRun, entries }));

/** Entries after the one that was read last, and which run of the server sent them: another run may have lost earlier ones. */
export type FleetEntries = z.infer<typeof fleetEntriesSchema>;

/** What the leader knew at one moment, for the next leader. */
export const checkpointSchema = jsonText(
  z.object({
    version: z.literal(1),
    /** The last entry that is in it. */
    upTo: z.string(),
    // Of another version: stages and open reviews are then reported once more, and the counts are kept.
    reportedState: reportedStateSchema.optional().catch(undefined),
    dump: storeDumpSchema,
  }),
);
