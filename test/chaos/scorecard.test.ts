import { expect, it } from 'vitest';
import type { Measures } from './experiment.js';
import type { Fault } from './fault.js';
import { problemsOf, scorecard } from './scorecard.js';

const FAULT: Fault = { name: 'Unleash sleeps', area: 'admin API', inject: () => {} };

const AS_EXPECTED: Measures = {
  sent: 400,
  failed: 0,
  delayed: 0,
  problems: [],
  lost: 0,
  doubled: 0,
  falseStops: 0,
  stopMs: 200,
  offMs: 1_200,
  reArmMs: 900,
  operatorOffMs: 800,
  broken: 6,
  counted: 1,
  messages: ['stop-failed'],
  isReported: true,
  memoryMb: 5,
  machineMs: 30,
  faults: [],
};

it('finds nothing wrong where all is as expected', () => {
  expect(problemsOf(FAULT, AS_EXPECTED)).toEqual([]);
});

it.each<[Partial<Measures>, string]>([
  [{ failed: 1 }, 'requests failed: 1, at most 0 expected'],
  [{ delayed: 50 }, 'requests delayed: 50, at most 40 expected'],
  [{ lost: 1 }, 'decisions lost: 1, at most 0 expected'],
  [{ doubled: 2 }, 'decisions doubled: 2, at most 0 expected'],
  [{ falseStops: 1 }, 'false stops: 1, at most 0 expected'],
  [{ stopMs: undefined }, 'stopped: not at all, within 5.0 s expected'],
  [{ offMs: 31_000 }, 'off in Unleash: after 31.0 s, within 20.0 s expected'],
  [{ reArmMs: undefined }, 're-armed: not at all, within 10.0 s expected'],
  [{ operatorOffMs: undefined }, "the operator's off served: not at all, within 10.0 s expected"],
  [{ counted: 0.5 }, 'outcomes counted: 50 %'],
  [{ counted: 1.6 }, 'outcomes counted: 160 %'],
  [{ isReported: false, messages: [] }, 'reported: nothing; expected is undefined'],
  [{ memoryMb: 800 }, 'more memory in MB: 800, at most 100 expected'],
  [{ faults: ['a crash'] }, 'a crash'],
])('says what is wrong: %j', (wrong, problem) => {
  expect(problemsOf(FAULT, { ...AS_EXPECTED, ...wrong })).toEqual([problem]);
});

it('compares with what the fault itself allows', () => {
  const fault: Fault = { ...FAULT, expect: { failed: 20, counted: 0.5 } };
  expect(problemsOf(fault, { ...AS_EXPECTED, failed: 20, counted: 0.5 })).toEqual([]);
});

it('does not compare times on a machine that is too busy, but what happened', () => {
  const busy = { ...AS_EXPECTED, machineMs: 900, stopMs: 9_000, delayed: 300 };
  expect(problemsOf(FAULT, busy)).toEqual([]);
  expect(problemsOf(FAULT, { ...busy, stopMs: undefined, lost: 1 })).toHaveLength(2);
});

it('marks the rows of a machine that is too busy', () => {
  const busy = { fault: FAULT, measures: { ...AS_EXPECTED, machineMs: 900 }, problems: [] };
  expect(scorecard([busy], 'markdown')).toMatch(/\| ✓ \(busy\) \|$/);
});

it('prints a row for each fault, also for one that was skipped', () => {
  const results = [
    { fault: FAULT, measures: AS_EXPECTED, problems: [] },
    { fault: { ...FAULT, name: 'a solar storm' }, measures: undefined, problems: [] },
  ];
  const [header, rule, row, skipped] = scorecard(results, 'markdown').split('\n');
  expect(header).toContain('| fault | sent | failed |');
  expect(rule!.split('|')).toHaveLength(header!.split('|').length);
  expect(row).toContain('| Unleash sleeps | 400 | 0 | 0 |');
  expect(row).toContain('| 0.2 s | 1.2 s | 0.9 s | 0.8 s | 100 % | stop-failed | ✓ |');
  expect(skipped!.split('|')).toHaveLength(header!.split('|').length);
});
