import { type Command, Option } from 'commander';
import { z } from 'zod';
import { diagnose } from '../../doctor/diagnose.js';
import type { Finding, FindingStatus } from '../../doctor/finding.js';
import { observe } from '../../doctor/observe.js';
import { complete, pathOption } from '../command.js';
import { hanging } from '../terminal/hanging.js';
import { type Painter, painterFor } from '../terminal/paint.js';
import {
  addUnleashOptions,
  clientTokenOption,
  httpFields,
  httpOf,
  nameOption,
  unleashFields,
} from '../unleash-options.js';
import { checkServices } from './services.js';

const HELP = `
Give tokens as environment variables: other users of the machine can see command lines.

  export UNLEASH_URL=https://unleash.example.com/api
  export UNLEASH_CLIENT_TOKEN=… UNLEASH_ADMIN_TOKEN=…
  rollout-guard doctor --flag async-upload --environment production

Exit codes: 0 nothing failed (warnings included), 1 a check failed, 2 wrong usage. Nothing is changed in Unleash or Redis.
A configuration that is a JavaScript module is executed.`;

/** Adds the subcommand `doctor`. */
export function registerDoctor(program: Command): void {
  const doctor = program
    .command('doctor')
    .description('Checks everything that a guarded rollout needs, and shows how to fix each problem.')
    .addOption(new Option('--flag <key>', 'the flag to guard').env('UNLEASH_FLAG'));
  const command = addUnleashOptions(doctor)
    .option(
      '--context-field <names...>',
      'fields that every evaluation context has beside the targeting key',
      [],
    )
    .option('--no-targeting-key', 'evaluations have no targeting key, which becomes userId')
    .option('--folder <path>', "the guard's folder (default: logs/<flag_key>_rollout)")
    .option(
      '--config <file>',
      'the configuration of a controller: it, its Redis and its notifiers are checked',
    )
    .addOption(new Option('--redis <url>', "a fleet's Redis").env('REDIS_URL'))
    .option('--send-test', 'send a test message through each notifier of --config', false)
    .option('--json', 'print the findings as JSON', false);
  complete(
    command,
    HELP,
    optionsSchema,
    async ({ json, flag, contextField, targetingKey, timeout, proxy, ca, cert, key, ...given }) => {
      const { config, redis, sendTest, ...unleash } = given;
      const connected = {
        ...unleash,
        http: httpOf({ proxy, ca, cert, key }),
        flagKey: flag,
        timeoutMs: timeout,
      };
      const contextFields = targetingKey ? ['userId', ...contextField] : contextField;
      const folder = given.folder ?? `logs/${flag.replaceAll('-', '_')}_rollout`;
      const [observations, services] = await Promise.all([
        observe({ ...connected, contextFields, folder }),
        checkServices({ ...connected, config, redis, sendTest }),
      ]);
      const findings = [...diagnose(observations), ...services];
      process.stdout.write(
        json
          ? `${JSON.stringify({ findings }, undefined, 2)}\n`
          : render(findings, painterFor(process.stdout), process.stdout.columns),
      );
      if (findings.some(({ status }) => status === 'fail')) process.exitCode = 1;
    },
  );
}

const REDIS = 'a URL that begins with redis:// or rediss:// (--redis or REDIS_URL)';

const optionsSchema = z.object({
  ...unleashFields,
  ...httpFields,
  flag: nameOption("the flag's key (--flag or UNLEASH_FLAG)"),
  clientToken: clientTokenOption.optional(),
  adminToken: z.string().optional(),
  contextField: z.array(z.string()),
  targetingKey: z.boolean(),
  folder: z.string().optional(),
  config: pathOption.optional(),
  redis: z.url({ protocol: /^rediss?$/, error: REDIS }).optional(),
  sendTest: z.boolean(),
  json: z.boolean(),
});

const SIGNS: Readonly<Record<FindingStatus, string>> = { ok: '✓', warn: '!', fail: '✗', unknown: '?' };

const STYLES = { ok: 'green', warn: 'yellow', fail: 'red', unknown: 'dim' } as const;

/** The findings as text. @param columns - Of the terminal. */
export function render(
  findings: readonly Finding[],
  paint: Painter = (_, text) => text,
  columns = Number.POSITIVE_INFINITY,
): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const fitted = (text: string) => hanging(text, width + 4, columns);
  const lines = findings.flatMap(({ check, status, message, todo }) => [
    `${paint(STYLES[status], SIGNS[status])} ${check.padEnd(width)}  ${fitted(message)}`,
    ...(todo === undefined ? [] : [`  ${' '.repeat(width)}  ${paint('dim', fitted(`→ ${todo}`))}`]),
  ]);
  const count = (wanted: FindingStatus) => findings.filter(({ status }) => status === wanted).length;
  const warnings = count('warn') === 1 ? '1 warning' : `${count('warn')} warnings`;
  const summary = `${count('ok')} ok, ${warnings}, ${count('fail')} failed, ${count('unknown')} not checked`;
  return `${[...lines, '', summary].join('\n')}\n`;
}
