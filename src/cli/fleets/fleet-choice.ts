import type { Command } from 'commander';
import type { z } from 'zod';
import type { RedisFlag } from '../../fleet/redis/redis-keys.js';
import { RedisReader } from '../../fleet/redis/redis-reader.js';
import type { SharedRollout } from '../../fleet/shared-rollout.js';
import { NoGuardError } from '../../report/status/rollout-status.js';
import { ConfigError } from '../../support/config-error.js';
import { isRedisUrl } from '../controls/control-target.js';
import { nameOption } from '../unleash-options.js';

/** One fleet of a Redis. */
export interface Fleet extends RedisFlag {
  /** For an operator; without the password. */
  readonly name: string;
  readonly rollout: SharedRollout;
}

/** Which fleets of a Redis are meant. */
export const fleetFields = {
  flag: nameOption("the flag's key (--flag)").optional(),
  environment: nameOption('an environment (--environment)').optional(),
  service: nameOption('a name of RedisOutcomeStore (--service)').optional(),
  prefix: nameOption('the prefix of the keys (--prefix)').optional(),
};

export type FleetOptions = z.output<z.ZodObject<typeof fleetFields>>;

/** Adds the options of {@link fleetFields}. */
export function addFleetOptions(command: Command): Command {
  return command
    .option('--flag <key>', 'of a Redis: the flag')
    .option('--environment <name>', 'of a Redis: the environment of the fleet')
    .option('--service <name>', 'of a Redis: the fleet of this service, if it has a name')
    .option('--prefix <prefix>', "of a Redis: the prefix of the fleet's keys, if not the default");
}

/**
 * Whether a target is a Redis.
 *
 * @throws ConfigError for options that folders have no use for, and for addresses of anything else: they might be taken for folders that
 *   are not there yet.
 */
export function isFleetTarget(target: string, options: FleetOptions): boolean {
  if (isRedisUrl(target)) return true;
  if (/^[a-z]+:\/\//i.test(target)) {
    const got = `an address of ${target.split(':')[0]}`;
    throw new ConfigError('arguments', [{ path: '', expected: 'a folder, or redis:// or rediss://', got }]);
  }
  const { flag, environment, service, prefix } = options;
  const given = Object.entries({ flag, environment, service, prefix }).filter(
    ([, value]) => value !== undefined,
  );
  if (given.length === 0) return false;
  const expected = 'nothing: it says which fleet of a Redis is meant, and this is a folder';
  throw new ConfigError(
    'options',
    given.map(([path, got]) => ({ path, expected, got: JSON.stringify(got) })),
  );
}

/** The fleets of a Redis that an operator asked for. */
export class FleetChoice {
  readonly #reader: RedisReader;
  readonly #place: string;
  readonly #wanted: FleetOptions;

  /** @throws ConfigError when the URL or the prefix is invalid. */
  constructor(url: string, wanted: FleetOptions) {
    this.#reader = new RedisReader({ url, prefix: wanted.prefix });
    const { protocol, host, pathname } = new URL(url);
    this.#place = `${protocol}//${host}${pathname === '/' ? '' : pathname}`;
    this.#wanted = wanted;
  }

  /** Where they are searched; without the password. */
  get place(): string {
    return this.#place;
  }

  /** All that fit, by their names. @throws FleetError when Redis does not reply as it should. */
  async all(): Promise<readonly Fleet[]> {
    const { flag, environment, service } = this.#wanted;
    const isWanted = (wanted: string | undefined, is: string | undefined) =>
      wanted === undefined || wanted === is;
    const found = (await this.#reader.flags()).filter(
      (each) =>
        isWanted(flag, each.flagKey) &&
        isWanted(environment, each.environment) &&
        isWanted(service, each.service),
    );
    return found.map((each) => ({
      ...each,
      name: `${this.#place}, ${nameOf(each)}`,
      rollout: this.#reader.rollout(each),
    }));
  }

  /**
   * The only one that fits.
   *
   * @throws {@link NoGuardError} when there is none; ConfigError that names them when there are several; FleetError as {@link all}.
   */
  async one(): Promise<Fleet> {
    const [first, ...others] = await this.all();
    if (first === undefined) {
      const what = Object.entries(this.#wanted).flatMap(([name, value]) => (value ? `${name} ${value}` : []));
      const fitting = what.length === 0 ? '' : ` with ${what.join(', ')}`;
      throw new NoGuardError(`${this.#place} has no fleet${fitting}.`);
    }
    if (others.length === 0) return first;
    const names = [first, ...others].map(nameOf).slice(0, 20).join('; ');
    const expected = `one fleet (--flag, --environment, --service) of those that are there: ${names}`;
    throw new ConfigError('options', [{ path: 'flag', expected, got: `${others.length + 1} that fit` }]);
  }

  close(): void {
    this.#reader.close();
  }
}

/** Does something with the only fleet that fits, and closes the connection. @throws as {@link FleetChoice.one} */
export async function withFleetOf<T>(
  url: string,
  wanted: FleetOptions,
  run: (fleet: Fleet) => Promise<T>,
): Promise<T> {
  const choice = new FleetChoice(url, wanted);
  try {
    return await run(await choice.one());
  } finally {
    choice.close();
  }
}

function nameOf({ flagKey, environment, service }: RedisFlag): string {
  return `${flagKey} in ${environment}${service === undefined ? '' : ` of ${service}`}`;
}
