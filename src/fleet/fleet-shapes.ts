// What crosses the shared store: one schema for each shape, from which its type is inferred.
import { z } from 'zod';
import { storeDumpSchema } from '../measure/outcome-delta.js';
import { controlStateSchema } from '../model/control.js';
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

const fleetStopSchema = z.lazy(() =>
  z
    .object({
      decision: jsonText(decisionSchema),
      /** What Unleash accepted: undefined until it accepted the stop. */
      done: z.enum(['off', 'stepped-back']).optional(),
    })
    .readonly(),
);

/** A stop that was decided by one process and applies to all. */
export type FleetStop = z.infer<typeof fleetStopSchema>;

export const fleetStateSchema = z.lazy(() =>
  z
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
      /** What operators have asked for and still applies; undefined before the first request. */
      controls: jsonText(controlStateSchema).optional().catch(undefined),
    })
    .readonly(),
);

/** What all processes of a fleet agree on for one flag. Times are the server's. */
export type FleetState = z.infer<typeof fleetStateSchema>;

export const stopNoticeSchema = z.object({
  datasetId: z.string(),
  version: z.int(),
  /** The decision's. */
  id: z.string(),
  reason: z.string(),
});

/** What of an announced state turns the flag off: a process acts on it before it has read the rest. */
export type StopNotice = Readonly<z.infer<typeof stopNoticeSchema>>;

/** By what a process is the leader. */
export interface Lease {
  /** A later leader has a higher number. */
  readonly fence: number;
  /** The {@link FleetState.datasetId} that it leads. */
  readonly datasetId: string;
}

export const syncReplySchema = z.lazy(() =>
  z
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
      /** How many processes were seen within a day. */
      processes: z.int(),
      /** How many that may lead were seen within a minute; 0 for a process that may not. */
      candidates: z.int(),
      /** Undefined when the process has it already. */
      state: fleetStateSchema.optional(),
    })
    .readonly(),
);

/** The reply to a sync. */
export type SyncReply = z.infer<typeof syncReplySchema>;

const epochEntrySchema = z.lazy(() => z.object({ epoch: z.int(), at: z.number(), keepWindows: z.boolean() }));

const fleetEntrySchema = z.lazy(() =>
  z.union([
    z
      .tuple([z.literal('delta'), z.string(), z.literal('from'), z.string(), z.literal('feeds'), z.string()])
      .transform(([type, text, , from, , feeds]) => ({ type, text, from, feeds })),
    z
      .tuple([z.literal('epoch'), jsonText(epochEntrySchema)])
      .transform(([type, epoch]) => ({ type, ...epoch })),
  ]),
);

/** What the leader reads, in the order in which the server accepted it. What it cannot read may be of a newer version, or foreign. */
export type FleetEntry = { readonly id: string } & (
  | z.infer<typeof fleetEntrySchema>
  | { readonly type: 'unreadable'; readonly why: string }
);

function entryOf([id, fields]: readonly [string, unknown]): FleetEntry {
  const parsed = fleetEntrySchema.safeParse(fields);
  if (parsed.success) return { id, ...parsed.data };
  const kind = Array.isArray(fields) ? String(fields[0]).slice(0, 32) : typeof fields;
  return { id, type: 'unreadable', why: `its first field is "${kind}", and its contents are no guard's` };
}

export const fleetEntriesSchema = z.lazy(() =>
  z
    .tuple([
      z.string(),
      z.array(z.tuple([z.string(), z.unknown()]).transform(entryOf)),
      z.int(),
      z.int(),
      z.int(),
      z.int(),
      z.int(),
    ])
    .transform(([serverRun, entries, isAll, settledUpTo, epoch, oldestEpoch, epochStartedAt]) => ({
      serverRun,
      entries,
      isAll: isAll === 1,
      settledUpTo,
      epoch,
      oldestEpoch,
      epochStartedAt,
    })),
);

/**
 * Entries after the one that was read last, whether they are all, and which run of the server sent them: another run may have
 * lost earlier ones. `settledUpTo`: the server's time up to which every process that was seen within the lease has sent
 * all its outcomes.
 */
export type FleetEntries = z.infer<typeof fleetEntriesSchema>;

/** Raised whenever the meaning of a checkpoint changes. */
export const CHECKPOINT_VERSION = 3;

/** What the leader knew at one moment, for the next leader. */
export const checkpointSchema = z.lazy(() =>
  jsonText(
    z.object({
      version: z.literal(CHECKPOINT_VERSION),
      /** The last entry that is in it. */
      upTo: z.string(),
      // Of another version: stages and open reviews are then reported once more, and the counts are kept.
      reportedState: reportedStateSchema.optional().catch(undefined),
      dump: storeDumpSchema,
    }),
  ),
);

const processAboutSchema = z.lazy(() =>
  z
    .object({
      /** Of this package. */
      version: z.string(),
      serviceVersion: z.string().optional(),
      /** A digest of what its rules need; see `feeds.ts`. */
      rules: z.string(),
    })
    .readonly(),
);

/** What a process says of itself. */
export type ProcessAbout = z.infer<typeof processAboutSchema>;

export const fleetProcessSchema = z
  .tuple([z.string(), z.coerce.number(), jsonText(processAboutSchema)])
  .transform(([instance, lastHeardAt, about]) => ({ instance, lastHeardAt, ...about }));

/** A process that has sent something lately. Times are the server's. */
export type FleetProcess = z.infer<typeof fleetProcessSchema>;

export const processGroupSchema = z
  .tuple([jsonText(processAboutSchema), z.int()])
  .transform(([about, processes]) => ({ ...about, processes }));

/** How many processes say the same of themselves. */
export type ProcessGroup = z.infer<typeof processGroupSchema>;

/** The processes that have sent something lately. */
export interface FleetProcesses {
  /** The leader, and those that were silent longest: 200 at most. */
  readonly listed: readonly FleetProcess[];
  /** All of them. */
  readonly groups: readonly ProcessGroup[];
}
