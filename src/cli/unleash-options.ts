import { type Command, Option } from 'commander';
import { z } from 'zod';
import { durationMsSchema } from '../support/config-schemas.js';

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

/** Where Unleash is, and what of it is meant. */
export const unleashFields = {
  url: z.url({ protocol: /^https?$/, error: URL_EXPECTED }),
  environment: nameOption('the environment (--environment or UNLEASH_ENVIRONMENT)'),
  project: nameOption('a project (--project or UNLEASH_PROJECT)'),
  timeout: durationMsSchema,
};
