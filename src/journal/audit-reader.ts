import { z } from 'zod';
import { filesOfLog } from '../log/rotating-file.js';
import { guardEventSchema } from '../model/event.js';
import { linesOf } from '../support/files.js';
import { parseJson } from '../support/json.js';

const entrySchema = z.lazy(() =>
  z.intersection(guardEventSchema, z.object({ flagKey: z.string().optional() })),
);

/** An event as it is written. */
export type AuditEntry = z.infer<typeof entrySchema>;

/** A line of an audit log that is left out. */
export interface AuditProblem {
  readonly file: string;
  /** Counted from 1 within the file. */
  readonly line: number;
  readonly reason: string;
}

/**
 * The events of an audit log in the order in which they were written, rotated files first; nothing without such a
 * file. A line that is
 * not an event of a guard is left out and reported.
 *
 * @throws when a file is there and cannot be read.
 */
export async function* readAuditLog(
  path: string,
  onProblem: (problem: AuditProblem) => void = () => {},
): AsyncGenerator<AuditEntry, void, void> {
  for await (const { handle, path: file } of filesOfLog(path)) {
    let number = 0;
    for await (const lines of linesOf(handle)) {
      for (const line of lines) {
        number += 1;
        if (line === '') continue;
        const event = line === undefined ? 'longer than any event' : parseAuditLine(line);
        if (typeof event === 'string') onProblem({ file, line: number, reason: event });
        else yield event;
      }
    }
  }
}

/**
 * Checks one line of `audit.jsonl`.
 * @returns the event, or a few words on what is wrong with the line.
 */
export function parseAuditLine(line: string): AuditEntry | string {
  const value = parseJson(line);
  if (value === undefined) return 'not JSON, or half a line';
  const parsed = entrySchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  return `${issue?.path.join('.') || 'the line'}: ${issue?.message ?? 'not an event'}`;
}
