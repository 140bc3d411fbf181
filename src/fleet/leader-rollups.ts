import type { GuardEvent } from '../model/event.js';
import type { EarlierBook } from '../rollups/book-state.js';
import { RollupBook } from '../rollups/rollup-book.js';
import { type RecordedRollout, RollupRecorder } from '../rollups/rollup-recorder.js';
import type { SentRollups } from './fleet-link.js';

/** Lines that are saved at once; after an outage more may wait. */
const MAX_LINES = 500;

/**
 * The rollups of the whole fleet, which the leader saves together with its checkpoint: the next leader continues from both, so that no
 * outcome is lost and none is in them twice.
 */
export class LeaderRollups {
  readonly #rollout: Omit<RecordedRollout, 'serviceVersions'>;
  /** What is to be marked, by whichever leader. */
  readonly #events: GuardEvent[];
  /** Of these, those that are marked and not saved yet. */
  #marked: GuardEvent[] = [];
  #recorder: RollupRecorder;
  #versions = new Set<string>();
  #linesAdded = 0;

  constructor(events: GuardEvent[], rollout: Omit<RecordedRollout, 'serviceVersions'>) {
    this.#events = events;
    this.#rollout = rollout;
    this.#recorder = this.#recorderOf(new RollupBook());
  }

  /** Raised with every change. */
  get revision(): number {
    return this.#recorder.book.revision;
  }

  /** Continues from what the last leader saved. */
  begin(earlier: EarlierBook | undefined, linesAdded: number): void {
    this.end();
    const book = new RollupBook();
    if (earlier !== undefined) book.restore(earlier);
    this.#recorder = this.#recorderOf(book);
    this.#versions.clear();
    this.#linesAdded = linesAdded;
  }

  /** A process with this version of the service has recorded. */
  sawVersion(version: string | undefined): void {
    if (version !== undefined && version !== '') this.#versions.add(version);
  }

  tick(now: number): void {
    this.#recorder.tick(now);
  }

  /** Everything that was counted so far, to be saved. */
  take(now: number): SentRollups {
    const { book } = this.#recorder;
    for (const event of this.#events.splice(0)) {
      book.mark(event);
      this.#marked.push(event);
    }
    this.#recorder.take(now);
    const lines = book.pending.slice(0, MAX_LINES);
    const pending = book.pending.slice(MAX_LINES);
    const earlier = { book: book.toState(), pending };
    return { earlier, lines, linesAdded: this.#linesAdded, events: [...this.#marked] };
  }

  saved({ lines, events }: SentRollups): void {
    this.#recorder.book.written(lines);
    this.#linesAdded += lines.length;
    this.#marked = this.#marked.filter((event) => !events.includes(event));
  }

  /** What was not saved is left to the next leader, if this process is. */
  end(): void {
    this.#events.unshift(...this.#marked.splice(0));
  }

  #recorderOf(book: RollupBook): RollupRecorder {
    return new RollupRecorder(book, {
      ...this.#rollout,
      serviceVersions: () => {
        const versions = [...this.#versions];
        this.#versions.clear();
        return versions;
      },
    });
  }
}
