import type { Alert, ControlReply, ControlState, ControlsInForce } from '../../model/control.js';
import { formatTime } from '../../support/wording.js';

type Mute = ControlState['mutes'][number];
type Hold = NonNullable<ControlState['hold']>;

/** Answers that are remembered; a request lives for a minute. */
const MOST_ANSWERED = 64;
/** Mutes and stops that are remembered: there are about as many triggers. */
const MOST = 64;

/** Nothing is in force. */
const NO_CONTROLS: ControlState = { mutes: [], stops: [], alerts: [], answered: [] };

/** What operators have asked for and still applies: the current {@link ControlState}. */
export class ControlLedger {
  state: ControlState = NO_CONTROLS;

  get inForce(): ControlsInForce {
    const { hold, mutes } = this.state;
    return hold === undefined ? { mutes } : { hold, mutes };
  }

  /** The alerts that fire now, the oldest first. */
  get firingAlerts(): ControlState['alerts'] {
    return this.state.alerts.filter(({ isFiring }) => isFiring);
  }

  isMuted(trigger: string, now: number): boolean {
    return this.state.mutes.some((mute) => mute.trigger === trigger && now < mute.until);
  }
}

/** Whether there is anything that a restart of the shared store must not lose. */
export function isInForce({ hold, mutes, alerts }: ControlState): boolean {
  return hold !== undefined || mutes.length > 0 || alerts.length > 0;
}

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

/** Whose request no longer applies, as a sentence: it must not be lost unseen. Empty when there was none. */
export function replaced(
  what: string,
  before: { readonly by: string; readonly since: number; readonly reason: string } | undefined,
  now: number,
): string {
  if (before === undefined) return '';
  const { by, since, reason } = before;
  return ` It replaces the ${what} of ${by} since ${formatTime(since, now)} (${reason.trim()}).`;
}

export function withAnswer(state: ControlState, id: string, reply: ControlReply): ControlState {
  return { ...state, answered: [...state.answered, { id, reply }].slice(-MOST_ANSWERED) };
}

/**
 * Notes a stop, and forgets those that are too old to matter.
 *
 * @returns how many there are within that time, this one included; undefined when it was noted before.
 */
export function withStop(
  state: ControlState,
  stop: { readonly id: string; readonly at: number },
  withinMs: number,
): { state: ControlState; count: number } | undefined {
  if (state.stops.some(({ id }) => id === stop.id)) return undefined;
  const stops = [...state.stops, stop].filter(({ at }) => stop.at - at < withinMs).slice(-MOST);
  return { state: { ...state, stops }, count: stops.length };
}

type KnownAlert = ControlState['alerts'][number];

/** Alerts that are remembered, those that fire and those that are resolved. */
const MOST_ALERTS = 64;

/** What a notification of an alert changes. `known`: nothing. `full`: more fire than are remembered. */
type AlertChange = 'fires' | 'resolved' | 'known' | 'full';

/**
 * Notes a notification of an alert. Notifications are repeated, come late, and in any order: one that began before what is known of
 * its alert changes nothing.
 */
export function withAlert(
  state: ControlState,
  { type: _, by: from, ...given }: Alert,
  now: number,
): { readonly state: ControlState; readonly change: AlertChange } {
  const { alerts } = state;
  const known = alerts.find(({ fingerprint }) => fingerprint === given.fingerprint);
  const order = (given.since ?? 0) - (known?.since ?? 0);
  const isDated = given.since !== undefined && known?.since !== undefined;
  const isNew = known === undefined || (isDated ? order > 0 : !known.isFiring);
  if (given.isFiring ? !isNew : known?.isFiring !== true || (isDated && order < 0)) {
    return { state, change: 'known' };
  }
  const others = alerts.filter((alert) => alert !== known);
  if (others.filter(({ isFiring }) => isFiring).length >= MOST_ALERTS) return { state, change: 'full' };
  const alert: KnownAlert = { ...given, from, at: now };
  // The oldest of those that are resolved is forgotten first.
  const forgotten = others.length < MOST_ALERTS ? undefined : others.find(({ isFiring }) => !isFiring);
  const next = [...others.filter((other) => other !== forgotten), alert];
  return { state: { ...state, alerts: next }, change: given.isFiring ? 'fires' : 'resolved' };
}
