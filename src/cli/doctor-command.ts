import { type Command, Option } from 'commander';
import { z } from 'zod';
import { diagnose } from '../doctor/diagnose.js';
import type { Finding, FindingStatus } from '../doctor/finding.js';
import { observe } from '../doctor/observe.js';
import { isConfigError, parseConfig } from '../support/config-error.js';

const USAGE = 2;

const EXAMPLE = `
Give tokens as environment variables: other users of the machine can see command lines.

  export UNLEASH_URL=https://unleash.example.com/api
  export UNLEASH_CLIENT_TOKEN=… UNLEASH_ADMIN_TOKEN=…
  rollout-guard doctor --flag async-upload --environment production

Exit codes: 0 nothing failed (warnings included), 1 a check failed, 2 wrong usage. Nothing is changed in Unleash.`;

/** Adds the subcommand `doctor`. */
export function registerDoctor(program: Command): void {
  const command = program
    .command('doctor')
    .description('Checks everything that a guarded rollout needs, and says how to fix each problem.')
    .addOption(new Option('--url <url>', "Unleash's API").env('UNLEASH_URL'))
    .addOption(new Option('--flag <key>', 'the flag to guard').env('UNLEASH_FLAG'))
    .addOption(
      new Option('--environment <name>', 'the environment of the rollout').env('UNLEASH_ENVIRONMENT'),
    )
    .addOption(new Option('--project <name>', "the flag's project").env('UNLEASH_PROJECT').default('default'))
    .addOption(new Option('--client-token <token>', "the service's token").env('UNLEASH_CLIENT_TOKEN'))
    .addOption(new Option('--admin-token <token>', "the guard's token").env('UNLEASH_ADMIN_TOKEN'))
    .option(
      '--context-field <names...>',
      'fields that every evaluation context has beside the targeting key',
      [],
    )
    .option('--no-targeting-key', 'evaluations have no targeting key, which becomes userId')
    .option('--folder <path>', "the guard's folder (default: logs/<flag_key>_rollout)")
    .option('--timeout <ms>', 'time for one request, in milliseconds', Number, 5_000)
    .option('--json', 'print the findings as JSON', false)
    .addHelpText('after', EXAMPLE)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : USAGE));

  command.action(async (given: unknown) => {
    const { json, ...options } = optionsOf(command, given);
    const findings = diagnose(await observe(options));
    process.stdout.write(json ? `${JSON.stringify({ findings }, undefined, 2)}\n` : render(findings));
    if (findings.some(({ status }) => status === 'fail')) process.exitCode = 1;
  });
}

function optionsOf(command: Command, given: unknown) {
  try {
    const options = parseConfig(optionsSchema, given, 'options');
    const { flag, contextField, targetingKey, timeout, folder, ...rest } = options;
    return {
      ...rest,
      flagKey: flag,
      contextFields: targetingKey ? ['userId', ...contextField] : contextField,
      timeoutMs: timeout,
      folder: folder ?? `logs/${flag.replaceAll('-', '_')}_rollout`,
    };
  } catch (error) {
    if (isConfigError(error)) command.error(error.message, { exitCode: USAGE });
    throw error;
  }
}

const name = (expected: string) => z.string({ error: expected }).regex(/^\S+$/, { error: expected });
const URL_EXPECTED = "Unleash's API with its scheme (--url or UNLEASH_URL)";

const optionsSchema = z.object({
  url: z.url({ protocol: /^https?$/, error: URL_EXPECTED }),
  flag: name("the flag's key (--flag or UNLEASH_FLAG)"),
  environment: name('the environment (--environment or UNLEASH_ENVIRONMENT)'),
  project: name('a project (--project or UNLEASH_PROJECT)'),
  clientToken: headerText().optional(),
  adminToken: z.string().optional(),
  contextField: z.array(z.string()),
  targetingKey: z.boolean(),
  folder: z.string().optional(),
  timeout: z
    .number({ error: 'a positive number of milliseconds' })
    .positive({ error: 'a positive number of milliseconds' }),
  json: z.boolean(),
});

function headerText() {
  const expected = 'a token without white space (--client-token or UNLEASH_CLIENT_TOKEN)';
  return z.string().regex(/^[\x21-\x7e]+$/, { error: expected });
}

const SIGNS: Readonly<Record<FindingStatus, string>> = { ok: '✓', warn: '!', fail: '✗', unknown: '?' };

/** The findings as text. */
export function render(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, status, message, todo }) => [
    `${SIGNS[status]} ${check.padEnd(width)}  ${message}`,
    ...(todo === undefined ? [] : [`  ${' '.repeat(width)}  → ${todo}`]),
  ]);
  const count = (wanted: FindingStatus) => findings.filter(({ status }) => status === wanted).length;
  const warnings = count('warn') === 1 ? '1 warning' : `${count('warn')} warnings`;
  const summary = `${count('ok')} ok, ${warnings}, ${count('fail')} failed, ${count('unknown')} not checked`;
  return `${[...lines, '', summary].join('\n')}\n`;
}
