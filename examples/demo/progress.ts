import { Presets, SingleBar } from 'cli-progress';
import type { Upload } from './traffic.js';

/** Shows how far the demo is. */
export interface Progress {
  start(label: string, total: number): Bar;
}

/** One phase. */
export interface Bar {
  step(uploads: readonly Upload[]): void;
  end(uploads: readonly Upload[]): void;
}

/** Bars on a terminal; elsewhere one plain line a phase. */
export function createProgress(): Progress {
  return process.stdout.isTTY ? { start: terminalBar } : { start: plainLine };
}

function terminalBar(label: string, total: number): Bar {
  const format = `  ${label.padEnd(18)} {bar} {value} uploads · {summary}`;
  const bar = new SingleBar({ format, hideCursor: true, barsize: 24 }, Presets.shades_classic);
  bar.start(total, 0, { summary: '' });
  return {
    step: (uploads) => {
      if (uploads.length > bar.getTotal()) bar.setTotal(uploads.length);
      bar.update(uploads.length, { summary: summary(uploads) });
    },
    end: (uploads) => {
      bar.setTotal(uploads.length);
      bar.update(uploads.length, { summary: summary(uploads) });
      bar.stop();
    },
  };
}

function plainLine(label: string): Bar {
  return {
    step: () => {},
    end: (uploads) => console.log(`  ${label.padEnd(18)} ${uploads.length} uploads · ${summary(uploads)}`),
  };
}

/** For example `191 streaming, 209 buffered, 0 failed`. */
export function summary(uploads: readonly Upload[]): string {
  const by = (via: string) => uploads.filter((upload) => upload.ok && upload.via === via).length;
  const failed = uploads.filter(({ ok }) => !ok).length;
  return `${by('streaming')} streaming, ${by('buffered')} buffered, ${failed} failed`;
}
