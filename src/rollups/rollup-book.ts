import type { GuardEvent } from '../model/event.js';
import { annotationOf } from './annotation-of-event.js';
import { type BookState, type EarlierBook, LENGTHS, type PendingLine } from './book-state.js';
import type { Annotation, Rollup } from './rollup.js';
import { lineOfRollup, rollupOfLine } from './rollup-line.js';
import { RollupSum } from './rollup-sum.js';

/** Lines that wait while a disk or Redis cannot be written: more than a day. */
const MAX_PENDING = 2_000;
/** A version that was seen within that time runs beside the new one while a deploy is under way. */
const DEPLOY_MS = 1_800_000;
const MAX_VERSIONS = 20;
const MAX_TITLE = 80;
const MAX_TEXT = 500;

/**
 * Puts what was counted into minutes, ten minutes and hours at once, so that each of the three lists has everything. What is over
 * waits to be written, and what is running is part of the {@link BookState}: written together, nothing is lost and nothing counts twice.
 *
 * Time may jump: a rollup then has several parts, in several lines, which add up.
 */
export class RollupBook {
  readonly #running: { at: number | undefined; readonly sum: RollupSum }[] = LENGTHS.map(() => ({
    at: undefined,
    sum: new RollupSum(),
  }));
  readonly #total = new RollupSum();
  #totalAt = 0;
  #firstOutcomeAt: number | undefined;
  #lastOutcomeAt: number | undefined;
  #versions = new Map<string, number>();
  #shown: string | undefined;
  #pending: PendingLine[] = [];
  /** Lines that could not wait any longer. Ten minutes and hours have what was in them. */
  #dropped = 0;
  #revision = 0;

  /** Continues what an earlier run or leader left. Call it before anything is added; annotations may be there. */
  restore({ book, pending }: EarlierBook): void {
    this.#pending = [...pending, ...this.#pending];
    for (const line of book.running) {
      const rollup = rollupOfLine(line);
      const index = LENGTHS.findIndex(({ durationMs }) => durationMs === rollup?.durationMs);
      const running = this.#running[index];
      if (rollup === undefined || running === undefined) continue;
      running.at = rollup.at;
      running.sum.add(rollup);
    }
    const total = book.total === undefined ? undefined : rollupOfLine(book.total);
    if (total !== undefined) {
      this.#totalAt = total.at;
      this.#total.add(total);
    }
    this.#firstOutcomeAt = book.firstOutcomeAt ?? this.#firstOutcomeAt;
    this.#lastOutcomeAt ??= book.lastOutcomeAt;
    this.#versions = new Map([...book.versions, ...this.#versions]);
    this.#shown ??= book.shown;
  }

  /** Everything so far, as one rollup; undefined before the first. */
  get total(): Rollup | undefined {
    return this.#total.isEmpty ? undefined : this.#total.toRollup(this.#totalAt, 0);
  }

  get firstOutcomeAt(): number | undefined {
    return this.#firstOutcomeAt;
  }

  get lastOutcomeAt(): number | undefined {
    return this.#lastOutcomeAt;
  }

  /** What is over and not written yet, in order. */
  get pending(): readonly PendingLine[] {
    return this.#pending;
  }

  /** Raised with every change. */
  get revision(): number {
    return this.#revision;
  }

  /** Lines that could not be written for so long that they were dropped. */
  get dropped(): number {
    return this.#dropped;
  }

  /** The rollups that are not over yet. */
  get running(): readonly Rollup[] {
    return this.#running.flatMap(({ at, sum }, index) =>
      at === undefined ? [] : [sum.toRollup(at, LENGTHS[index]!.durationMs)],
    );
  }

  /** Adds what happened from `part.at` on, within one minute. */
  add(part: Rollup): void {
    this.#revision += 1;
    this.#running.forEach((running, index) => {
      const { durationMs } = LENGTHS[index]!;
      const at = Math.floor(part.at / durationMs) * durationMs;
      if (running.at !== undefined && running.at !== at) this.#finish(index);
      running.at = at;
      running.sum.add({ ...part, at });
    });
    if (this.#total.isEmpty) this.#totalAt = part.at;
    // Of time that jumps back, too, the latest is what was added last.
    this.#total.add({ ...part, at: this.#totalAt });
    for (const version of part.serviceVersions) this.#addVersion(version, part.at);
  }

  /** Notes when outcomes ended. */
  addOutcomeTimes(firstAt: number | undefined, lastAt: number | undefined): void {
    this.#firstOutcomeAt ??= firstAt;
    this.#lastOutcomeAt = lastAt ?? this.#lastOutcomeAt;
  }

  /** Marks a moment. */
  annotate({ title, text, ...annotation }: Annotation): void {
    const line = JSON.stringify({
      ...annotation,
      title: title.slice(0, MAX_TITLE),
      text: text.slice(0, MAX_TEXT),
    });
    this.#push({ series: 'annotations', line, end: annotation.at });
  }

  /** Marks an event, if it is one that charts show. What Unleash shows is marked when it is another than before. */
  mark(event: GuardEvent): void {
    if (event.type === 'rollout-changed') {
      const shown = event.enabled ? `${event.rolloutPercentage ?? 'on'}` : 'off';
      if (shown === this.#shown) return;
      this.#shown = shown;
    }
    const annotation = annotationOf(event);
    if (annotation !== undefined) this.annotate(annotation);
  }

  /** These lines, of {@link pending}, are written. */
  written(lines: readonly PendingLine[]): void {
    const done = new Set(lines);
    this.#pending = this.#pending.filter((line) => !done.has(line));
  }

  toState(): BookState {
    const { total } = this;
    return {
      running: this.running.map(lineOfRollup),
      ...(total === undefined ? {} : { total: lineOfRollup(total) }),
      ...(this.#firstOutcomeAt === undefined ? {} : { firstOutcomeAt: this.#firstOutcomeAt }),
      ...(this.#lastOutcomeAt === undefined ? {} : { lastOutcomeAt: this.#lastOutcomeAt }),
      versions: [...this.#versions],
      ...(this.#shown === undefined ? {} : { shown: this.#shown }),
    };
  }

  #finish(index: number): void {
    const { at, sum } = this.#running[index]!;
    const { name, durationMs } = LENGTHS[index]!;
    const line = lineOfRollup(sum.toRollup(at!, durationMs));
    this.#push({ series: name, line, end: at! + durationMs });
    sum.clear();
  }

  #push(line: PendingLine): void {
    this.#revision += 1;
    this.#pending.push(line);
    if (this.#pending.length <= MAX_PENDING) return;
    // A minute is in an hour as well.
    const index = this.#pending.findIndex(({ series }) => series === 'minutes');
    this.#pending.splice(Math.max(0, index), 1);
    this.#dropped += 1;
  }

  /** A version that has not been seen for a while, and is not the latest one, was deployed. */
  #addVersion(version: string, at: number): void {
    const latest = [...this.#versions.keys()].at(-1);
    const seenAt = this.#versions.get(version);
    const isDeploy =
      latest !== undefined && latest !== version && (seenAt === undefined || at - seenAt > DEPLOY_MS);
    this.#versions.delete(version);
    this.#versions.set(version, at);
    if (this.#versions.size > MAX_VERSIONS) this.#versions.delete(this.#versions.keys().next().value!);
    if (!isDeploy) return;
    const text = `The service runs version ${version}; before, it was ${latest}.`;
    this.annotate({ at, type: 'deploy', title: version, text });
  }
}
