import type { SignalValue } from '../../model/snapshot.js';
import { messageOf } from '../../support/async/callbacks.js';
import type { Clock } from '../../support/clock.js';
import { withDeadline } from '../../support/deadline.js';
import type { SignalSource, Trigger } from '../trigger.js';

/** Options of {@link SignalPoller}. */
interface SignalPollerOptions {
  /** Those without a signal are skipped. */
  readonly triggers: readonly Trigger[];
  readonly clock: Clock;
  /** The guard's connection. @default each signal's own */
  readonly fetch?: typeof fetch | undefined;
  /** Called when a signal begins to fail, once until it has worked. What it throws is dropped. */
  readonly onFault: (what: string, error: unknown) => void;
}

/** One signal and what became of it. Times are of the monotonic clock. */
interface Polled {
  readonly name: string;
  readonly source: SignalSource;
  dueAt: number;
  isReading: boolean;
  isFailing: boolean;
  reading: { readonly value: number; readonly trueAt: number } | undefined;
  problem: string | undefined;
  /** Of the readings in a row that the trigger counts. */
  row: readonly number[];
  /** The time that the source gave for the latest reading, by its clock. */
  givenAt: number | undefined;
  /** Since when, and when last, it was to be read. */
  readSince: number;
  polledAt: number;
}

/** Longer texts are cut: they travel with snapshots. */
const LONGEST_PROBLEM = 300;

/** Reads the signals of triggers, each at its own interval, and keeps the latest reading of each. Nothing waits for it. */
export class SignalPoller {
  readonly #polled: readonly Polled[];
  readonly #clock: Clock;
  readonly #fetch: typeof fetch | undefined;
  readonly #onFault: SignalPollerOptions['onFault'];
  readonly #closing = new AbortController();

  constructor({ triggers, clock, onFault, fetch }: SignalPollerOptions) {
    this.#fetch = fetch;
    this.#clock = clock;
    this.#onFault = onFault;
    const rest = {
      ...{ isReading: false, isFailing: false, reading: undefined, problem: undefined },
      ...{ row: [], givenAt: undefined, readSince: 0, polledAt: Number.NEGATIVE_INFINITY },
    };
    this.#polled = triggers.flatMap(({ name, signal: source }) =>
      source === undefined ? [] : { name, source, dueAt: Number.NEGATIVE_INFINITY, ...rest },
    );
  }

  /**
   * The latest readings; one entry for each signal that has been read.
   *
   * @param now - By the clock of the rest of the snapshot: only the age of a reading is certain.
   */
  values(now: number): readonly SignalValue[] {
    const since = this.#clock.monotonic();
    // Upwards, or a reading of the millisecond in which an epoch began would seem to be of the one before.
    const timeOf = (monotonic: number) => Math.ceil(now - Math.max(0, since - monotonic));
    return this.#polled.flatMap(({ name, source, reading, problem, row, readSince }) => {
      if (reading === undefined && problem === undefined) return [];
      const at = reading === undefined ? undefined : timeOf(reading.trueAt);
      return {
        trigger: name,
        reading: reading === undefined || at === undefined ? undefined : { value: reading.value, at },
        problem,
        readSince: timeOf(readSince),
        ...(source.row && { row: row.map(timeOf) }),
      };
    });
  }

  /** Starts the reads that are due and returns at once. A signal that is still being read is left alone. */
  poll(): void {
    if (this.#closing.signal.aborted) return;
    const now = this.#clock.monotonic();
    for (const polled of this.#polled) {
      // Nothing was missing while nothing was to be read: another process led, or the flag was off.
      if (now - polled.polledAt > polled.source.maxAgeMs) polled.readSince = now;
      polled.polledAt = now;
      if (polled.isReading || now < polled.dueAt) continue;
      polled.dueAt = now + polled.source.everyMs;
      void this.#read(polled);
    }
  }

  /** Aborts what is being read; nothing is read any more. */
  close(): void {
    this.#closing.abort(new Error('the guard is closed'));
  }

  async #read(polled: Polled): Promise<void> {
    const { source } = polled;
    const begunAt = this.#clock.monotonic();
    try {
      const answer = await withDeadline(source.timeoutMs, this.#closing.signal, (signal) => {
        polled.isReading = true;
        const work = (async () => source.read({ signal, fetch: this.#fetch }))();
        // Not at the timeout: reads that ignore their signal would pile up.
        const end = () => {
          polled.isReading = false;
        };
        work.then(end, end);
        return work;
      });
      if (this.#closing.signal.aborted) return;
      this.#setReading(polled, answer, begunAt);
      polled.isFailing = false;
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      polled.problem = messageOf(error).slice(0, LONGEST_PROBLEM);
      if (polled.isFailing) return;
      polled.isFailing = true;
      try {
        this.#onFault(`the signal ${polled.name}`, error);
      } catch {
        // A fault of the fault handler has no other place to go.
      }
    }
  }

  /** A number replaces the one before; its absence leaves that one to age. @throws TypeError for what is neither. */
  #setReading(polled: Polled, answer: unknown, begunAt: number): void {
    const isObject = typeof answer === 'object' && answer !== null;
    const { value, at } = (isObject ? answer : { value: answer }) as Record<'value' | 'at', unknown>;
    if (value === undefined || value === null) {
      polled.problem = 'no data';
      return;
    }
    if (typeof value !== 'number') throw new TypeError(`it returned a ${typeof value} instead of a number`);
    if (!Number.isFinite(value)) {
      polled.problem = `no data (${value})`;
      return;
    }
    if (at !== undefined && !Number.isFinite(at)) throw new TypeError('it returned an invalid time');
    // Another clock may be ahead of this one: a reading cannot be from the future.
    const ageMs = at === undefined ? undefined : Math.max(0, this.#clock.now() - (at as number));
    const before = polled.reading;
    const reading = {
      value,
      trueAt: ageMs === undefined ? begunAt : this.#clock.monotonic() - ageMs,
    };
    // One that is read again confirms nothing.
    const isSame = at !== undefined && at === polled.givenAt;
    polled.givenAt = at as number | undefined;
    polled.reading = reading;
    this.#addToRow(polled, reading, isSame, before?.trueAt);
    polled.problem = undefined;
  }

  #addToRow(
    polled: Polled,
    { value, trueAt }: { readonly value: number; readonly trueAt: number },
    isSame: boolean,
    before: number | undefined,
  ): void {
    const { row: counted, maxAgeMs } = polled.source;
    if (counted === undefined) return;
    const isGap = before === undefined || trueAt - before > maxAgeMs;
    const row = isGap ? [] : polled.row;
    if (!counted.has(value)) polled.row = [];
    else if (!isSame) polled.row = [...row, trueAt].slice(-counted.most);
  }
}
