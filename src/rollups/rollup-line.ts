import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { z } from 'zod';
import { LATENCY_SLOTS } from '../measure/latency-histogram.js';
import { parseJson } from '../support/json.js';
import type { TimeRange } from './rollup.js';
import { type Rollup, type RollupArm, rollupSchema } from './rollup.js';

/** Far above what a rollup needs: a foreign line must not fill the memory. */
const MAX_BYTES = 1_048_576;

const lineSchema = z.lazy(() => z.object({ at: z.number(), durationMs: z.number(), data: z.string() }));

/** What is in `data`, but for the histograms, which follow it. */
const headSchema = z.lazy(() => rollupSchema.unwrap().unwrap().omit({ at: true, durationMs: true }));

/**
 * A rollup as one line of JSON. `at` and `durationMs` can be read by anything; `data` is base64 of a raw deflate of the rest, with the
 * histograms as pairs of numbers in seven bits each: with thousands of latency buckets and fifty error types it is a tenth as long.
 */
export function lineOfRollup({ at, durationMs, arms, ...rest }: Rollup): string {
  const head = Buffer.from(
    JSON.stringify({
      ...rest,
      arms: { treatment: withoutBuckets(arms.treatment), control: withoutBuckets(arms.control) },
    }),
  );
  const numbers: number[] = [];
  pushNumber(numbers, head.length);
  const body = Buffer.concat([
    Buffer.from(numbers),
    head,
    Buffer.from(packed(arms.treatment.latency.buckets)),
    Buffer.from(packed(arms.control.latency.buckets)),
  ]);
  return JSON.stringify({ at, durationMs, data: deflateRawSync(body).toString('base64') });
}

/** Whether a rollup is within a range. */
export function isWithin({ at, durationMs }: Pick<Rollup, 'at' | 'durationMs'>, range: TimeRange): boolean {
  return (
    at + durationMs > (range.from ?? Number.NEGATIVE_INFINITY) && at < (range.to ?? Number.POSITIVE_INFINITY)
  );
}

/** The rollup of a line; undefined when it is none, or not within the range. */
export function rollupOfLine(line: string, range: TimeRange = {}): Rollup | undefined {
  const { data: found } = lineSchema.safeParse(parseJson(line));
  if (found === undefined || !isWithin(found, range)) return undefined;
  try {
    const body = inflateRawSync(Buffer.from(found.data, 'base64'), { maxOutputLength: MAX_BYTES });
    const reader = new NumberReader(body);
    const length = reader.next();
    const text = body.toString('utf8', reader.offset, reader.offset + length);
    reader.offset += length;
    const head = headSchema.parse(parseJson(text));
    const treatment = withBuckets(head.arms.treatment, reader);
    const control = withBuckets(head.arms.control, reader);
    return { at: found.at, durationMs: found.durationMs, ...head, arms: { treatment, control } };
  } catch {
    return undefined;
  }
}

function withoutBuckets(arm: RollupArm): RollupArm {
  return { ...arm, latency: { sumMs: arm.latency.sumMs, buckets: [] } };
}

function withBuckets(arm: RollupArm, reader: NumberReader): RollupArm {
  return { ...arm, latency: { sumMs: arm.latency.sumMs, buckets: reader.buckets() } };
}

/** How many, and for each how far its slot is from the one before, and its count. */
function packed(buckets: RollupArm['latency']['buckets']): number[] {
  const bytes: number[] = [];
  pushNumber(bytes, buckets.length);
  let before = -1;
  for (const [slot, count] of buckets) {
    pushNumber(bytes, slot - before);
    pushNumber(bytes, count);
    before = slot;
  }
  return bytes;
}

/** Seven bits a byte, the lowest first; the eighth says that more follow. */
function pushNumber(bytes: number[], value: number): void {
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  bytes.push(rest);
}

/** Thousands of rollups with hundreds of buckets each are read at once. */
class NumberReader {
  offset = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** @throws at the end, or when it is larger than a count can be. */
  next(): number {
    const first = this.#bytes[this.offset++]!;
    if (first < 128) return first;
    let value = first - 128;
    for (let factor = 128; factor <= 2 ** 49; factor *= 128) {
      const byte = this.#bytes[this.offset++];
      if (byte === undefined) break;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    throw new RangeError('no number');
  }

  /** @throws when they are not those of a histogram. */
  buckets(): [number, number][] {
    const length = this.next();
    if (!(length <= LATENCY_SLOTS)) throw new RangeError('no histogram');
    const buckets = new Array<[number, number]>(length);
    let slot = -1;
    for (let index = 0; index < length; index++) {
      slot += this.next();
      buckets[index] = [slot, this.next()];
    }
    if (slot >= LATENCY_SLOTS) throw new RangeError('no slot of a histogram');
    return buckets;
  }
}
