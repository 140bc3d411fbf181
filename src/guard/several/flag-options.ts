import { join } from 'node:path';
import { z } from 'zod';
import type { GuardEvent } from '../../model/event.js';
import type { FlagSource } from '../../model/flags.js';
import {
  attempt,
  type ConfigProblem,
  isRecord,
  parseConfig,
  throwProblems,
} from '../../support/config-error.js';
import { type Logger, resolveLogger } from '../../support/logger.js';
import { safeClock } from '../context/guard-context.js';
import { type GuardResources, guardResources } from '../context/guard-resources.js';
import type { RolloutGuardOptions } from '../options/options.js';
import {
  loggerSchema,
  optionNames,
  type ResolvedOptions,
  resolveOptions,
} from '../options/resolve-options.js';
import { SharedLog } from './shared-log.js';

/** More flags in one process are taken for a mistake: each is evaluated on every tick, and needs memory of its own. */
const MOST_FLAGS = 1_000;

/** What all flags share, and none can have for itself. */
const SHARED = [
  'unleash',
  'store',
  'mode',
  'tickMs',
  'recheckMs',
  'notify',
  'clock',
  'random',
  'http',
  'fetch',
  'readMemoryBytes',
] as const satisfies readonly (keyof RolloutGuardOptions)[];

/** What holds for all flags, unless a flag has its own. */
const DEFAULTS = [
  'client',
  'observers',
  'dryRun',
  'dashboardUrl',
  'serviceVersion',
  'log',
  'operation',
  'outcomeTimeoutMs',
  'maxTrackedUsers',
] as const satisfies readonly (keyof RolloutGuardOptions)[];

/** What `guardFlags` sets for each guard. */
type Given = 'flagKey' | 'flags' | 'folder' | 'logger' | 'onEvent' | (typeof SHARED)[number];

/** The options of one flag among several: its rules, and whatever else is about this flag. A preset fits. */
export interface FlagOptions extends Omit<RolloutGuardOptions, Given> {}

/** The options of `guardFlags()`. Beside `provider` and `flags`, those of `new RolloutGuard()` that are not about one flag. */
export interface FlagGuardsOptions<FlagKey extends string = string>
  extends Pick<RolloutGuardOptions, (typeof SHARED)[number] | (typeof DEFAULTS)[number] | 'logger'> {
  /** The provider of all flags: `UnleashProvider`. */
  readonly provider: FlagSource;
  /** The flags to guard, by their keys in Unleash: at least 1, at most 1,000. */
  readonly flags: Readonly<Record<FlagKey, FlagOptions>>;
  /**
   * The folder in which each flag has its own, `<flag_key>_rollout`; or `false` to write nothing to disk. @default `logs`
   */
  readonly folder?: string | false | undefined;
  /** Called for everything that the guards do. */
  readonly onEvent?: ((event: GuardEvent, flagKey: FlagKey) => void) | undefined;
}

const FLAGS = "the flags to guard, by their keys, for example { 'async-upload': asyncUploadRollout }";
const FLAG = 'the options of a flag, for example asyncUploadRollout';
const WHAT = 'guardFlags options';
const anything = z.unknown().optional();

const nothing = (error: string) => z.undefined({ error }).optional();

/** Beside `flags`, what only one flag can have. A controller's file has the same. */
export function ofOneFlag(names: readonly string[]) {
  const own = nothing('nothing: it is of one flag, so it stands in each of "flags"');
  return {
    ...Object.fromEntries(names.map((name) => [name, own])),
    flagKey: nothing('nothing: the keys of "flags" are those of the flags'),
  };
}

/** What the guards check themselves is not checked here. */
const optionsSchema = z.lazy(() =>
  z.strictObject({
    ...ofOneFlag(optionNames),
    ...Object.fromEntries([...SHARED, ...DEFAULTS, 'logger'].map((name) => [name, anything])),
    // Each guard checks it.
    provider: anything,
    flags: z
      .custom<object>(isRecord, { error: FLAGS, abort: true })
      .refine((flags) => !('onTrack' in flags && typeof flags.onTrack === 'function'), {
        error: FLAGS,
        abort: true,
        params: { hint: 'the provider is the option "provider"' },
      })
      .refine((flags) => Object.keys(flags).length > 0, { error: 'at least one flag' })
      .refine((flags) => Object.keys(flags).length <= MOST_FLAGS, { error: `at most ${MOST_FLAGS} flags` }),
    folder: z.union([z.string().min(1), z.literal(false)], { error: 'a path, or false' }).optional(),
    onEvent: z
      .custom((value) => typeof value === 'function', { error: 'a function (event, flagKey) => …' })
      .optional(),
  }),
);

const GIVEN: readonly string[] = [...SHARED, 'folder', 'logger', 'onEvent'];

/** A flag has nothing for itself that all share. */
const flagSchema = z.lazy(() =>
  z.strictObject(
    {
      ...Object.fromEntries(
        optionNames.map((name) => [
          name,
          GIVEN.includes(name)
            ? nothing('nothing: all flags share it, so it stands beside "flags"')
            : anything,
        ]),
      ),
      flagKey: nothing('nothing: the key in "flags" is that of the flag'),
      flags: nothing('nothing: all flags share the "provider", which stands beside "flags"'),
    },
    { error: (issue) => (issue.code === 'invalid_type' ? FLAG : undefined) },
  ),
);

/** What the guards of several flags are made of. */
interface ResolvedFlags {
  /** The options of each guard. */
  readonly flags: readonly ResolvedOptions[];
  readonly log: SharedLog;
  readonly resources: GuardResources;
}

/** @throws ConfigError that lists everything that is wrong, with its flag and field. */
export function resolveFlags<FlagKey extends string>(options: FlagGuardsOptions<FlagKey>): ResolvedFlags {
  const checked = parseConfig(optionsSchema, options, WHAT) as unknown as FlagGuardsOptions;
  const { logger, problems } = loggerOf(checked);
  const log = new SharedLog(logger);
  const found = Object.entries<FlagOptions>(checked.flags).map(([flagKey, own]) => {
    const place = (path: string) => placeOf(path, flagKey, own);
    const inFlag = attempt(
      () => parseConfig(flagSchema, own, WHAT),
      (path) => placeInFlag(flagKey, path),
    );
    if (!isRecord(own)) return { made: undefined, problems: inFlag.problems };
    const inGuard = attempt(() => resolveOptions(optionsOf(checked, flagKey, own, log)), place);
    return { ...inGuard, problems: [...inFlag.problems, ...inGuard.problems] };
  });
  throwProblems(WHAT, [...problems, ...found.flatMap(({ problems }) => problems), ...sharedFolders(checked)]);
  const flags = found.flatMap(({ made }) => made ?? []);
  const [first] = flags;
  // Each guard reports a clock that fails.
  const clock = safeClock(first!.clock, () => {});
  return { flags, log, resources: guardResources({ ...first!, clock }, flags.length) };
}

function optionsOf(
  { provider, folder: root = 'logs', onEvent, ...shared }: FlagGuardsOptions,
  flagKey: string,
  own: FlagOptions,
  log: SharedLog,
): RolloutGuardOptions {
  const { flags: _, ...common } = shared;
  const folder = root === false ? false : join(root, folderName(flagKey));
  // What is undefined must not erase what holds for all, and what all share is no flag's own.
  const isOwn = ([name, value]: [string, unknown]) => value !== undefined && !isShared(name);
  return {
    ...common,
    ...(Object.fromEntries(Object.entries(own).filter(isOwn)) as unknown as FlagOptions),
    flagKey,
    flags: provider,
    folder,
    logger: log.of(flagKey, folder),
    onEvent: onEvent && ((event) => onEvent(event, flagKey)),
  };
}

function folderName(flagKey: string): string {
  return `${flagKey.replaceAll('-', '_')}_rollout`;
}

/** Two guards cannot write to one folder; some file systems know no difference between upper and lower case. */
function sharedFolders({ folder, flags }: FlagGuardsOptions): readonly ConfigProblem[] {
  if (folder === false) return [];
  const owners = new Map<string, string>();
  return Object.keys(flags).flatMap((flagKey) => {
    const name = folderName(flagKey).toLowerCase();
    const owner = owners.get(name);
    if (owner === undefined) {
      owners.set(name, flagKey);
      return [];
    }
    const expected = `a flag whose folder is not that of "${owner}" too`;
    const hint = 'guard one of both by a guardFlags of its own, with another folder';
    return [{ path: placeOfFlag(flagKey), expected, got: `"${folderName(flagKey)}"`, hint }];
  });
}

function isShared(name: string): boolean {
  return (SHARED as readonly string[]).includes(name);
}

/** Where a problem of a guard's options is in those of all. */
function placeOf(path: string, flagKey: string, own: FlagOptions): string {
  const [field = ''] = path.split(/[.[]/);
  if (field === 'flags') return path.replace(/^flags/, 'provider');
  if (field === 'flagKey') return placeInFlag(flagKey, '');
  const isOfAll =
    isShared(field) ||
    ((DEFAULTS as readonly string[]).includes(field) && own[field as keyof FlagOptions] === undefined);
  return isOfAll ? path : placeInFlag(flagKey, path);
}

function placeInFlag(flagKey: string, path: string): string {
  return path === '' ? placeOfFlag(flagKey) : `${placeOfFlag(flagKey)}.${path}`;
}

/** Where a flag is in the options of all, for example `flags.async-upload`. */
export function placeOfFlag(flagKey: string): string {
  return /^[\w-]+$/.test(flagKey) ? `flags.${flagKey}` : `flags[${JSON.stringify(flagKey)}]`;
}

/** One logger for all, checked as a guard checks its own. */
function loggerOf({ logger }: FlagGuardsOptions): {
  readonly logger: Logger;
  readonly problems: readonly ConfigProblem[];
} {
  const { problems } = attempt(() => parseConfig(z.object({ logger: loggerSchema }), { logger }, WHAT));
  return { logger: resolveLogger(problems.length > 0 ? false : logger), problems };
}
