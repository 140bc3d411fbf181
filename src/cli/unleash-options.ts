import { type Command, Option } from 'commander';
import { z } from 'zod';
import { parseConfig } from '../support/config-error.js';
import { durationMsSchema } from '../support/config-schemas.js';
import { type HttpOptions, httpOptionsSchema } from '../support/connection/http-options.js';

/** The options of every command that connects to Unleash. */
export function addUnleashOptions(command: Command): Command {
  return command
    .addOption(new Option('--url <url>', "Unleash's API").env('UNLEASH_URL'))
    .addOption(
      new Option('--environment <name>', 'the environment of the rollout').env('UNLEASH_ENVIRONMENT'),
    )
    .addOption(new Option('--project <name>', "the flag's project").env('UNLEASH_PROJECT').default('default'))
    .addOption(new Option('--client-token <token>', "the service's token").env('UNLEASH_CLIENT_TOKEN'))
    .addOption(new Option('--admin-token <token>', "the guard's token").env('UNLEASH_ADMIN_TOKEN'))
    .option('--proxy <url>', 'the forward proxy (default: that of HTTP_PROXY, HTTPS_PROXY and NO_PROXY)')
    .option('--ca <file>', 'a CA of the servers beside the known ones')
    .option('--cert <file>', "this program's certificate for servers that require one")
    .option('--key <file>', 'the key of --cert')
    .option('--timeout <ms>', 'time for one request, in milliseconds', Number, 5_000);
}

/** A name on the command line. */
export const nameOption = (expected: string) =>
  z.string({ error: expected }).regex(/^\S+$/, { error: expected });

const URL_EXPECTED = "Unleash's API with its scheme (--url or UNLEASH_URL)";
const CLIENT_TOKEN = 'a token without white space (--client-token or UNLEASH_CLIENT_TOKEN)';

/** A client token on the command line. */
export const clientTokenOption = z
  .string({ error: CLIENT_TOKEN })
  .regex(/^[\x21-\x7e]+$/, { error: CLIENT_TOKEN });

/** How to connect. */
export const httpFields = {
  proxy: z.string().optional(),
  ca: z.string().optional(),
  cert: z.string().optional(),
  key: z.string().optional(),
};

/** What options say of the connection. @throws ConfigError */
export function httpOf(
  { proxy, ca, cert, key }: z.infer<z.ZodObject<typeof httpFields>>,
  further: unknown = undefined,
): HttpOptions {
  const given = Object.entries({ proxy, ca, cert, key }).filter(([, value]) => value !== undefined);
  return parseConfig(httpOptionsSchema, { ...Object(further), ...Object.fromEntries(given) }, 'options');
}

/** Where Unleash is, and what of it is meant. */
export const unleashFields = {
  url: z.url({ protocol: /^https?$/, error: URL_EXPECTED }),
  environment: nameOption('the environment (--environment or UNLEASH_ENVIRONMENT)'),
  project: nameOption('a project (--project or UNLEASH_PROJECT)'),
  timeout: durationMsSchema,
};
