import type { Unsubscribe } from '../model/flags.js';
import { systemClock } from '../support/clock.js';
import { allWithin, withDeadline } from '../support/deadline.js';
import type { GuardParts } from './guard-parts.js';

/** How long the end of a guard takes at most, whatever hangs, in milliseconds. */
const CLOSE_MS = 4_500;

/** The shares of it for what was started, for requests, and for files, which also have what is left of the others. */
const CLOSE_SHARES = { start: 1 / 9, requests: 3 / 9, files: 5 / 9 };

/** How long a flush waits for what it sends, in milliseconds. */
const FLUSH_MS = 4_000;

/** Starts the parts of a guard in their order, calls them on every tick, and ends them. */
export class GuardRun {
  readonly parts: GuardParts;
  #running: Promise<void> | undefined;
  #ending: Promise<void> | undefined;
  #releasing: Promise<void> | undefined;
  #subscriptions: Unsubscribe[] = [];
  #closeMs = CLOSE_MS;

  constructor(parts: GuardParts) {
    this.parts = parts;
  }

  /** Starts once. @throws when it was closed. */
  start(): Promise<void> {
    if (this.#ending !== undefined) return Promise.reject(this.#closedError());
    this.#running ??= this.#start().catch(async (error) => {
      this.parts.probe.startFailed(error);
      // Nothing stays open: its folder is free for another guard, and the process can end.
      await this.#release();
      // Also what it opened after the end had begun.
      await this.#closeFiles();
      throw error;
    });
    return this.#running;
  }

  /** Writes and sends what was recorded so far, within so many milliseconds. */
  async flush(withinMs = FLUSH_MS): Promise<void> {
    const { context, loop, recorder, rollups, fleet, notifications } = this.parts;
    if (!loop.isRunning) return;
    await allWithin(withinMs, context.records.fault, {
      'writing the log': recorder.flush(),
      'writing the rollups': rollups.flush(),
      // The first may have been under way before the latest outcomes.
      'sending to the fleet': fleet.sync().then(() => fleet.sync()),
      'writing the audit log': context.records.flush(),
      'sending usage metrics': Promise.resolve().then(() => context.flags.flush?.()),
      'sending notifications': notifications.flush(withinMs),
    });
  }

  /** Ends for good, within so many milliseconds. */
  close(withinMs = CLOSE_MS): Promise<void> {
    if (this.#ending === undefined) this.#closeMs = withinMs;
    this.#ending ??= this.#end();
    return this.#ending;
  }

  #closedError(): Error {
    return new Error(`The guard of ${this.parts.context.flagKey} was closed; make a new one.`);
  }

  async #start(): Promise<void> {
    const {
      context,
      machine,
      runner,
      definition,
      evaluator,
      fleet,
      loop,
      recorder,
      tracked,
      baselines,
      rollups,
      storage,
      controls,
      probe,
      health,
      view,
      source,
      metrics,
      notifications,
    } = this.parts;
    const { clock, flagKey, tickMs, records, rollback, dryRun, logger } = context;
    const { left, folder } = await storage.open((state) => runner.applyStop(state));
    if (this.#ending !== undefined) throw this.#closedError();
    // A stop of an earlier run applies before anything else is read.
    if (left !== undefined) runner.applyStop(left.state);
    await baselines.load(folder);
    await rollups.open(folder);
    await recorder.open(left, machine.epoch, folder);
    if (this.#ending !== undefined) throw this.#closedError();
    const { status } = left?.state ?? machine.state;
    records.started(() => metrics.current);
    records.emit({ type: 'started', at: clock.now(), epoch: left?.epoch ?? machine.epoch, status });
    if (!dryRun && rollback.every((trigger) => trigger.dryRun === true)) {
      logger.warn({ flagKey }, 'Every rollback trigger is in dry run: nothing stops the flag.');
    }
    if (left?.reported !== undefined) evaluator.restore(left.reported);
    if (left !== undefined) runner.restore(left);
    notifications.resolve(left?.incidents ?? []);
    // In the turn in which the epoch was restored: no outcome may be recorded in between.
    recorder.start(machine.epoch);
    const { ticks, flagEvents } = context.resources;
    this.#subscriptions = [
      flagEvents.listen(flagKey, {
        onChange: () => records.safely('a change of the flag', () => definition.poll()),
        onTrack: (event) => records.safely('track()', () => tracked.track(event)),
        metricEvents: tracked.metricEvents,
      }),
    ];
    context.runningTime.start();
    loop.isRunning = true;
    await fleet.start({
      state: () => machine.state,
      dispatch: (input) => runner.dispatch(input),
      oldestEpoch: () => machine.oldestEpoch,
      skipTo: (epoch) => machine.skipTo(epoch),
      evaluate: () => loop.evaluate(),
      adopt: (state) => controls.adopt(state),
      view: () => view.keyed,
    });
    controls.open(folder);
    if (this.#ending !== undefined) throw this.#closedError();
    probe.started();
    health.reset();
    view.start(folder);
    records.safely('reading the audit log', () => source.open(folder));
    const tick = () => {
      records.safely('the tick', () => probe.tick(() => this.#tick()));
      records.safely('checking the health', () => health.poll());
      view.poll();
    };
    this.#subscriptions.push(ticks.every(tickMs, tick));
    tick();
  }

  async #end(): Promise<void> {
    const startMs = this.#closeMs * CLOSE_SHARES.start;
    await withDeadline(startMs, undefined, async () => this.#running).catch(() => {});
    this.parts.probe.closed();
    this.parts.health.reset();
    if (this.#running !== undefined) await this.#release();
  }

  #release(): Promise<void> {
    this.#releasing ??= this.#releaseAll();
    return this.#releasing;
  }

  /** Ends whatever was started. */
  async #releaseAll(): Promise<void> {
    const startedAt = systemClock.monotonic();
    const viewSaved = this.parts.view.close();
    const {
      context,
      loop,
      signals,
      runner,
      definition,
      watches,
      storage,
      stageAdvance,
      fleet,
      recorder,
      baselines,
      rollups,
      notifications,
    } = this.parts;
    const { records, clock } = context;
    const { leads } = fleet;
    if (!loop.isRunning) {
      await viewSaved;
      await this.#closeFiles();
      return;
    }
    loop.isRunning = false;
    context.runningTime.stop();
    for (const unsubscribe of this.#subscriptions.splice(0)) unsubscribe();
    signals.close();
    await allWithin(this.#closeMs * CLOSE_SHARES.requests, records.fault, {
      'closing the requests to Unleash': Promise.all([runner.close(), definition.close()]),
      'closing the checks of Unleash': Promise.all(watches.map((watch) => watch.close())),
      'closing an advance': stageAdvance?.close(),
      'closing the requests of operators': this.parts.controls.close(),
      'closing the fleet': fleet.close(),
    });
    records.emit({ type: 'closed', at: clock.now() });
    const leftMs = this.#closeMs * (1 - CLOSE_SHARES.start) - (systemClock.monotonic() - startedAt);
    // A process that was frozen meanwhile has files to write all the same.
    const filesMs = Math.max(leftMs, this.#closeMs * CLOSE_SHARES.files);
    // Before the journal is closed, which has what is open.
    const notified = notifications.close(0.8 * filesMs, leads);
    const counted = recorder.close().then(() => rollups.close());
    const saved = Promise.all([counted, baselines.save(), records.close(), viewSaved]);
    await allWithin(filesMs, records.fault, {
      // The lock goes last.
      'closing the folder': saved.then(() => storage.close()),
      // It reports itself what it could not deliver.
      'closing the notifiers': notified,
    });
  }

  /** What a start opens before anything runs. */
  async #closeFiles(): Promise<void> {
    const { context, recorder, rollups, storage } = this.parts;
    const counted = recorder.close().then(() => rollups.close());
    const saved = Promise.all([counted, context.records.close()]);
    await allWithin(this.#closeMs * CLOSE_SHARES.files, context.records.fault, {
      'closing the folder': saved.then(() => storage.close()),
    });
  }

  #tick(): void {
    const { context, machine, runner, definition, evaluator, fleet, loop, signals } = this.parts;
    const { stageAdvance, baselines, watches, controls, rollups } = this.parts;
    controls.tick();
    definition.poll();
    baselines.sample(context.flags.flag(context.flagKey), context.clock.now());
    if (machine.isWatching && fleet.evaluates) signals.poll();
    loop.tick();
    if (machine.isWatching && fleet.evaluatesStages) {
      const { state, epoch } = machine;
      const steppedBackFrom = state.status === 'armed' ? state.steppedBackFrom : undefined;
      stageAdvance?.poll(evaluator.stage, epoch, steppedBackFrom);
    }
    rollups.tick();
    runner.recheck();
    if (fleet.leads) for (const watch of watches) watch.poll();
  }
}
