import type { GuardContext } from '../context/guard-context.js';
import type { GuardFleet } from '../guard-fleet.js';
import type { GuardMachine } from '../guard-machine.js';
import type { EffectRunner } from './effect-runner.js';

/** Reads the flag's definition, and reports how it was changed in Unleash: by the guard, or by an operator. */
export class DefinitionWatch {
  readonly #context: GuardContext;
  readonly #machine: GuardMachine;
  readonly #fleet: GuardFleet;
  readonly #runner: EffectRunner;
  /** Whether the definition was read in this run. */
  #hasRead = false;
  #reporting: Promise<void> = Promise.resolve();

  constructor(context: GuardContext, machine: GuardMachine, fleet: GuardFleet, runner: EffectRunner) {
    this.#context = context;
    this.#machine = machine;
    this.#fleet = fleet;
    this.#runner = runner;
  }

  /** Called on every tick, and when the provider has another definition. */
  poll(): void {
    const { flags, flagKey, clock, records } = this.#context;
    const facts = flags.flag(flagKey);
    if (facts === undefined) return;
    const machine = this.#machine;
    const { epoch: epochBefore, wasEnabled } = machine;
    const { enabled, rolloutPercentage } = facts;
    const isToggledByOperator = machine.state.status === 'armed' && wasEnabled === !enabled;
    this.#runner.dispatch({ type: 'definition', at: clock.now(), enabled, rolloutPercentage });
    const hasChanged = machine.adopt(facts, machine.epoch !== epochBefore);
    if (hasChanged || !this.#hasRead) this.#readHistory(enabled && wasEnabled === false);
    this.#hasRead = true;
    if (!hasChanged) return;
    const { epoch } = machine;
    records.emit({ type: 'rollout-changed', at: clock.now(), epoch, enabled, rolloutPercentage });
    machine.save();
    if (!isToggledByOperator || !this.#fleet.leads) return;
    const report = this.#reportToggle(enabled ? 'on' : 'off', rolloutPercentage);
    this.#reporting = Promise.all([this.#reporting, report]).then(() => {});
  }

  /** Resolves when everything is reported; the runner's end ends the requests for it. */
  async close(): Promise<void> {
    await this.#reporting;
  }

  /** While a stop is open, what it refers to stays. */
  #readHistory(isOther: boolean): void {
    const { history } = this.#runner;
    if (this.#machine.state.status === 'armed' && !this.#context.dryRun) history?.refresh(isOther);
  }

  /** The guard did not turn the flag off or on: who did, as far as Unleash's history says so. */
  async #reportToggle(change: 'off' | 'on', rolloutPercentage: number | undefined): Promise<void> {
    const { clock, records } = this.#context;
    const at = clock.now();
    const newest = await this.#runner.history?.newest();
    // A definition that is older than the last change arrives late.
    if (newest !== undefined && newest.change !== change) return;
    const { by, changedAt, isGuards } = newest ?? {};
    const ofGuard = isGuards ? ({ isGuards } as const) : {};
    records.emit({ type: 'toggled', at, change, by, changedAt, rolloutPercentage, ...ofGuard });
  }
}
