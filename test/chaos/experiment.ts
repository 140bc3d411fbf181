import { setTimeout as sleep } from 'node:timers/promises';
import { expectationOf, type Fault, type World } from './fault.js';
import type { Report } from './service-process.js';
import { buildWorld, type Lab } from './world.js';

/** What one fault did. Times are milliseconds. */
export interface Measures {
  readonly sent: number;
  readonly failed: number;
  readonly delayed: number;
  /** What the failed ones got. */
  readonly problems: readonly string[];
  /** Broken treatments without a decision: 0 or 1. */
  readonly lost: number;
  /** Decisions beyond those that are needed. */
  readonly doubled: number;
  /** Decisions against a healthy treatment. */
  readonly falseStops: number;
  /** Undefined: within the time limit, it did not happen. */
  readonly stopMs: number | undefined;
  readonly offMs: number | undefined;
  readonly reArmMs: number | undefined;
  /** From the moment when the operator turns the flag off at last, until no user gets the treatment. */
  readonly operatorOffMs: number | undefined;
  /** Users who got the broken treatment. */
  readonly broken: number;
  /** Outcomes that are evaluated after the fault, as a share of those that there were; undefined while it lasts. */
  readonly counted: number | undefined;
  /** Types of events and notifications that reported the fault. */
  readonly messages: readonly string[];
  /** Whether they say what they must. */
  readonly isReported: boolean;
  readonly memoryMb: number;
  /** What 99 of 100 requests needed at most in a service without a guard, at the same time. */
  readonly machineMs: number;
  /** What went wrong beside all this: a crash, a hang, a check of the fault's own. */
  readonly faults: readonly string[];
}

const HEALTHY_MS = 1_500;
const AFTERWARDS_MS = 1_000;
/** No user gets the treatment: half of them would. */
const QUIET_MS = 1_000;
const LASTS_MS = 2_000;
/** Kubernetes kills after 30 s; a service has more to close than its guard. */
const CLOSE_MS = 6_000;
/** For a busy machine: a request takes 25 ms. */
const DRAIN_MS = 20_000;
/** How much longer than expected something is waited for, so that the table says how late it came. */
const GRACE_MS = 10_000;
const SETTLE_MS = 12_000;
/** How long a report of the fault may take: what comes and goes within seconds is not reported. */
const REPORT_MS = 15_000;
/** Of what there was: more was counted twice. What is under way at the moment may be counted and not answered yet. */
export const MOST_COUNTED = 1.03;

/** The flag is expected to be stopped by these, in a normal life without faults. */
const NORMAL = new Set([
  ...['started', 'decided', 'stopped-here', 'stopped', 'toggled', 're-armed', 'rollout-changed'],
  ...['stage', 'advanced', 'review-opened', 'review-closed', 'complaint', 'closed'],
]);

/** Plays one row of the matrix: a healthy treatment, the fault, a broken treatment, an operator who turns the flag on again. */
export async function experiment(fault: Fault, lab: Lab, flagKey: string): Promise<Measures> {
  const undos: (() => unknown)[] = [];
  try {
    const world = await buildWorld(lab, flagKey, fault.setup ?? {}, (undo) => undos.push(undo));
    const startedAt = performance.now();
    const measures = await play(fault, world);
    return { ...measures, machineMs: lab.noise.quantile(0.99, startedAt) };
  } finally {
    for (const undo of undos.reverse()) await Promise.resolve(undo()).catch(() => {});
  }
}

async function play(fault: Fault, world: World): Promise<Omit<Measures, 'machineMs'>> {
  const { load, backend, processes, unleash, flagKey } = world;
  const { breaks = 'during', lastsMs = LASTS_MS } = fault;
  const expected = expectationOf(fault);
  const waiting = (what: () => unknown, forMs: number) => waitFor(what, forMs + GRACE_MS);
  const running = () => processes.filter((each) => each.isRunning);

  load.start();
  await sleep(HEALTHY_MS);
  const memoryBefore = await peakMemory(world);

  await fault.inject(world);
  await sleep(lastsMs);
  if (breaks === 'after') await fault.heal?.(world);
  const counted =
    breaks === 'after' || fault.heal === undefined ? await countedShare(world, expected.counted) : undefined;

  const brokenAt = performance.now();
  const isStoppedHere = () =>
    running().every((each) => each.events('stopped-here', brokenAt).length > 0) &&
    decisions(world, brokenAt).length > 0;
  backend.break();
  const hasStopped = await waiting(isStoppedHere, expected.stopMs);
  const stopMs = hasStopped ? Math.max(0, backend.lastNewAt - brokenAt) : undefined;
  const isReported = () =>
    expected.message === undefined ||
    reportsOf(world).some(({ message }) => expected.message!.test(JSON.stringify(message)));
  await waitFor(isReported, REPORT_MS);
  let healedAt = performance.now();
  if (breaks === 'during') {
    await fault.heal?.(world);
    healedAt = performance.now();
  }
  const isOff = async () => !(await unleash.flag(flagKey)).enabled;
  const offMs = (await waiting(isOff, expected.offMs)) ? performance.now() - healedAt : undefined;
  const areAll = async (state: string) => {
    const all = await Promise.all(running().map((each) => each.status()));
    return all.every((status) => status?.state === state);
  };
  const needed = decisions(world, brokenAt);
  await waiting(() => areAll('stopped'), expected.offMs);

  backend.fix();
  const operatorAt = performance.now();
  await unleash.enable(flagKey);
  if (breaks === 'before the operator') {
    await waiting(() => running().every((each) => each.events('re-armed', operatorAt).length > 0), 0);
    await fault.heal?.(world);
  }
  const isReArmed = async () => backend.lastNewAt > operatorAt && (await areAll('armed'));
  const reArmMs = (await waiting(isReArmed, expected.reArmMs)) ? performance.now() - operatorAt : undefined;
  await sleep(AFTERWARDS_MS);
  const faults: string[] = [];
  if (await isOff()) faults.push('the flag is off again');
  const operatorOffAt = performance.now();
  await unleash.disable(flagKey);
  const isQuiet = () => performance.now() - Math.max(backend.lastNewAt, operatorOffAt) > QUIET_MS;
  const operatorOffMs = (await waiting(isQuiet, expected.operatorOffMs))
    ? Math.max(0, backend.lastNewAt - operatorOffAt)
    : undefined;
  const wrong = await fault.verify?.(world);
  if (wrong !== undefined) faults.push(wrong);

  load.pause();
  await waitFor(() => load.inFlight === 0, DRAIN_MS);
  if (load.inFlight > 0) faults.push(`${load.inFlight} requests without an answer`);
  const memoryMb = (await peakMemory(world)) - memoryBefore;
  for (const each of processes) {
    const ended = await each.close(CLOSE_MS);
    if (ended !== 'closed') faults.push(`a process ${ended} when it was closed`);
  }
  const reports = reportsOf(world);
  for (const { message } of reports) if (message.type === 'crash') faults.push(message.message);
  const allowed = expected.decisions === 'one' ? 1 : processes.length;
  return {
    ...{ sent: load.sent, failed: load.failed, delayed: load.delayed, problems: [...load.problems] },
    lost: needed.length === 0 ? 1 : 0,
    doubled: Math.max(0, needed.length - allowed),
    // A process may learn of the decision late, and reports it then.
    falseStops:
      decisions(world, 0, brokenAt).length +
      decisions(world, operatorAt).filter((id) => !needed.includes(id)).length,
    ...{ stopMs, offMs, reArmMs, operatorOffMs, broken: backend.brokenCalls, counted },
    messages: [...new Set(reports.filter(isAboutFault).map(typeOf))],
    isReported: isReported(),
    ...{ memoryMb, faults },
  };
}

/** The ids of the decisions of a time, each once, wherever they were made. */
function decisions(world: World, from: number, to = Number.POSITIVE_INFINITY): string[] {
  const reports = reportsOf(world).filter(({ at }) => at >= from && at < to);
  const ids = reports.flatMap(({ message }) =>
    message.type === 'event' && message.event.type === 'decided' ? [message.event.decision.id] : [],
  );
  return [...new Set(ids)];
}

function reportsOf({ processes }: World): Report[] {
  return processes.flatMap((each) => each.reports);
}

function isAboutFault({ message }: Report): boolean {
  if (message.type === 'event') return !NORMAL.has(message.event.type);
  return message.type === 'notification' && !NORMAL.has(message.notification.type);
}

function typeOf({ message }: Report): string {
  if (message.type === 'event') return message.event.type;
  return message.type === 'notification' ? `${message.notification.type} (sent)` : message.type;
}

/** What the guard, or the fleet's leader, evaluates of what there was. It may be a flush behind. */
async function countedShare({ processes, load }: World, least: number): Promise<number> {
  let share = 0;
  await waitFor(async () => {
    const all = await Promise.all(processes.map((each) => each.status()));
    const leader = processes.length === 1 ? all[0] : all.find((status) => status?.role === 'leader');
    share = (leader?.counted ?? 0) / (load.answered - load.failed - load.excused);
    return share >= least && share <= MOST_COUNTED;
  }, SETTLE_MS);
  return share;
}

async function peakMemory({ processes }: World): Promise<number> {
  const all = await Promise.all(processes.map((each) => each.status()));
  return Math.max(0, ...all.map((status) => status?.peakMemoryMb ?? 0));
}

/** @returns whether it became true in time. */
async function waitFor(condition: () => unknown, timeoutMs: number): Promise<boolean> {
  for (const startedAt = performance.now(); performance.now() - startedAt < timeoutMs; ) {
    if (await condition()) return true;
    await sleep(100);
  }
  return false;
}
