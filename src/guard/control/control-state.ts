import type { ControlReply, ControlState } from '../../model/control.js';

type Mute = ControlState['mutes'][number];
type Hold = NonNullable<ControlState['hold']>;

/** Answers that are remembered; a request lives for a minute. */
const MOST_ANSWERED = 64;
/** Mutes and stops that are remembered: there are about as many triggers. */
const MOST = 64;

/** Nothing is in force. */
export const NO_CONTROLS: ControlState = { mutes: [], stops: [], answered: [] };

// Each of these is pure, and gives the next state.

export function withHold(state: ControlState, hold: Hold | undefined): ControlState {
  const { hold: _, ...rest } = state;
  return hold === undefined ? rest : { ...rest, hold };
}

/** A later mute of a trigger replaces the one before. */
export function withMute(state: ControlState, mute: Mute): ControlState {
  return { ...state, mutes: [...withoutMute(state, mute.trigger).mutes, mute].slice(-MOST) };
}

export function withoutMute(state: ControlState, trigger: string): ControlState {
  return { ...state, mutes: state.mutes.filter((mute) => mute.trigger !== trigger) };
}

/** Without the mutes whose time has passed, which are `expired`. */
export function withoutExpired(state: ControlState, now: number): { state: ControlState; expired: Mute[] } {
  const expired = state.mutes.filter(({ until }) => until <= now);
  if (expired.length === 0) return { state, expired };
  return { state: { ...state, mutes: state.mutes.filter(({ until }) => until > now) }, expired };
}

export function withAnswer(state: ControlState, id: string, reply: ControlReply): ControlState {
  return { ...state, answered: [...state.answered, { id, reply }].slice(-MOST_ANSWERED) };
}

/** How often a flag may be stopped before automatic advance is held. */
export interface FlapLimit {
  readonly stops: number;
  readonly withinMs: number;
}

/**
 * Notes a stop, and forgets those that are too old to matter.
 *
 * @returns how many there are within the limit's time, this one included; undefined when it was noted before.
 */
export function withStop(
  state: ControlState,
  stop: { readonly id: string; readonly at: number },
  { withinMs }: FlapLimit,
): { state: ControlState; count: number } | undefined {
  if (state.stops.some(({ id }) => id === stop.id)) return undefined;
  const stops = [...state.stops, stop].filter(({ at }) => stop.at - at < withinMs).slice(-MOST);
  return { state: { ...state, stops }, count: stops.length };
}
