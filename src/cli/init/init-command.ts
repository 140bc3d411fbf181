import { stat, writeFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { z } from 'zod';
import { messageOf } from '../../support/async/callbacks.js';
import { parseConfig } from '../../support/config-error.js';
import { adminTokenProblem } from '../../unleash/admin-access.js';
import { clientTokenProblem, clientUrlProblem } from '../../unleash/client-api.js';
import { complete, pathOption } from '../command.js';
import { render } from '../doctor/doctor-command.js';
import { hanging } from '../terminal/hanging.js';
import { painterFor } from '../terminal/paint.js';
import {
  addUnleashOptions,
  clientTokenOption,
  httpFields,
  httpOf,
  nameOption,
  unleashFields,
} from '../unleash-options.js';
import { codeFor, FRAMEWORKS, type Framework, installCommand, packageIn } from './frameworks.js';
import { InitError, type InitResult, makeFlag } from './make-flag.js';
import { type Question, Questions } from './questions.js';

const TOKENS = `Two tokens are needed.

UNLEASH_CLIENT_TOKEN reads flags: a client (backend) token of the project and
environment.

UNLEASH_ADMIN_TOKEN turns the flag off. Open-source Unleash has no service
accounts: add a user for the guard with the root role Editor, log in as that
user, and create a personal access token that is valid until after the rollout
(Profile, Personal API tokens). An admin token works too.
`;

const HELP = `
It asks for what no option and no variable gives. It creates the flag, off, with a gradual rollout at 0 %, tests both tokens, and
prints code for the framework of the package in this folder. A flag that exists is examined and left as it is; no file is
overwritten.

${TOKENS}
  export UNLEASH_URL=https://unleash.example.com/api
  export UNLEASH_CLIENT_TOKEN=… UNLEASH_ADMIN_TOKEN=…
  rollout-guard init --flag new-checkout --environment production --yes

Give tokens as environment variables: other users of the machine can see command lines.

Exit codes: 0 the flag is there, 1 it cannot be made or a check failed, 2 wrong usage.`;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const FRAMEWORK = `one of ${FRAMEWORKS.join(', ')}`;
const FLAG = "the flag's key: at most 100 letters, digits and - _ . ~ (--flag or UNLEASH_FLAG)";
const ADMIN_TOKEN = 'an admin token or a personal access token (--admin-token or UNLEASH_ADMIN_TOKEN)';

const fields = {
  ...unleashFields,
  // Unleash takes what a URL needs not encode.
  flag: z.string({ error: FLAG }).regex(/^[\w.~!*'()-]{1,100}$/, { error: FLAG }),
  adminToken: z.string({ error: ADMIN_TOKEN }).superRefine((token, context) => {
    const problem = adminTokenProblem(token);
    if (problem !== undefined) context.addIssue({ code: 'custom', message: `${ADMIN_TOKEN}: ${problem}` });
  }),
  clientToken: clientTokenOption.optional(),
  framework: z.enum(FRAMEWORKS, { error: FRAMEWORK }).optional(),
};

const optionsSchema = z.object({
  ...fields,
  ...httpFields,
  stickiness: nameOption('a field of the context (--stickiness)'),
  out: pathOption.optional(),
  json: z.boolean(),
});

/** Adds the subcommand `init`. */
export function registerInit(program: Command): void {
  const init = program
    .command('init')
    .description(
      'Creates a flag for a guarded rollout, tests the tokens, and prints the code for your framework.',
    )
    .addOption(new Option('--flag <key>', 'the flag to create').env('UNLEASH_FLAG'))
    .addOption(
      new Option('--framework <name>', 'what the code is for (default: by package.json)').choices(FRAMEWORKS),
    )
    .option('--stickiness <field>', 'what a user keeps its arm by; userId is the targeting key', 'userId')
    .option('--out <file>', 'write the code to a new file instead of printing it')
    .option('--yes', 'ask nothing: options and variables have everything', false);
  const command = addUnleashOptions(init).option('--json', 'print the result as JSON', false);
  complete(command, HELP, z.object({ yes: z.boolean() }), async ({ yes }) => {
    const { framework: detected, isModule } = await packageIn(process.cwd());
    const given = command.opts();
    const isAsked = !yes && process.stdin.isTTY === true && process.stderr.isTTY === true;
    const isDefault = (name: string) => command.getOptionValueSource(name) === 'default';
    const options = parseConfig(
      optionsSchema,
      isAsked ? await askFor(given, isDefault, detected) : given,
      'options',
    );
    const { flag: flagKey, framework = detected, timeout: timeoutMs, out, json, ...rest } = options;
    await refuseFile(out);
    const { proxy, ca, cert, key, ...target } = rest;
    const result = await uninterrupted(() =>
      makeFlag({
        ...target,
        flagKey,
        timeoutMs,
        http: httpOf({ proxy, ca, cert, key }),
        contextFields: [...new Set(['userId', target.stickiness])],
        folder: `logs/${flagKey.replaceAll('-', '_')}_rollout`,
      }),
    );
    const code = codeFor(framework, { ...target, flagKey }, isModule || /\.m[jt]s$/.test(out ?? ''));
    const isThere = result.outcome !== 'refused';
    if (isThere && out !== undefined) await writeCode(out, code, result);
    const shown = { ...result, flagKey, ...target, framework, code, out };
    process.stdout.write(json ? toJson(shown) : toText(shown));
    if (result.findings.some(({ status }) => status === 'fail') || !isThere) process.exitCode = 1;
  });
}

type Given = Readonly<Record<string, unknown>>;

/** Asks for what is not given. @throws InterruptedError */
async function askFor(
  given: Given,
  isDefault: (name: string) => boolean,
  detected: Framework,
): Promise<Given> {
  const questions = new Questions(process.stdin, process.stderr);
  const answers: Record<string, unknown> = { ...given };
  const ask = async (name: keyof typeof fields, question: Omit<Question, 'problemOf'>) => {
    if (answers[name] !== undefined && !isDefault(name)) return;
    const problemOf = (answer: string) => problemWith(name, answer);
    const answer = await questions.ask({ ...question, problemOf });
    if (answer !== '') answers[name] = answer;
  };
  try {
    await ask('url', { text: "Unleash's API, for example https://unleash.example.com/api" });
    await ask('flag', { text: 'Key of the flag' });
    await ask('project', { text: 'Project', initial: 'default' });
    await ask('environment', { text: 'Environment', initial: 'production' });
    if (answers.adminToken === undefined || answers.clientToken === undefined) {
      const paragraphs = TOKENS.trimEnd().split('\n\n');
      const fitted = paragraphs.map((text) => hanging(text.replaceAll('\n', ' '), 0, process.stderr.columns));
      process.stderr.write(`\n${fitted.join('\n\n')}\n\n`);
    }
    await ask('clientToken', { text: 'Client token (not shown; empty: not checked)', isSecret: true });
    await ask('adminToken', { text: 'Admin token or personal access token (not shown)', isSecret: true });
    await ask('framework', { text: `Framework: ${FRAMEWORKS.join(', ')}`, initial: detected });
    const { flag, project, environment, url } = answers;
    process.stderr.write(`
Unleash      ${url}
Project      ${project}
Environment  ${environment}
Flag         ${flag}

`);
    await questions.confirm('Create the flag there, off and at 0 %, unless it exists?');
    process.stderr.write('Checking the tokens and the flag …\n\n');
  } finally {
    questions.close();
  }
  return answers;
}

/** What no schema of an option says. */
const FURTHER: { readonly [Name in keyof typeof fields]?: (answer: string) => string | undefined } = {
  url: clientUrlProblem,
  clientToken: clientTokenProblem,
};

function problemWith(name: keyof typeof fields, answer: string): string | undefined {
  if (name === 'clientToken' && answer === '') return undefined;
  const { error } = fields[name].safeParse(answer);
  const expected = error && `expected ${error.issues[0]!.message.replace(/ \(--.*\)$/, '')}`;
  const problem = name === 'adminToken' ? adminTokenProblem(answer) : (expected ?? FURTHER[name]?.(answer));
  return problem && `${problem[0]!.toUpperCase()}${problem.slice(1)}.`;
}

/** Before anything is made. */
async function refuseFile(out: string | undefined): Promise<void> {
  if (out === undefined) return;
  if (/\.cjs$/.test(out)) {
    const expected =
      'The code imports, which a .cjs file cannot: give --out a name in .js, .mjs, .ts or .mts';
    throw new InitError(`${expected}, got ${out}. Nothing was created.`);
  }
  const exists = await stat(out).then(
    () => true,
    () => false,
  );
  if (exists) throw new InitError(`${out} exists and is not overwritten. Nothing was created.`);
}

async function writeCode(out: string, code: string, { outcome }: InitResult): Promise<void> {
  try {
    await writeFile(out, code, { flag: 'wx' });
  } catch (error) {
    const flag = outcome === 'created' ? 'The flag was created.' : 'The flag exists.';
    throw new InitError(`${flag} The code could not be written: ${messageOf(error)}`);
  }
}

/** Ctrl-C takes effect afterwards, so that nothing is half made. */
async function uninterrupted<T>(act: () => Promise<T>): Promise<T> {
  let interrupted: NodeJS.Signals | undefined;
  const note = (signal: NodeJS.Signals) => {
    interrupted = signal;
  };
  for (const signal of SIGNALS) process.on(signal, note);
  try {
    return await act();
  } finally {
    for (const signal of SIGNALS) process.off(signal, note);
    if (interrupted !== undefined)
      process.stderr.write('The interrupt came while the flag was being made.\n');
  }
}

interface Shown extends InitResult {
  readonly flagKey: string;
  readonly project: string;
  readonly environment: string;
  readonly framework: Framework;
  readonly code: string;
  readonly out: string | undefined;
}

function toJson({
  outcome,
  findings,
  flagUrl,
  flagKey,
  project,
  environment,
  framework,
  code,
  out,
  type,
}: Shown): string {
  const flag = { key: flagKey, project, environment, url: flagUrl, type };
  const install = installCommand(framework);
  return `${JSON.stringify({ outcome, flag, findings, framework, install, code, out }, undefined, 2)}\n`;
}

function toText(shown: Shown): string {
  const { outcome, findings, flagUrl, flagKey, environment, framework, code, out, type } = shown;
  const paint = painterFor(process.stdout);
  const checks = render(findings, paint, process.stdout.columns);
  if (outcome === 'refused') return `${checks}\nNothing was created in Unleash.\n`;
  const what = {
    created: `Created "${flagKey}": off in ${environment}, with a gradual rollout at 0 %.`,
    exists: `"${flagKey}" exists${type === 'release' ? '' : ` (type ${type})`}, and was left as it is.`,
  }[outcome];
  const hasPercentage = findings.some(({ check, status }) => check === 'percentage' && status === 'ok');
  const steps = [
    installCommand(framework),
    ...(out === undefined
      ? ['put the code below into your service']
      : [`replace treatment and control in ${out} by your two paths`]),
    'start the service with UNLEASH_CLIENT_TOKEN and UNLEASH_ADMIN_TOKEN',
    ...(hasPercentage ? [] : ['give the flag one gradual rollout, at 0 %, while it is off']),
    `turn the flag on, and raise its percentage: ${flagUrl}`,
  ];
  return [
    checks,
    paint('bold', what),
    '',
    'Next:',
    ...steps.map((step, index) => `  ${index + 1}. ${step}`),
    '',
    ...(out === undefined ? [paint('dim', `// For ${framework}`), code] : []),
  ].join('\n');
}
