import { UnleashProvider } from '../../../providers/unleash/provider.js';
import type { AlertsOptions } from '../../alerts/alert-options.js';
import { alertsHandler } from '../../alerts/alerts-handler.js';
import { metricsHandler } from '../../dashboard/metrics-handler.js';
import { RedisOutcomeStore } from '../../fleet/redis/redis-outcome-store.js';
import { FlagGuards } from '../../guard/flag-guards.js';
import type { GuardStatus } from '../../guard/guard-status.js';
import type { RolloutGuardOptions } from '../../guard/options/options.js';
import { RolloutGuard } from '../../guard/rollout-guard.js';
import type { FlagGuardsOptions } from '../../guard/several/flag-options.js';
import type { ArmCounts } from '../../model/shapes.js';
import { messageOf } from '../../support/async/callbacks.js';
import { attempt, type ConfigProblem, throwProblems } from '../../support/config-error.js';
import type { HttpOptions } from '../../support/connection/http-options.js';
import type { Logger } from '../../support/logger.js';
import { type ControllerConfig, readControllerConfig } from './controller-config.js';
import {
  type FlagHealthReport,
  type HealthOptions,
  type HealthReport,
  HealthServer,
} from './health-server.js';

/** How often the controller checks its health, in milliseconds. */
const CHECK_MS = 1_000;
/** How often it logs its health when nothing has changed, in milliseconds. */
const HEALTH_MS = 60_000;

/** The guard of one flag, or those of several. */
type Guards = Pick<FlagGuards, 'guards' | 'start' | 'close'>;

/** Guards that serve no requests: they evaluate what the processes of fleets recorded, and turn the flags off for them. */
export class Controller {
  readonly #provider: UnleashProvider;
  readonly #guards: Guards;
  readonly #logger: Logger;
  readonly #healthOptions: HealthOptions | undefined;
  readonly #alerts: AlertsOptions | undefined;
  #healthServer: HealthServer | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** What was logged last of each flag. */
  readonly #logged = new Map<string, { readonly standing: string; readonly at: number }>();
  #isClosed = false;

  private constructor(
    provider: UnleashProvider,
    guards: Guards,
    logger: Logger,
    health: HealthOptions | undefined,
    alerts: AlertsOptions | undefined,
  ) {
    this.#alerts = alerts;
    this.#provider = provider;
    this.#guards = guards;
    this.#logger = logger;
    this.#healthOptions = health;
  }

  /**
   * Makes a controller from a configuration file. It connects to Unleash and Redis when it starts.
   *
   * @throws ConfigError that lists everything that is wrong with the configuration; no secret is in it.
   * @throws when the file cannot be read, or the module throws.
   */
  static async fromFile(path: string, environment: NodeJS.ProcessEnv, logger: Logger): Promise<Controller> {
    const file = await readControllerConfig(path, environment);
    const provider = providerOf(file, logger);
    const store = storeOf(file);
    const guards = attempt(() => guardsOf(file, provider.made, store.made, logger));
    // A provider that could not be made has problems of its own.
    const missing = file.flags === undefined ? 'flags' : 'provider';
    const ofGuard = guards.problems.filter(({ path }) => provider.made !== undefined || path !== missing);
    const problems = [...file.problems, ...ofGuard, ...store.problems, ...provider.problems];
    throwProblems(path, problems.map(withoutRedisUrl));
    return new Controller(provider.made!, guards.made!, logger, file.health, file.alerts);
  }

  /**
   * Starts the guard, and logs its health whenever that changes, and every minute. While Unleash or Redis is unreachable, it
   * retries.
   *
   * @throws FleetError when an operator must act on Redis: a wrong password, a server too old, foreign keys.
   * @throws when the address of `/health` cannot be listened on.
   * @throws when Unleash refuses the client token.
   */
  async start(): Promise<void> {
    await this.#serveHealth();
    try {
      await this.#provider.initialize();
    } catch (error) {
      if (this.#isClosed || isFatal(error)) throw error;
      const problem = messageOf(error);
      this.#logger.warn({ problem }, 'Unleash has not delivered the flag yet; the controller retries.');
    }
    if (this.#isClosed) return;
    await this.#guards.start();
    if (this.#isClosed) return;
    this.#logHealth();
    this.#timer = setInterval(() => this.#logHealth(), CHECK_MS);
  }

  /** Leaves the fleet, so that another process can lead at once, and releases everything. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#guards.close();
    await this.#provider.onClose();
    await this.#healthServer?.close();
  }

  /** Before anything that may wait: whoever asks meanwhile learns that nothing is guarded yet. */
  async #serveHealth(): Promise<void> {
    if (this.#healthOptions === undefined) return;
    const guards = () => Object.values(this.#guards.guards);
    const metrics = metricsHandler(guards);
    const alerts =
      this.#alerts === undefined
        ? {}
        : { '/alerts': alertsHandler(() => guards().map(({ alertTarget }) => alertTarget), this.#alerts) };
    const server = await HealthServer.listen(this.#healthOptions, () => reportOf(guards()), {
      '/metrics': metrics,
      ...alerts,
    });
    this.#healthServer = server;
    if (this.#isClosed) await server.close();
    else this.#logger.info({ url: server.url }, `Health: GET ${server.url}`);
  }

  #logHealth(): void {
    for (const [flagKey, guard] of Object.entries(this.#guards.guards)) {
      const { standing, counted } = healthOf(guard.status());
      const now = performance.now();
      const logged = this.#logged.get(flagKey);
      if (standing === logged?.standing && now - logged.at < HEALTH_MS) continue;
      this.#logged.set(flagKey, { standing, at: now });
      this.#logger.info({ type: 'health', flagKey }, `${standing} | ${counted}`);
    }
  }
}

/** They run no operations: they have no outcomes of their own, and their memory does not depend on the new code paths. */
const NO_OPERATIONS = { log: false, readMemoryBytes: false } as const;

function guardsOf(
  { guard, flags, unleash }: ControllerConfig,
  provider: UnleashProvider | undefined,
  store: RedisOutcomeStore | undefined,
  logger: Logger,
): Guards {
  const options = { ...guard, ...NO_OPERATIONS, unleash, store, logger };
  if (flags !== undefined)
    return new FlagGuards({ ...options, provider, flags } as unknown as FlagGuardsOptions);
  const only = new RolloutGuard({ ...options, flags: provider } as unknown as RolloutGuardOptions);
  return {
    guards: { [only.flagKey]: only },
    start: () => only.start(),
    close: () => only.close(),
  };
}

function providerOf({ unleash, clientToken, guard }: ControllerConfig, logger: Logger) {
  const { url } = unleash;
  return attempt(
    () =>
      new UnleashProvider({
        url: url as string,
        appName: 'rollout-guard',
        // A missing token is already among the problems.
        customHeaders: { Authorization: clientToken ?? 'none' },
        http: guard.http as HttpOptions | undefined,
        // It evaluates nothing that could be counted.
        disableMetrics: true,
        // Controllers of several environments may run on one machine, and must not read each other's definitions.
        storageProvider: { get: async () => undefined, set: async () => {} },
        logger,
      }),
    (path) => (path.startsWith('http') ? path : `unleash.${path.replace(/^customHeaders.*/, 'clientToken')}`),
  );
}

function storeOf({ redis, problems }: ControllerConfig) {
  // A missing URL is already among the problems.
  if (problems.some(({ path }) => path === 'redis.url')) return { made: undefined, problems: [] };
  return attempt(
    () => new RedisOutcomeStore(redis),
    (path) => `redis.${path}`,
  );
}

/** Whatever is given as Redis' URL may contain a password, however it is written. */
function withoutRedisUrl(problem: ConfigProblem): ConfigProblem {
  const mayContain = /^redis(\.url)?$/.test(problem.path) && problem.got !== 'nothing';
  return mayContain ? { ...problem, got: 'something else (not shown)' } : problem;
}

function isFatal(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'PROVIDER_FATAL';
}

/** Of one flag its report; of several one for each. */
function reportOf(guards: readonly RolloutGuard[]): HealthReport {
  const reports = guards.map((guard) => reportOfFlag(guard.status()));
  if (reports.length === 1) return reports[0]!;
  const isBlind = reports.some(({ status }) => status === 'blind');
  return {
    status: isBlind ? 'blind' : 'ok',
    flags: Object.fromEntries(reports.map((report) => [report.flagKey, report])),
  };
}

function reportOfFlag({ flagKey, dryRun, state, health, fleet }: GuardStatus): FlagHealthReport {
  return { ...health, flagKey, dryRun, guard: state.status, role: fleet?.role ?? 'standalone' };
}

/** The controller's health in words: what is worth a line whenever it changes, and what changes all the time. */
export function healthOf({ flagKey, dryRun, state, health, epoch, flag, fleet, snapshot }: GuardStatus) {
  const rollout =
    flag === undefined
      ? 'not known from Unleash yet'
      : flag.enabled
        ? `on${flag.rolloutPercentage === undefined ? '' : ` at ${flag.rolloutPercentage} %`}`
        : 'off';
  const { treatment, control } = snapshot.total;
  const countedOf = ({ successes, failures }: ArmCounts) => successes + failures;
  const standing = [
    `${flagKey} is ${rollout}`,
    `${dryRun ? 'dry run, ' : ''}${state.status}`,
    fleet?.problem === undefined ? (fleet?.role ?? 'standalone') : `standalone: ${fleet.problem}`,
    `epoch ${fleet?.epoch ?? epoch}`,
    ...(fleet?.unfed ?? []).map(
      ({ rule, processes }) =>
        `${rule} is not fed by all: ${processes} ${processes === 1 ? 'has' : 'have'} other rules`,
    ),
    ...(health.status === 'ok' ? [] : [`blind: ${health.reasons.map(({ code }) => code).join(', ')}`]),
  ];
  return {
    standing: standing.join(' | '),
    counted: `outcomes: ${countedOf(treatment)} treatment, ${countedOf(control)} control`,
  };
}
