import { setTimeout as sleep } from 'node:timers/promises';
import type { Act, Evidence, Handover, InProcess, Tally } from './evidence.js';
import type { FleetProcess } from './fleet-process.js';
import { FLAG_KEY, type Moment, preciseNow, sumOf, totalOf } from './messages.js';
import type { Stage } from './stage.js';
import type { Traffic } from './traffic.js';

const TIMEOUT_MS = 20_000;
/** The preset's rules evaluate from so many outcomes on. */
const ENOUGH = 100;
/** Processes send once per second; with some leeway for a busy machine. */
const SENT_AFTER_MS = 2_000;
/** After the stop, time for calls of the new path that should not be. */
const OBSERVE_MS = 1_000;

/** Plays the whole story: two stops, and between them the leader is killed. */
export async function playScenario(
  stage: Stage,
  traffic: Traffic,
  say: (text: string) => void,
): Promise<Evidence> {
  const { unleash, processes } = stage;
  const play = new Play(stage, traffic, say);
  traffic.start();
  const first = await play.breakAndStop();
  await traffic.pause();
  const tallyBefore = await play.tally();
  traffic.start();
  const { handover, unsentAtMost } = await play.replaceLeader(first.leader);
  const second = await play.breakAndStop();
  await traffic.pause();
  return {
    acts: [first, second],
    handover,
    tallyBefore,
    tallyAfter: await play.tally(),
    unsentAtMost,
    answers: traffic.answers,
    history: await unleash.history(FLAG_KEY),
    faults: processes.flatMap(({ name, faults }) => faults.map((fault) => `${name}: ${fault}`)),
  };
}

class Play {
  readonly #stage: Stage;
  readonly #traffic: Traffic;
  readonly #say: (text: string) => void;

  constructor(stage: Stage, traffic: Traffic, say: (text: string) => void) {
    this.#stage = stage;
    this.#traffic = traffic;
    this.#say = say;
  }

  /** Waits until all is well and evaluated, and breaks the new path in all processes. */
  async breakAndStop(): Promise<Act> {
    const { unleash } = this.#stage;
    const countedBefore = await this.#healthyOutcomes();
    this.#say(
      `${countedBefore} uploads by the new path are evaluated: all is well. Now it breaks, everywhere …`,
    );
    const startedBefore = await this.#startedAfterStop();
    const brokenAt = preciseNow();
    for (const process of this.#alive) process.send('break');
    // A claim reports what did not happen.
    await until(() => this.#isStopped(brokenAt), 'the stop').catch(() => {});
    await sleep(OBSERVE_MS);
    const leader = this.#alive.find((process) =>
      process.moments.some(({ what, at, isOthers }) => what === 'decided' && at >= brokenAt && !isOthers),
    );
    return {
      countedBefore,
      brokenAt,
      firstFallbackAt: this.#traffic.firstFallback(brokenAt),
      leader: leader?.name,
      reason: leader?.first('decided', brokenAt)?.reason,
      // A guard stops its own process at once, and then writes down why.
      decidedAt: leader?.first('stopped-here', brokenAt)?.at,
      stops: this.#inEach('stopped-here', brokenAt),
      offAt: leader?.first('stopped', brokenAt)?.at,
      isOnInUnleash: (await unleash.flag(FLAG_KEY)).enabled,
      startedAfterStop: (await this.#startedAfterStop()) - startedBefore,
    };
  }

  /** The leader dies, and an operator, who has fixed the new path, turns the flag on. */
  async replaceLeader(
    leaderName: string | undefined,
  ): Promise<{ readonly handover: Handover; readonly unsentAtMost: number }> {
    const { unleash, processes } = this.#stage;
    const leader = processes.find(({ name }) => name === leaderName);
    if (leader === undefined) throw new Error('No process has stopped the flag.');
    // All that it had until now has been sent.
    const sent = totalOf(this.#traffic.countsOf(leader));
    await sleep(OBSERVE_MS);
    this.#say(`${leader.name}, the leader, is killed (SIGKILL); an operator turns the flag on again …`);
    const killedAt = preciseNow();
    await leader.kill();
    for (const process of this.#alive) process.send('fix');
    await unleash.enable(FLAG_KEY);
    const turnedOnAt = preciseNow();
    const newLeader = await until(() => this.#findLeader(), 'another leader');
    const newLeaderAt = preciseNow();
    this.#say(`${newLeader.name} leads now.`);
    const all = () => this.#alive.every((process) => process.first('re-armed', killedAt));
    await until(async () => all() || undefined, 'all processes to re-arm');
    this.#say('All processes have re-armed; each serves the new path after its next poll of Unleash.');
    return {
      handover: {
        ...{ killed: leader.name, killedAt, turnedOnAt, newLeader: newLeader.name, newLeaderAt },
        rearmed: this.#inEach('re-armed', killedAt),
      },
      unsentAtMost: totalOf(this.#traffic.countsOf(leader)) - sent,
    };
  }

  /** What Redis has, once everything has been sent, against what the processes report. */
  async tally(): Promise<Tally> {
    const { processes, totals } = this.#stage;
    const counts = processes.map(async (process) =>
      process.isAlive ? (await process.report()).counts : this.#traffic.countsOf(process),
    );
    const said = sumOf(await Promise.all(counts));
    await sleep(SENT_AFTER_MS);
    return { inRedis: await totals.read(), said };
  }

  get #alive(): FleetProcess[] {
    return this.#stage.processes.filter(({ isAlive }) => isAlive);
  }

  #inEach(what: Moment['what'], since: number): InProcess[] {
    return this.#alive.map((process) => ({ process: process.name, at: process.first(what, since)?.at }));
  }

  /** How many the leader has counted, when they are enough, and the new path has served users in each process. */
  async #healthyOutcomes(): Promise<number> {
    const before = new Map(this.#alive.map((each) => [each, this.#traffic.countsOf(each).streamed]));
    return await until(async () => {
      if ([...before].some(([each, streamed]) => this.#traffic.countsOf(each).streamed === streamed)) return;
      const leader = await this.#findLeader();
      const { state, verdicts, flag } = (await leader?.status()) ?? {};
      if (state?.status !== 'armed' || flag?.enabled !== true) return;
      const verdict = verdicts?.find(({ trigger }) => trigger === 'success-rate-below');
      if (verdict?.status !== 'ok' || verdict.sampleSize.treatment < ENOUGH) return;
      return verdict.sampleSize.treatment;
    }, 'healthy outcomes to be evaluated');
  }

  async #findLeader(): Promise<FleetProcess | undefined> {
    const candidates = this.#alive.filter(({ mayLead }) => mayLead);
    const statuses = await Promise.all(candidates.map((process) => process.status()));
    return candidates.find((_, index) => statuses[index]?.fleet?.role === 'leader');
  }

  async #isStopped(since: number): Promise<true | undefined> {
    const offInUnleash = (process: FleetProcess) => process.mayLead && process.first('stopped', since);
    const here = this.#alive.every((process) => process.first('stopped-here', since));
    return here && this.#alive.some(offInUnleash) ? true : undefined;
  }

  async #startedAfterStop(): Promise<number> {
    const reports = await Promise.all(this.#alive.map((process) => process.report()));
    return reports.reduce((sum, { startedAfterStop }) => sum + startedAfterStop, 0);
  }
}

async function until<T>(condition: () => Promise<T | undefined>, what: string): Promise<T> {
  const deadline = Date.now() + TIMEOUT_MS;
  for (;;) {
    const found = await condition();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`Timed out after ${TIMEOUT_MS / 1000} s: waited for ${what}.`);
    await sleep(25);
  }
}
