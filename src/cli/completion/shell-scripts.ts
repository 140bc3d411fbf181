import type { Command, Option } from 'commander';

/** The shells that can complete. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** A shell by name. */
export type Shell = (typeof SHELLS)[number];

/** What a shell completes of one command. */
interface Completed {
  readonly name: string;
  readonly description: string;
  readonly options: readonly CompletedOption[];
  /** The values of its argument, where there are a few; otherwise files are completed. */
  readonly values: readonly string[];
}

interface CompletedOption {
  readonly flag: string;
  readonly description: string;
  readonly takesValue: boolean;
  readonly values: readonly string[];
}

/** The script by which a shell completes a program, made from the program's own commands. */
export function scriptFor(shell: Shell, program: Command): string {
  const commands = program.commands.map(completedOf);
  const lines = { bash, zsh, fish }[shell](program.name(), commands);
  return `${lines.join('\n')}\n`;
}

function completedOf(command: Command): Completed {
  const help = { flag: '--help', description: 'display help for command', takesValue: false, values: [] };
  return {
    name: command.name(),
    description: command.description(),
    options: [...command.options.filter(({ hidden }) => !hidden).flatMap(optionsOf), help],
    values: command.name() === 'completion' ? SHELLS : [],
  };
}

function optionsOf({ long, description, required, optional, argChoices }: Option): CompletedOption[] {
  if (!long) return [];
  return [{ flag: long, description, takesValue: required || optional, values: argChoices ?? [] }];
}

/** Text in single quotes, for every shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function bash(name: string, commands: readonly Completed[]): string[] {
  const cases = commands.flatMap(({ name, options, values }) => [
    `    ${name})`,
    '      case "$previous" in',
    ...options
      .filter(({ takesValue }) => takesValue)
      .map(
        ({ flag, values }) =>
          `        ${flag}) ${values.length === 0 ? '' : `COMPREPLY=($(compgen -W ${quoted(values.join(' '))} -- "$word")); `}return ;;`,
      ),
    '      esac',
    `      words=${quoted([...options.map(({ flag }) => flag), ...values].join(' '))}`,
    '      ;;',
  ]);
  const top = [...commands.map(({ name }) => name), '--help', '--version'].join(' ');
  return [
    '_rollout_guard() {',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's own.
    '  local word="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" words',
    '  COMPREPLY=()',
    '  if [ "$COMP_CWORD" -eq 1 ]; then',
    `    COMPREPLY=($(compgen -W ${quoted(top)} -- "$word"))`,
    '    return',
    '  fi',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's own.
    '  case "${COMP_WORDS[1]}" in',
    ...cases,
    '  esac',
    // Without a word that fits, bash completes files: -o default.
    '  COMPREPLY=($(compgen -W "$words" -- "$word"))',
    '}',
    `complete -o default -F _rollout_guard ${name}`,
  ];
}

/** In a description of `_arguments`, brackets and colons have a meaning. */
function inBrackets(text: string): string {
  return text.replace(/[[\]:\\]/g, (sign) => `\\${sign}`);
}

function zsh(name: string, commands: readonly Completed[]): string[] {
  const spec = ({ flag, description, takesValue, values }: CompletedOption) => {
    const action = values.length === 0 ? '_files' : `(${values.join(' ')})`;
    return quoted(`${flag}[${inBrackets(description)}]${takesValue ? `:value:${action}` : ''}`);
  };
  return [
    `#compdef ${name}`,
    '_rollout_guard() {',
    '  if (( CURRENT == 2 )); then',
    '    local -a commands=(',
    ...commands.map(
      ({ name, description }) => `      ${quoted(`${name}:${description.replaceAll(':', '\\:')}`)}`,
    ),
    '    )',
    "    _describe 'command' commands",
    '    return',
    '  fi',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's own.
    '  local command="${words[2]}"',
    // _arguments counts from the word before the first argument.
    '  shift words',
    '  (( CURRENT-- ))',
    '  case "$command" in',
    ...commands.flatMap(({ name, options, values }) => [
      `    ${name})`,
      `      _arguments ${options.map(spec).join(' ')} ${quoted(values.length === 0 ? '*:file:_files' : `1:value:(${values.join(' ')})`)}`,
      '      ;;',
    ]),
    '  esac',
    '}',
    `compdef _rollout_guard ${name}`,
  ];
}

function fish(name: string, commands: readonly Completed[]): string[] {
  const inFish = (text: string) => `'${text.replace(/[\\']/g, (sign) => `\\${sign}`)}'`;
  return [
    `complete -c ${name} -n __fish_use_subcommand -f`,
    ...commands.flatMap((command) => {
      const when = `-n ${inFish(`__fish_seen_subcommand_from ${command.name}`)}`;
      return [
        `complete -c ${name} -n __fish_use_subcommand -f -a ${command.name} -d ${inFish(command.description)}`,
        ...command.options.map(({ flag, description, takesValue, values }) => {
          const value = takesValue
            ? values.length === 0
              ? ' -r'
              : ` -x -a ${inFish(values.join(' '))}`
            : '';
          return `complete -c ${name} ${when} -l ${flag.slice(2)}${value} -d ${inFish(description)}`;
        }),
        ...(command.values.length === 0
          ? []
          : [`complete -c ${name} ${when} -f -a ${inFish(command.values.join(' '))}`]),
      ];
    }),
  ];
}
