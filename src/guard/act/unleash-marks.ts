import type { GuardEvent } from '../../model/event.js';
import type { Decision } from '../../model/shapes.js';
import { stageAt } from '../../model/stage.js';
import type { Limiter } from '../../support/async/limiter.js';
import { decisionUrl } from '../../support/dashboard-url.js';
import { retry } from '../../support/retry.js';
import { briefReason, formatDate } from '../../support/wording.js';
import type { UnleashAdminClient } from '../../unleash/admin-client.js';
import { ADMIN_RETRY, isAdminError } from '../../unleash/admin-error.js';
import type { AdminLink } from '../../unleash/admin-replies.js';
import type { GuardContext } from '../context/guard-context.js';
import type { AdminResources } from '../context/guard-resources.js';
import type { Evaluator } from '../evaluate/evaluator.js';
import type { GuardFleet } from '../guard-fleet.js';
import type { GuardMachine } from '../guard-machine.js';

/** The type of the guard's own tags. */
export const GUARD_TAG_TYPE = {
  name: 'rollout-guard',
  description: 'Where a guarded rollout stands. rollout-guard sets and removes these tags by itself.',
  icon: '🛡',
} as const;

/** The guard's own link is recognised by it. */
export const LINK_PREFIX = 'rollout-guard: ';
const MAX_TITLE_LENGTH = 200;

const SHOWING = 'showing the rollout in Unleash';

/** What the flag's page in Unleash shows of the rollout. */
interface Marks {
  readonly tags: readonly string[];
  readonly link: AdminLink | undefined;
}

/**
 * Shows in Unleash's own UI where the rollout stands: as tags of a type of its own, as a link to the latest decision, and in the flag's
 * lifecycle. It begins only when a stop is confirmed, changes nothing that is not the guard's, and where it fails, nothing else does.
 */
export class UnleashMarks {
  readonly #context: GuardContext;
  readonly #machine: GuardMachine;
  readonly #evaluator: Evaluator;
  readonly #fleet: GuardFleet;
  readonly #admin: UnleashAdminClient;
  readonly #checks: Limiter;
  readonly #closing = new AbortController();
  #shown: string | undefined;
  #showing: Promise<void> = Promise.resolve();
  #isBusy = false;
  #isReported = false;
  /** By the monotonic clock. */
  #nextAttemptAt = Number.NEGATIVE_INFINITY;

  constructor(
    context: GuardContext,
    { client, checks }: Pick<AdminResources, 'client' | 'checks'>,
    machine: GuardMachine,
    evaluator: Evaluator,
    fleet: GuardFleet,
  ) {
    this.#context = context;
    this.#machine = machine;
    this.#evaluator = evaluator;
    this.#fleet = fleet;
    this.#admin = client;
    this.#checks = checks;
    if (!context.dryRun) context.records.listen((event) => this.#onEvent(event));
  }

  /** Called on every tick of a process that leads. */
  poll(): void {
    const { dryRun, clock } = this.#context;
    if (dryRun || this.#isBusy || this.#closing.signal.aborted) return;
    if (clock.monotonic() < this.#nextAttemptAt) return;
    const marks = this.#marks();
    const key = JSON.stringify(marks);
    if (marks === undefined || key === this.#shown) return;
    this.#isBusy = true;
    const show = async () => {
      // By its turn, the rollout may stand elsewhere.
      const latest = this.#marks();
      if (latest !== undefined) await this.#show(latest, JSON.stringify(latest));
    };
    const end = () => {
      this.#isBusy = false;
    };
    this.#do(() => this.#checks.run(show, this.#closing.signal)).then(end);
  }

  /** Ends the requests under way; resolves when they have ended. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#showing;
  }

  /** Undefined while nothing is to be changed there. */
  #marks(): Marks | undefined {
    const { flags, flagKey, stages } = this.#context;
    const { state } = this.#machine;
    if (state.status === 'stopping') return undefined;
    if (state.status === 'stopped') {
      if (state.confirmedBy === 'removed') return undefined;
      return { tags: [state.steppedBack ? 'step-back' : 'stopped'], link: this.#linkTo(state.decision) };
    }
    const flag = flags.flag(flagKey);
    // A process that is cut off from its fleet knows neither reviews nor stages.
    const isSole = this.#fleet.controls === undefined || this.#fleet.controls.leads;
    if (flag === undefined || !isSole) return undefined;
    if (!flag.enabled) return { tags: [], link: undefined };
    const { rolloutPercentage: percentage } = flag;
    const from = state.steppedBackFrom;
    const stage = stageAt(stages, percentage)?.stage;
    const tags = [
      ...(from !== undefined && percentage !== undefined && percentage < from ? ['step-back'] : []),
      ...(this.#evaluator.openReviews.length > 0 ? ['review'] : []),
      ...(stage === undefined ? [] : [`stage:${stage.percentage}`]),
    ];
    return { tags, link: undefined };
  }

  #linkTo(decision: Decision): AdminLink | undefined {
    const { dashboardUrl, flagKey, unleash } = this.#context;
    const url =
      dashboardUrl === undefined ? unleash.reportUrl : decisionUrl(dashboardUrl, flagKey, decision.id);
    if (url === undefined) return undefined;
    const title = `${LINK_PREFIX}${briefReason(decision)}`;
    // The flag's page shows a link of all environments and without its time, and the next stop may be weeks later.
    const where = ` (${unleash.environment}, ${formatDate(decision.at)})`;
    const room = MAX_TITLE_LENGTH - where.length;
    // Not between the halves of one character.
    const cut = title.length > room ? `${title.slice(0, room - 1).replace(/[\ud800-\udbff]$/, '')}…` : title;
    return { url, title: `${cut}${where}` };
  }

  async #show({ tags, link }: Marks, key: string): Promise<void> {
    const { flagKey, clock, recheckMs } = this.#context;
    const { signal } = this.#closing;
    const isOurs = ({ title = '' }: { readonly title?: string | undefined }) => title.startsWith(LINK_PREFIX);
    // What the token may not do is no reason to leave out the other.
    const results = await Promise.allSettled([
      this.#admin.setTags(flagKey, GUARD_TAG_TYPE, tags, { signal }),
      link && this.#admin.setLink(flagKey, link, isOurs, { signal }),
    ]);
    const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    if (errors.some((error) => !isAdminError(error) || error.retryable)) {
      this.#nextAttemptAt = clock.monotonic() + recheckMs;
    } else {
      // Where retrying cannot help, the next change is the next attempt.
      this.#shown = key;
    }
    for (const error of errors) this.#report(error);
  }

  #onEvent(event: GuardEvent): void {
    if (!this.#fleet.leads) return;
    if (event.type === 'completed') this.#complete(true);
    const isOver = event.type === 'stopped' || event.type === 'stepped-back';
    const { state } = this.#machine;
    if (!isOver || state.status === 'armed') return;
    // What the guard has called complete.
    if (this.#evaluator.reportedState.completedEpoch === state.decision.epoch) this.#complete(false);
  }

  #complete(isComplete: boolean): void {
    const { signal } = this.#closing;
    const request = () => this.#admin.setComplete(this.#context.flagKey, isComplete, { signal });
    // Checks of other flags do not wait for the pause before a retry.
    void this.#do(() => retry(() => this.#checks.run(request, signal), { ...ADMIN_RETRY, signal }));
  }

  /** Once: that something is not shown is no reason to disturb an operator each hour. */
  #report(error: unknown): void {
    // An older Unleash has no lifecycle; a refused token, a missing flag and an Unleash that is down are reported elsewhere.
    const isKnown =
      isAdminError(error) && /^ADMIN_(NOT_FOUND|TOKEN|UNAVAILABLE|RATE_LIMIT)$/.test(error.code);
    if (isKnown) return;
    if (this.#isReported || this.#closing.signal.aborted) return;
    this.#isReported = true;
    this.#context.records.outage(SHOWING, error);
  }

  #do(run: () => Promise<void>): Promise<void> {
    const done = run().catch((error) => this.#report(error));
    this.#showing = Promise.all([this.#showing, done]).then(() => {});
    return done;
  }
}
