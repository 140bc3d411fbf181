import { RedisOutcomeStore } from '../../fleet/redis/index.js';
import { type Logger, RolloutGuard, type RolloutGuardOptions, UnleashProvider } from '../../index.js';
import type { ConfigProblem } from '../../support/config-error.js';
import { attempt, throwProblems } from './collect-problems.js';
import {
  type ControllerConfig,
  type Environment,
  isAboutBrokenList,
  readControllerConfig,
} from './controller-config.js';
import { healthOf } from './health.js';

/** How often the judge looks how it stands, in milliseconds. */
const LOOK_MS = 1_000;
/** How often it says so when nothing has changed, in milliseconds. */
const HEALTH_MS = 60_000;

/** A guard that serves no requests: it judges what the processes of a fleet recorded, and speaks to Unleash for them. */
export class Controller {
  readonly #provider: UnleashProvider;
  readonly #guard: RolloutGuard;
  readonly #logger: Logger;
  #looks: NodeJS.Timeout | undefined;
  #told = { standing: '', at: 0 };
  #ended = false;

  private constructor(provider: UnleashProvider, guard: RolloutGuard, logger: Logger) {
    this.#provider = provider;
    this.#guard = guard;
    this.#logger = logger;
  }

  /**
   * Makes a judge of a configuration. Nothing is asked of Unleash or Redis yet.
   *
   * @throws ConfigError that lists everything that is wrong with the configuration; no secret is in it.
   * @throws when the file cannot be read, or the module throws.
   */
  static async fromFile(path: string, environment: Environment, logger: Logger): Promise<Controller> {
    const file = await readControllerConfig(path, environment);
    const provider = providerOf(file, logger);
    const store = storeOf(file);
    const guard = attempt(() => {
      const options = {
        ...file.guard,
        unleash: file.unleash,
        flags: provider.made,
        store: store.made,
        // It runs no operations, so that it has no outcomes of its own, and its memory says nothing of the new code path.
        log: false,
        readMemoryBytes: () => Number.NaN,
        logger,
      };
      return new RolloutGuard(options as unknown as RolloutGuardOptions);
    });
    const ofGuard = guard.problems.filter(
      (problem) => problem.path !== 'flags' && !isAboutBrokenList(problem, file.problems),
    );
    const problems = [...file.problems, ...ofGuard, ...store.problems, ...provider.problems];
    throwProblems(path, problems.map(withoutRedisUrl));
    return new Controller(provider.made!, guard.made!, logger);
  }

  /**
   * Begins to judge, and says how it stands whenever that changes, and every minute. Where Unleash or
   * Redis is away, it goes on trying.
   *
   * @throws FleetError when Redis cannot be used without a person: a wrong password, a server too old, foreign keys.
   * @throws when Unleash refuses the client token, or the folder belongs to the guard of another flag.
   */
  async start(): Promise<void> {
    try {
      await this.#provider.initialize();
    } catch (error) {
      if (this.#ended || isFatal(error)) throw error;
      const problem = error instanceof Error ? error.message : String(error);
      this.#logger.warn({ problem }, 'The judge does not know the flag yet.');
    }
    if (this.#ended) return;
    await this.#guard.start();
    if (this.#ended) return;
    this.#tellHealth();
    this.#looks = setInterval(() => this.#tellHealth(), LOOK_MS);
  }

  /** Leaves the fleet, so that another may judge at once, and ends everything. */
  async close(): Promise<void> {
    this.#ended = true;
    clearInterval(this.#looks);
    await this.#guard.close();
    await this.#provider.onClose();
  }

  #tellHealth(): void {
    const { standing, counted } = healthOf(this.#guard.status());
    const now = performance.now();
    if (standing === this.#told.standing && now - this.#told.at < HEALTH_MS) return;
    this.#told = { standing, at: now };
    this.#logger.info({ type: 'health' }, `${standing} | ${counted}`);
  }
}

function providerOf({ unleash, clientToken }: ControllerConfig, logger: Logger) {
  const { url } = unleash;
  return attempt(
    () =>
      new UnleashProvider({
        url: url as string,
        appName: 'rollout-guard',
        // A token that is missing has been told.
        customHeaders: { Authorization: clientToken ?? 'none' },
        // It evaluates nothing that could be counted.
        disableMetrics: true,
        // Judges of several environments may run on one machine, and must not take each other's definitions.
        storageProvider: { get: async () => undefined, set: async () => {} },
        logger,
      }),
    (path) => `unleash.${path}`,
  );
}

function storeOf({ redis, problems }: ControllerConfig) {
  // Without a URL there is nothing to check but what has been told.
  if (problems.some(({ path }) => path === 'redis.url')) return { made: undefined, problems: [] };
  return attempt(
    () => new RedisOutcomeStore(redis),
    (path) => `redis.${path}`,
  );
}

/** Whatever stands where Redis' URL belongs may hold a password, however it is written. */
function withoutRedisUrl(problem: ConfigProblem): ConfigProblem {
  const mayHold = /^redis(\.url)?$/.test(problem.path) && problem.got !== 'nothing';
  return mayHold ? { ...problem, got: 'something else (not shown)' } : problem;
}

function isFatal(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'PROVIDER_FATAL';
}
