import { Agent, get } from 'node:http';
import type { MachineNoise } from './machine-noise.js';

/** A request takes some 25 ms; what the guard adds is measured in microseconds. To this comes what the machine itself does. */
const DELAYED_MS = 1_000;
const MOST_IN_FLIGHT = 200;
const INTERVAL_MS = 20;

/** Where requests go: a process of the service. */
export interface Target {
  /** Undefined while it does not listen. */
  readonly url: string | undefined;
}

/** Users of the service: so many requests a second, each of another user, in turn to each process. */
export class Load {
  sent = 0;
  answered = 0;
  failed = 0;
  /** Requests that were under way in a process when it was killed, and thus failed: no guard can help them. */
  excused = 0;
  /** Answers that took {@link DELAYED_MS} longer than any did at that time from the service without a guard. */
  delayed = 0;
  /** What the failed ones got, each text once. */
  readonly problems = new Set<string>();
  readonly #agent = new Agent({ keepAlive: true });
  readonly #targets: readonly Target[];
  readonly #perSecond: number;
  readonly #noise: MachineNoise;
  #timer: NodeJS.Timeout | undefined;
  #inFlight = 0;
  #excusedUntil = 0;
  #due = 0;
  #lastTick = 0;

  constructor(targets: readonly Target[], perSecond: number, noise: MachineNoise) {
    this.#targets = targets;
    this.#noise = noise;
    this.#perSecond = perSecond;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  start(): void {
    this.#lastTick = performance.now();
    this.#timer ??= setInterval(() => this.#tick(), INTERVAL_MS);
  }

  /** A process is about to be killed. */
  excuse(): void {
    this.#excusedUntil = performance.now();
  }

  pause(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  close(): void {
    this.pause();
    this.#agent.destroy();
  }

  #tick(): void {
    const now = performance.now();
    // After a pause of this process itself, what it missed is not sent at once.
    this.#due += (Math.min(now - this.#lastTick, 200) * this.#perSecond) / 1000;
    this.#lastTick = now;
    for (; this.#due >= 1; this.#due -= 1) {
      const url =
        this.#targets[this.sent % this.#targets.length]?.url ?? this.#targets.find((each) => each.url)?.url;
      if (url !== undefined && this.#inFlight < MOST_IN_FLIGHT) this.#send(url);
    }
  }

  #send(url: string): void {
    this.sent++;
    this.#inFlight++;
    const startedAt = performance.now();
    let ended = false;
    const end = (problem?: string) => {
      if (ended) return;
      ended = true;
      this.#inFlight--;
      this.answered++;
      const tookMs = performance.now() - startedAt;
      if (tookMs > DELAYED_MS && tookMs > DELAYED_MS + this.#noise.slowestSince(startedAt)) this.delayed++;
      if (problem === undefined) return;
      if (startedAt <= this.#excusedUntil) {
        this.excused++;
        return;
      }
      this.failed++;
      if (this.problems.size < 10) this.problems.add(problem);
    };
    get(`${url}/?user=user-${this.sent}`, { agent: this.#agent }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => {
        text += chunk;
      });
      answer.on('end', () => end(answer.statusCode === 200 ? undefined : `${answer.statusCode} ${text}`));
      answer.on('error', (error) => end(String(error)));
    }).on('error', (error) => end(String(error)));
  }
}
