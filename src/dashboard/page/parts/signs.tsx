import type { ComponentChildren } from 'preact';
import type { Arm } from '../../../model/shapes.js';
import type { Mood } from '../words/standing.js';

/** A shape for each mood, so that colour is not the only sign. */
const SHAPES: Readonly<Record<Mood, string>> = {
  good: 'M3.5 8.5l3 3 6-7',
  busy: 'M8 4v4l3 2',
  warn: 'M8 4.5v4.5M8 11.2v.6',
  bad: 'M5 5l6 6M11 5l-6 6',
  off: 'M4.5 8h7',
};

export function Sign({ mood }: { mood: Mood }) {
  return (
    <svg class={`sign ${mood}`} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      {mood === 'warn' ? (
        <path class="plate" d="M8 .8 15.6 15H.4z" />
      ) : (
        <circle class="plate" cx="8" cy="8" r="8" />
      )}
      <path class="stroke" d={SHAPES[mood]} />
    </svg>
  );
}

/** A word in a frame, with its sign. */
export function Chip({ mood, children }: { mood: Mood; children: ComponentChildren }) {
  return (
    <span class={`chip ${mood}`}>
      <Sign mood={mood} />
      {children}
    </span>
  );
}

/** How an arm is drawn everywhere: the treatment solid, the control dashed. */
export function ArmName({ arm }: { arm: Arm }) {
  return (
    <span class="arm">
      <svg class={arm} viewBox="0 0 22 8" width="22" height="8" aria-hidden="true">
        <path d="M0 4h22" />
      </svg>
      {arm}
    </span>
  );
}

/**
 * How much of something there is.
 *
 * @param fraction - 0–1; more is drawn as 1.
 */
export function Bar({ fraction, label, mood }: { fraction: number; label: string; mood: Mood | Arm }) {
  const share = Math.min(1, Math.max(0, Number.isFinite(fraction) ? fraction : 0));
  return (
    // biome-ignore lint/a11y/useSemanticElements: a meter element cannot be styled everywhere
    <div
      class={`bar ${mood}`}
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(share * 100)}
    >
      <div style={{ width: `${share * 100}%` }} />
    </div>
  );
}

/** Text from outside (error types, keys, reasons): its direction is its own, and it breaks anywhere. */
export function Foreign({ text, max = 400 }: { text: string; max?: number }) {
  const letters = [...text];
  const shown = letters.length > max ? `${letters.slice(0, max).join('')}…` : text;
  return (
    <bdi class="foreign" title={shown === text ? undefined : text}>
      {shown === '' ? '(empty)' : shown}
    </bdi>
  );
}
