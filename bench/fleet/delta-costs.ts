import { Outbox } from '../../src/fleet/outbox.js';
import { parseOutcomeDelta } from '../../src/measure/outcome-delta.js';
import { median } from '../harness.js';
import { emptyStore, outcomeOf, REVISION } from './traffic.js';

const FLAG_KEY = 'delta';

/** What an instance sends for one second after another, by its request rate. */
function seconds(rate: number, count: number) {
  const store = emptyStore(FLAG_KEY);
  const outbox = new Outbox();
  store.beginEpoch(1, Date.now(), { keepWindows: true });
  return Array.from({ length: count }, () => {
    for (let i = 0; i < rate; i++) {
      const outcome = outcomeOf(FLAG_KEY, 1, { arm: i % 2 === 0 ? 'treatment' : 'control' });
      store.expose(outcome.exposure);
      store.record(outcome);
    }
    outbox.add({ assigned: 1, revision: REVISION, keepWindows: true }, store.takeDelta(Date.now())!);
    const flushed = outbox.next()!;
    outbox.onAccepted(flushed.sequence);
    return flushed;
  });
}

/** How large a flush is. It grows with the number of different durations, which is bounded. */
export function flushSizes() {
  const rows = [1, 10, 100, 200, 1_000, 10_000].map((rate) => {
    const made = seconds(rate, 5);
    const row = {
      'bytes of the delta': Math.round(median(made.map(({ text }) => text.length))),
      'fields of the totals': Math.round(median(made.map(({ totals }) => totals.length))),
    };
    return [`${rate} requests/s`, row] as const;
  });
  return Object.fromEntries(rows);
}

/** Reading, checking and adding up, each on its own. */
export function deltaCosts(rates: readonly number[]) {
  const rows = rates.map((rate) => {
    const texts = seconds(rate, 200).map(({ text }) => text);
    const store = emptyStore(FLAG_KEY);
    store.beginEpoch(1, Date.now(), { keepWindows: true });
    const rounds = Array.from({ length: 9 }, () => {
      const from = performance.now();
      const read = texts.map((text) => JSON.parse(text) as unknown);
      const parsed = performance.now();
      const deltas = read.map((value) => parseOutcomeDelta(value)!);
      const checked = performance.now();
      for (const delta of deltas) store.merge(delta, Date.now());
      return [parsed - from, checked - parsed, performance.now() - checked] as const;
    });
    const micros = (step: 0 | 1 | 2) =>
      Number(((median(rounds.map((each) => each[step])) * 1e3) / texts.length).toFixed(1));
    const row = { 'JSON.parse': micros(0), 'check (parseOutcomeDelta)': micros(1), merge: micros(2) };
    return [`${rate} requests/s`, row] as const;
  });
  return Object.fromEntries(rows);
}
