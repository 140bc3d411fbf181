import { setTimeout as sleep } from 'node:timers/promises';
import type { Act, Evidence, Handover, InProcess, Tally } from './evidence.js';
import type { FleetProcess } from './fleet-process.js';
import { FLAG_KEY, type Moment, preciseNow, sumOf, totalOf } from './messages.js';
import type { Stage } from './stage.js';
import type { Traffic } from './traffic.js';

const PATIENCE_MS = 20_000;
/** The preset's rules judge from so many outcomes on. */
const ENOUGH = 100;
/** Processes send once per second; with some leeway for a busy machine. */
const SENT_AFTER_MS = 2_000;
/** After the stop, time for calls of the new path that should not be. */
const LOOK_ON_MS = 1_000;

/** Plays the whole story: two stops, and between them the death of the judge. */
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
  const { handover, unsentAtMost } = await play.replaceJudge(first.judge);
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

  /** Waits until all is well and judged, and breaks the new path in all processes. */
  async breakAndStop(): Promise<Act> {
    const { unleash } = this.#stage;
    const judgedBefore = await this.#healthyOutcomes();
    this.#say(`${judgedBefore} uploads by the new path are judged: all is well. Now it breaks, everywhere …`);
    const startedBefore = await this.#startedAfterStop();
    const brokenAt = preciseNow();
    for (const process of this.#alive) process.send('break');
    // Whatever does not happen, a claim will say.
    await until(() => this.#isStopped(brokenAt), 'the stop').catch(() => {});
    await sleep(LOOK_ON_MS);
    const judge = this.#alive.find((process) =>
      process.moments.some(({ what, at, isOthers }) => what === 'decided' && at >= brokenAt && !isOthers),
    );
    return {
      judgedBefore,
      brokenAt,
      firstFallbackAt: this.#traffic.firstFallback(brokenAt),
      judge: judge?.name,
      reason: judge?.first('decided', brokenAt)?.reason,
      // A guard stops its own process at once, and then writes down why.
      decidedAt: judge?.first('stopped-here', brokenAt)?.at,
      stops: this.#inEach('stopped-here', brokenAt),
      offAt: judge?.first('stopped', brokenAt)?.at,
      isOnInUnleash: (await unleash.flag(FLAG_KEY)).enabled,
      startedAfterStop: (await this.#startedAfterStop()) - startedBefore,
    };
  }

  /** The judge dies, and a person, who has mended the new path, turns the flag on. */
  async replaceJudge(
    judgeName: string | undefined,
  ): Promise<{ readonly handover: Handover; readonly unsentAtMost: number }> {
    const { unleash, processes } = this.#stage;
    const judge = processes.find(({ name }) => name === judgeName);
    if (judge === undefined) throw new Error('No process has stopped the flag.');
    // All that it had until now has been sent.
    const sent = totalOf(this.#traffic.countsOf(judge));
    await sleep(LOOK_ON_MS);
    this.#say(`${judge.name}, the judge, is killed (SIGKILL); a person turns the flag on again …`);
    const killedAt = preciseNow();
    await judge.kill();
    for (const process of this.#alive) process.send('mend');
    await unleash.enable(FLAG_KEY);
    const turnedOnAt = preciseNow();
    const newJudge = await until(() => this.#findJudge(), 'another judge');
    const newJudgeAt = preciseNow();
    this.#say(`${newJudge.name} judges now.`);
    const all = () => this.#alive.every((process) => process.first('re-armed', killedAt));
    await until(async () => all() || undefined, 'the rollout to be watched again');
    this.#say('All processes watch the rollout again; each serves the new path once it has asked Unleash.');
    return {
      handover: {
        ...{ killed: judge.name, killedAt, turnedOnAt, newJudge: newJudge.name, newJudgeAt },
        watchedAgain: this.#inEach('re-armed', killedAt),
      },
      unsentAtMost: totalOf(this.#traffic.countsOf(judge)) - sent,
    };
  }

  /** What Redis holds, once everything has been sent, against what the processes say. */
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

  /** How many the judge has judged, when they are enough, and the new path has served users in each process. */
  async #healthyOutcomes(): Promise<number> {
    const before = new Map(this.#alive.map((each) => [each, this.#traffic.countsOf(each).streamed]));
    return await until(async () => {
      if ([...before].some(([each, streamed]) => this.#traffic.countsOf(each).streamed === streamed)) return;
      const judge = await this.#findJudge();
      const { state, verdicts, flag } = (await judge?.status()) ?? {};
      if (state?.status !== 'armed' || flag?.enabled !== true) return;
      const judged = verdicts?.find(({ trigger }) => trigger === 'success-rate-below');
      if (judged?.status !== 'ok' || judged.sampleSize.treatment < ENOUGH) return;
      return judged.sampleSize.treatment;
    }, 'healthy outcomes to be judged');
  }

  async #findJudge(): Promise<FleetProcess | undefined> {
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

async function until<T>(look: () => Promise<T | undefined>, what: string): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`Waited ${PATIENCE_MS / 1000} s in vain for ${what}.`);
    await sleep(25);
  }
}
