/** A flag whose guards share a Redis. */
export interface RedisFlag {
  /** The Unleash environment, for example `production`. */
  readonly environment: string;
  /** The flag, as it is named in Unleash. */
  readonly flagKey: string;
  /** Of `RedisOutcomeStore`, if there is one. */
  readonly service?: string | undefined;
}

/** Where the fleet of one flag is in Redis. */
export interface RedisKeys {
  /** For the scripts, in their order. */
  readonly all: string[];
  readonly channel: string;
  /** The list of all flags, and this one's name in it. */
  readonly flags: string;
  readonly name: string;
}

/** The braces put all keys of a flag into one hash slot of a cluster. */
export function keysOf(prefix: string, { environment, flagKey, service }: RedisFlag): RedisKeys {
  const name = `${environment.replace(/[{}]/g, '_')}/${flagKey}${service === undefined ? '' : `/${service}`}`;
  const base = `${prefix}:{${name}}`;
  const channel = `${base}:changes`;
  const names = ['state', 'members', 'seen', 'settled', 'leader', 'deltas', 'totals:', 'checkpoint'];
  const later = ['rollups', 'rollups:', 'view', 'processes', 'candidates', 'requests', 'replies'];
  const keyOf = (key: string) => `${base}:${key}`;
  return {
    all: [...names.map(keyOf), channel, ...later.map(keyOf)],
    channel,
    flags: flagsKey(prefix),
    name,
  };
}

/** The key of the list of all flags. */
export function flagsKey(prefix: string): string {
  return `${prefix}:flags`;
}

/** The flag of a name in that list; undefined for what is none. */
export function flagOfName(name: string): RedisFlag | undefined {
  const [environment, flagKey, service, ...rest] = name.split('/');
  if (!environment || !flagKey || rest.length > 0) return undefined;
  return service === undefined ? { environment, flagKey } : { environment, flagKey, service };
}
