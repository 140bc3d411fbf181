import { userInfo } from 'node:os';
import { type Command, Option } from 'commander';
import { z } from 'zod';
import { type Control, type ControlReply, type ControlType, controlSchema } from '../../model/control.js';
import { messageOf } from '../../support/async/callbacks.js';
import { ConfigError, parseConfig } from '../../support/config-error.js';
import { complete } from '../command.js';
import { durationOption } from '../quantities.js';
import { addUnleashOptions, nameOption, unleashFields } from '../unleash-options.js';
import {
  askFolder,
  askLeader,
  type FleetTarget,
  isFleetOff,
  isRedisUrl,
  withFleet,
} from './control-target.js';
import { DirectStop, type StopTarget, stopFleet } from './direct-stop.js';

const WHERE = `
The target is the folder of a running guard (logs/async_upload_rollout) or the Redis of a fleet (redis://…, with --flag and
--environment). The guard answers within a second or two, and the command prints what it did.

Exit codes: 0 it was done, 1 it was refused, or no guard answered, 2 wrong usage.`;

const STOP = `
Without a target, or when no guard answers, the flag is turned off straight through Unleash's admin API and read back, for which
--url, --flag, --environment and an admin token are needed: also when the service is down. Give tokens as environment variables.

  export UNLEASH_URL=https://unleash.example.com/api UNLEASH_ADMIN_TOKEN=…
  rollout-guard stop --flag async-upload --environment production --reason "uploads are lost"

With a target, the stop is left there, so that a guard that starts later knows it.
${WHERE}`;

/** The commands, and what each asks for beside a reason. */
const COMMANDS: Readonly<
  Record<ControlType, { readonly about: string; readonly needs: readonly ('trigger' | 'for' | 'force')[] }>
> = {
  stop: { about: 'Turns the flag off now, as a rollback would; also when the service is down.', needs: [] },
  hold: { about: 'Puts automatic advance on hold, until resume. Triggers stay in force.', needs: [] },
  resume: { about: 'Ends a hold.', needs: [] },
  advance: { about: 'Moves the percentage in Unleash to that of the next stage.', needs: ['force'] },
  acknowledge: { about: 'Closes the review that a trigger has opened.', needs: ['trigger'] },
  mute: {
    about: 'For a time, a trigger neither stops the flag nor opens a review.',
    needs: ['trigger', 'for'],
  },
  unmute: { about: 'Ends a mute before its time.', needs: ['trigger'] },
};

const REASONED: readonly ControlType[] = ['stop', 'hold', 'mute'];

/** Adds the subcommands by which operators control a guard. */
export function registerControls(program: Command): void {
  for (const type of Object.keys(COMMANDS) as ControlType[]) register(program, type);
}

function register(program: Command, type: ControlType): void {
  const { about, needs } = COMMANDS[type];
  const command = program
    .command(type)
    .description(about)
    .argument(
      type === 'stop' ? '[target]' : '<target>',
      'the folder of the guard, or the Redis URL of its fleet',
    )
    .option('--by <name>', 'who asks', operatorName())
    .option('--reason <text>', 'why, for the audit log')
    .addOption(new Option('--flag <key>', 'the flag, where several are guarded').env('UNLEASH_FLAG'))
    .option('--prefix <prefix>', "of a fleet's keys in Redis, if not the default")
    .option('--service <name>', 'of a fleet that has a name')
    .option('--wait <time>', 'how long to wait for an answer', '15s')
    .option('--json', 'print the answer as JSON', false);
  if (needs.includes('trigger')) command.option('--trigger <name>', 'the trigger');
  if (needs.includes('for')) command.option('--for <time>', 'for how long: 30min, 2h, 7d');
  if (needs.includes('force')) command.option('--force', 'also when the stage is not met');
  if (type === 'stop') addUnleashOptions(command);
  else command.addOption(new Option('--environment <name>', 'of the fleet').env('UNLEASH_ENVIRONMENT'));
  complete(command, type === 'stop' ? STOP : WHERE, optionsSchema, async (options, target) => {
    const control = controlOf(type, options);
    const reply =
      control.type === 'stop' ? await stop(control, target, options) : await ask(control, target, options);
    console.log(options.json ? JSON.stringify(reply, undefined, 2) : reply.message);
    if (!reply.accepted) process.exitCode = 1;
  });
}

const optionsSchema = z.object({
  by: z.string(),
  reason: z.string().optional(),
  trigger: z.string().optional(),
  for: durationOption.optional(),
  force: z.boolean().optional(),
  flag: nameOption("the flag's key (--flag or UNLEASH_FLAG)").optional(),
  prefix: z.string().optional(),
  service: z.string().optional(),
  wait: durationOption,
  json: z.boolean(),
  url: unleashFields.url.optional(),
  environment: unleashFields.environment.optional(),
  project: unleashFields.project.default('default'),
  adminToken: z.string().optional(),
  timeout: unleashFields.timeout.default(5_000),
});

type Options = z.output<typeof optionsSchema>;

function operatorName(): string {
  try {
    return userInfo().username || 'an operator';
  } catch {
    // A container may run under a number without a name.
    return 'an operator';
  }
}

/** @throws ConfigError when it is invalid: nothing is sent then. */
function controlOf(type: ControlType, { by, reason, trigger, for: forMs, force }: Options): Control {
  const given = { by, reason, trigger, forMs, force };
  const present = Object.entries(given).filter(([, value]) => value !== undefined);
  if (reason === undefined && REASONED.includes(type)) {
    throw new ConfigError('options', [{ path: 'reason', expected: 'why (--reason)', got: 'nothing' }]);
  }
  return parseConfig(controlSchema, { type, ...Object.fromEntries(present) }, 'options');
}

async function ask(control: Control, target: string, options: Options): Promise<ControlReply> {
  if (isRedisUrl(target)) {
    return withFleet(fleetOf(target, options), (link) => askLeader(link, control, options.wait));
  }
  return answerOf(target, await askFolder(target, control, options.flag, options.wait));
}

function answerOf(target: string, replies: Awaited<ReturnType<typeof askFolder>>): ControlReply {
  if (replies.length === 0) return { accepted: false, message: `No guard runs in ${target}.` };
  const several = replies.length > 1;
  const lines = replies.map(({ folder, reply }) => (several ? `${folder}: ${reply.message}` : reply.message));
  return { accepted: replies.every(({ reply }) => reply.accepted), message: lines.join('\n') };
}

async function stop(
  control: Extract<Control, { type: 'stop' }>,
  target: string,
  options: Options,
): Promise<ControlReply> {
  if (isRedisUrl(target)) return stopByRedis(control, fleetOf(target, options), options);
  const unleash = unleashOf(options);
  if (target === '') {
    if (unleash === undefined) throw missingUnleash();
    const { flagKey, environment } = unleash;
    await new DirectStop(unleash).stop(control);
    return { accepted: true, message: `${flagKey} is off in ${environment} of Unleash.` };
  }
  const replies = await askFolder(target, control, options.flag, options.wait);
  const answer = answerOf(target, replies);
  if (answer.accepted || unleash === undefined) {
    const hint =
      answer.accepted || replies.length > 0
        ? ''
        : ' With --url, --flag, --environment and an admin token, the flag is turned off in Unleash directly.';
    return { ...answer, message: answer.message + hint };
  }
  const direct = new DirectStop(unleash);
  const decision = await direct.stop(control);
  const off = `${answer.message} ${unleash.flagKey} is off in ${unleash.environment} of Unleash.`;
  const traced = await direct.traceInFolder(target, decision).catch((error: unknown) => messageOf(error));
  const trace =
    typeof traced === 'string'
      ? ` The stop could not be left in ${target}: ${traced}`
      : traced.length === 0
        ? ''
        : ` A guard that starts in ${traced.join(', ')} knows it.`;
  return { accepted: true, message: off + trace };
}

/** The fleet first, because all its processes stop at once; then Unleash, if nothing else turns the flag off there. */
async function stopByRedis(
  control: Extract<Control, { type: 'stop' }>,
  fleet: FleetTarget,
  options: Options,
): Promise<ControlReply> {
  const { flagKey } = fleet;
  const unleash = unleashOf({ ...options, flag: flagKey, environment: fleet.environment });
  let problem = '';
  try {
    return await withFleet(fleet, async (link): Promise<ControlReply> => {
      const decision = await stopFleet(link, flagKey, control);
      if (decision === undefined) {
        problem = `This Redis has no fleet of ${flagKey} in ${fleet.environment}.`;
        throw new Error(problem);
      }
      if (unleash !== undefined) {
        await new DirectStop(unleash).stop(control);
        await link.finishStop(decision.id, 'off');
        return { accepted: true, message: `The fleet has the stop, and ${flagKey} is off in Unleash.` };
      }
      const isOff = await isFleetOff(link, decision.id, options.wait);
      const message = isOff
        ? `The fleet has stopped ${flagKey}, and it is off in Unleash.`
        : `The fleet has the stop of ${flagKey}; that it is off in Unleash is not confirmed yet. With --url and an admin token it is turned off directly.`;
      return { accepted: isOff, message };
    });
  } catch (error) {
    if (unleash === undefined) {
      if (problem !== '') return { accepted: false, message: problem };
      throw error;
    }
    await new DirectStop(unleash).stop(control);
    const message = `${messageOf(error)} ${flagKey} is off in ${fleet.environment} of Unleash.`;
    return { accepted: true, message };
  }
}

function fleetOf(url: string, { flag, environment, prefix, service }: Options): FleetTarget {
  const problems = [
    ...(flag === undefined ? [{ path: 'flag', expected: "the flag's key (--flag)", got: 'nothing' }] : []),
    ...(environment === undefined
      ? [{ path: 'environment', expected: 'the environment (--environment)', got: 'nothing' }]
      : []),
  ];
  if (problems.length > 0) throw new ConfigError('options', problems);
  return { url, flagKey: flag!, environment: environment!, prefix, service };
}

/** Undefined when something of it is missing. */
function unleashOf({
  url,
  adminToken,
  project,
  environment,
  flag,
  timeout,
}: Options): StopTarget | undefined {
  if (url === undefined || adminToken === undefined) return undefined;
  if (environment === undefined || flag === undefined) return undefined;
  return { url, token: adminToken, project, environment, flagKey: flag, timeoutMs: timeout };
}

function missingUnleash(): ConfigError {
  const expected =
    "a target, or Unleash's API with a flag: --url, --flag, --environment and UNLEASH_ADMIN_TOKEN (or --admin-token)";
  return new ConfigError('options', [{ path: '', expected, got: 'less' }]);
}
