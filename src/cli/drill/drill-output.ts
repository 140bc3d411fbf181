import { formatQuantity } from '../../support/wording.js';
import type { DrillResult, DrillStep, DrillStepName } from './drill-steps.js';
import { DRILL_STEPS } from './drill-steps.js';

/** The part of a terminal that is needed; `process.stdout` fits. */
interface OutputStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const WIDTH = Math.max(...DRILL_STEPS.map((step) => step.length));
const ERASE_LINE = '\r\u001b[K';

/** Shows a drill line by line while it runs; on a terminal, the step that is under way too. */
export class DrillOutput {
  readonly #stream: OutputStream;
  #running: DrillStepName | undefined;

  constructor(stream: OutputStream) {
    this.#stream = stream;
  }

  head({ url, project, environment }: { url: string; project: string; environment: string }): void {
    this.#stream.write(
      `Fire drill in project ${project}, environment ${environment}, at ${printable(url)}\n\n`,
    );
  }

  readonly onBegin = (step: DrillStepName): void => {
    this.#running = step;
    if (this.#stream.isTTY) this.#stream.write(`· ${step.padEnd(WIDTH)}  …`);
  };

  readonly onEnd = ({ step, status, message, tookMs }: DrillStep): void => {
    this.#erase();
    const sign = status === 'ok' ? '✓' : '✗';
    const time = formatTook(tookMs).padStart(8);
    this.#stream.write(`${sign} ${step.padEnd(WIDTH)}  ${time}  ${printable(message)}\n`);
  };

  /** The user wants to end it. */
  interrupted(): void {
    this.#erase();
    this.#stream.write(
      'Interrupted: the flag is being put back. A second Ctrl-C ends at once, and leaves it.\n',
    );
  }

  conclude(result: DrillResult): void {
    this.#erase();
    this.#stream.write(`\n${conclusionOf(result)}\n`);
  }

  #erase(): void {
    if (this.#running !== undefined && this.#stream.isTTY) this.#stream.write(ERASE_LINE);
    this.#running = undefined;
  }
}

function conclusionOf({ ok, wasInterrupted, steps, times }: DrillResult): string {
  if (ok && times !== undefined) return success(times);
  const failed = steps.filter(({ status }) => status === 'failed').map(({ step }) => step);
  if (failed.every((step) => step === 'clean-up')) return 'The path works; the flag was not put back.';
  const left = failed.includes('clean-up') ? ' The flag was not put back.' : '';
  if (wasInterrupted) return `The drill was interrupted: it proves nothing.${left}`;
  return `The drill failed at "${failed[0]}": with these settings, a guard would not protect its flag.${left}`;
}

function success({ decidedMs, offMs, seenMs }: NonNullable<DrillResult['times']>): string {
  return [
    'The whole path works. After the first failing call:',
    `  ${formatTook(decidedMs).padStart(8)}  the process that saw the failures served the control`,
    `  ${formatTook(offMs).padStart(8)}  the flag was off in Unleash`,
    `  ${formatTook(seenMs).padStart(8)}  a provider that polls each second had seen it; a service sees it with its own next poll`,
  ].join('\n');
}

function formatTook(durationMs: number): string {
  return durationMs >= 1_000 ? `${(durationMs / 1_000).toFixed(1)} s` : formatQuantity(durationMs, 'ms');
}

/** Texts come from Unleash too: an escape sequence in one must not reach the terminal. */
function printable(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}
