import type { Clock } from '../clock.js';
import { withDeadline } from '../deadline.js';
import type { SignalValue } from '../flow.js';
import type { SignalSource, Trigger } from '../triggers/trigger.js';

/** What {@link SignalPoller} works with. */
export interface SignalPollerOptions {
  /** Those without a signal are passed over. */
  readonly triggers: readonly Trigger[];
  readonly clock: Clock;
  /** Told when a signal begins to fail, and not again before it has worked. What it throws is dropped. */
  readonly onFault: (what: string, error: unknown) => void;
}

/** One signal and what became of it. */
interface Polled {
  readonly name: string;
  readonly source: SignalSource;
  /** On the monotonic clock. */
  dueAt: number;
  isReading: boolean;
  isFailing: boolean;
  last: SignalValue | undefined;
}

/** Longer texts are cut: they travel with snapshots. */
const LONGEST_PROBLEM = 300;

/** Reads the signals of triggers, each in its own time, and keeps the latest reading of each. Nobody waits for it. */
export class SignalPoller {
  readonly #polled: readonly Polled[];
  readonly #clock: Clock;
  readonly #onFault: SignalPollerOptions['onFault'];
  readonly #closing = new AbortController();
  #values: readonly SignalValue[] = [];

  constructor({ triggers, clock, onFault }: SignalPollerOptions) {
    this.#clock = clock;
    this.#onFault = onFault;
    const dueAt = Number.NEGATIVE_INFINITY;
    this.#polled = triggers.flatMap(({ name, signal: source }) =>
      source === undefined
        ? []
        : { name, source, dueAt, isReading: false, isFailing: false, last: undefined },
    );
  }

  /** What was read last; one entry for each signal that has been asked. */
  get values(): readonly SignalValue[] {
    return this.#values;
  }

  /** Starts the reads that are due and returns at once. A signal that is still being read is left alone. */
  poll(): void {
    if (this.#closing.signal.aborted) return;
    const now = this.#clock.monotonic();
    for (const polled of this.#polled) {
      if (polled.isReading || now < polled.dueAt) continue;
      polled.dueAt = now + polled.source.everyMs;
      void this.#read(polled);
    }
  }

  /** Aborts what is being read; nothing is read any more. */
  close(): void {
    this.#closing.abort(new Error('the guard has ended'));
  }

  async #read(polled: Polled): Promise<void> {
    const { source } = polled;
    const begunAt = this.#clock.now();
    try {
      const answer = await withDeadline(source.timeoutMs, this.#closing.signal, (signal) => {
        polled.isReading = true;
        const work = (async () => source.read({ signal }))();
        // Not when the time is over: a read that does not listen to its signal would pile up.
        const end = () => {
          polled.isReading = false;
        };
        work.then(end, end);
        return work;
      });
      if (this.#closing.signal.aborted) return;
      this.#keep(polled, readingOf(answer, begunAt, this.#clock.now()));
      polled.isFailing = false;
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      const message = error instanceof Error ? error.message : String(error);
      this.#keep(polled, message.slice(0, LONGEST_PROBLEM));
      if (polled.isFailing) return;
      polled.isFailing = true;
      this.#tell(`the signal ${polled.name}`, error);
    }
  }

  /** A reading replaces what was there; a problem leaves it to age. */
  #keep(polled: Polled, found: SignalValue['reading'] | string): void {
    const trigger = polled.name;
    polled.last =
      typeof found === 'string'
        ? { trigger, reading: polled.last?.reading, problem: found }
        : { trigger, reading: found, problem: undefined };
    this.#values = this.#polled.flatMap(({ last }) => last ?? []);
  }

  #tell(what: string, error: unknown): void {
    try {
      this.#onFault(what, error);
    } catch {
      // There is nobody left to tell.
    }
  }
}

/**
 * What a source answered, or in words why it is no reading.
 *
 * @throws TypeError for what no source may answer.
 */
function readingOf(
  answer: unknown,
  begunAt: number,
  now: number,
): NonNullable<SignalValue['reading']> | string {
  const isObject = typeof answer === 'object' && answer !== null;
  const { value, at = begunAt } = (isObject ? answer : { value: answer }) as {
    value?: unknown;
    at?: unknown;
  };
  if (value === undefined || value === null) return 'no data';
  if (typeof value !== 'number') throw new TypeError(`it gave a ${typeof value} instead of a number`);
  if (!Number.isFinite(value)) return `no data (${value})`;
  if (typeof at !== 'number' || !Number.isFinite(at)) throw new TypeError('it gave a time that is none');
  // Another clock may be ahead of this one: nothing is known of the future.
  return Object.freeze({ value, at: Math.min(at, now) });
}
