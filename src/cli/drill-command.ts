import type { Command } from 'commander';
import { z } from 'zod';
import { isRecord, parseConfig } from '../support/config-error.js';
import { adminTokenProblem } from '../unleash/admin-access.js';
import { readConfigFile } from '../what-if/replay/rules-file.js';
import { complete, pathOption } from './command.js';
import { DrillOutput } from './drill/drill-output.js';
import {
  addUnleashOptions,
  clientTokenOption,
  httpFields,
  httpOf,
  nameOption,
  unleashFields,
} from './unleash-options.js';

const HELP = `
It makes a scratch flag, turns it on, serves a treatment that fails to 20 made-up users, and waits until the guard has turned
the flag off: through a real provider, hook, operation and guard, with the tokens that you give. In the end, and also after
Ctrl-C or a failure, it archives and deletes the flag. No other flag is touched.

The admin token must be allowed to create and delete flags. For one that may only toggle them, name a flag that is off and that
no service evaluates (--flag): it is on for some seconds, and off again in the end.

Give tokens as environment variables: other users of the machine can see command lines.

  export UNLEASH_URL=https://unleash.example.com/api
  export UNLEASH_CLIENT_TOKEN=… UNLEASH_ADMIN_TOKEN=…
  rollout-guard drill --environment production

What neither an option nor a variable gives is taken from "unleash" in a controller's configuration (--config).

Exit codes: 0 the whole path works, 1 a step failed or it was interrupted, 2 wrong usage.`;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const ADMIN_TOKEN = 'an admin token (--admin-token or UNLEASH_ADMIN_TOKEN)';

const optionsSchema = z.object({
  ...unleashFields,
  ...httpFields,
  http: z.unknown().optional(),
  flag: nameOption("a flag's key").optional(),
  clientToken: clientTokenOption,
  adminToken: z.string({ error: ADMIN_TOKEN }).superRefine((token, context) => {
    const problem = adminTokenProblem(token);
    if (problem !== undefined) context.addIssue({ code: 'custom', message: `${ADMIN_TOKEN}: ${problem}` });
  }),
  json: z.boolean(),
});

/** Adds the subcommand `drill`. */
export function registerDrill(program: Command): void {
  const drill = program
    .command('drill')
    .description('Proves that a failing flag is turned off in Unleash: a fire drill with a flag of its own.')
    .option(
      '--flag <key>',
      'an existing flag that is off (default: a scratch flag that is made and deleted)',
    );
  const command = addUnleashOptions(drill)
    .option('--config <file>', 'the configuration of a controller: JSON, or a JavaScript module')
    .option('--json', 'print the result as JSON', false);
  complete(command, HELP, z.object({ config: pathOption.optional() }), async ({ config }) => {
    const given = { ...(await unleashIn(config)), ...givenOptions(command) };
    const {
      json,
      flag: flagKey,
      timeout: timeoutMs,
      proxy,
      ca,
      cert,
      key,
      http: ofFile,
      ...target
    } = parseConfig(optionsSchema, given, 'options');
    const http = httpOf({ proxy, ca, cert, key }, ofFile);
    const interrupt = new AbortController();
    const output = new DrillOutput(json ? process.stderr : process.stdout);
    const end = () => {
      interrupt.abort(new Error('interrupted'));
      output.interrupted();
    };
    // A reader that goes away, such as head, must not end the process before the flag is put back.
    process.stdout.on('error', end);
    // A second one ends the process at once.
    for (const signal of SIGNALS) process.once(signal, end);
    // OpenFeature and unleash-client take a while to load.
    const { fireDrill } = await import('./drill/fire-drill.js');
    output.head(target);
    const result = await fireDrill({ ...target, flagKey, timeoutMs, http }, interrupt.signal, output);
    if (json) process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
    output.conclude(result);
    process.exitCode = result.ok ? 0 : 1;
  });
}

/** What options and variables set; a default is none, so that a configuration comes before it. */
function givenOptions(command: Command): Record<string, unknown> {
  const options = Object.entries(command.opts());
  const isSet = (name: string) => command.getOptionValueSource(name) !== 'default';
  return Object.fromEntries([...options.filter(([name]) => name === 'json' || isSet(name))]);
}

/** Where Unleash is by the configuration of a controller; the defaults without one. */
async function unleashIn(path: string | undefined): Promise<Record<string, unknown>> {
  const defaults = { project: 'default', timeout: 5_000 };
  const config = path === undefined ? undefined : (await readConfigFile(path)).given;
  if (!isRecord(config) || !isRecord(config.unleash)) return defaults;
  const { url, environment, project, token, clientToken, timeoutMs } = config.unleash;
  return {
    url,
    environment,
    project: project ?? defaults.project,
    adminToken: token,
    clientToken,
    timeout: timeoutMs ?? defaults.timeout,
    http: config.http,
  };
}
