import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command, CommanderError } from 'commander';
import { describe, expect, it } from 'vitest';
import { rolloutGuard } from '../../src/cli/program.js';
import { pages, root } from './pages.js';

/** The words of one simple command of a shell: quotes go, and what follows a pipe, `;`, `&`, `>`, `)` or `#` is not part of it. */
function wordsOf(text: string): string[] {
  const words: string[] = [];
  for (const [, space, quoted, bare] of text.matchAll(/(\s*)(?:"([^"]*)"|([^\s"|;&>)#]+))|[\s\S]/g)) {
    const part = quoted ?? bare;
    if (part === undefined) break;
    if (space !== '' || words.length === 0) words.push(part);
    else words[words.length - 1] += part;
  }
  return words;
}

/** What follows `rollout-guard` in each call of it. */
function callsIn(text: string): string[][] {
  const joined = text.replaceAll(/\\\n\s*/g, ' ');
  const calls = joined.matchAll(/(?:^|[\s(`])(?:npx\s+(?:unleash-)?)?rollout-guard((?: [^\n]*)?)$/gm);
  return [...calls].map(([, rest]) => wordsOf(rest!.trim()));
}

/** What the real program says of a call that it cannot understand; nothing runs. */
function refusal(words: readonly string[], mayLack: boolean): string | undefined {
  const program = rolloutGuard();
  const quiet = { writeOut: () => {}, writeErr: () => {} };
  const throws = (error: CommanderError): never => {
    throw error;
  };
  const disarm = (command: Command) => {
    command
      .exitOverride(throws)
      .configureOutput(quiet)
      .action(() => {});
    command.commands.forEach(disarm);
  };
  disarm(program);
  if (
    words.length > 0 &&
    !words[0]!.startsWith('-') &&
    !program.commands.some((each) => each.name() === words[0])
  )
    return `there is no command ${words[0]}`;
  try {
    program.parse(words, { from: 'user' });
  } catch (error) {
    const { code, message } = error as CommanderError;
    if (['commander.helpDisplayed', 'commander.version', 'commander.help'].includes(code)) return undefined;
    const lacks = ['commander.missingArgument', 'commander.missingMandatoryOptionValue'].includes(code);
    return mayLack && lacks ? undefined : message;
  }
  return undefined;
}

describe('commands in the documentation', () => {
  const scripts: Record<string, string> = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  ).scripts;
  const BUILT_IN = ['test', 'pack'];

  const refusedOf = (
    calls: readonly { readonly place: string; readonly words: readonly string[] }[],
    mayLack: boolean,
  ) =>
    calls.flatMap(({ place, words }) => {
      const refused = refusal(words, mayLack);
      return refused === undefined ? [] : [`${place}: rollout-guard ${words.join(' ')}: ${refused}`];
    });

  it('are what the command line understands, in blocks', () => {
    const calls = pages.flatMap(({ blocks }) =>
      blocks
        .filter(({ language }) => ['sh', 'yaml', 'dockerfile'].includes(language))
        .flatMap(({ place, text }) => callsIn(text).map((words) => ({ place, words }))),
    );
    expect(calls.length).toBeGreaterThan(20);
    expect(refusedOf(calls, false)).toEqual([]);
  });

  it('are what the command line understands, within a sentence', () => {
    const calls = pages.flatMap(({ path, prose }) =>
      [...prose.matchAll(/`((?:npx )?rollout-guard [^`]+)`/g)].flatMap(([, call]) =>
        callsIn(call!.replaceAll('\n', ' ').replaceAll('…', '')).map((words) => ({ place: path, words })),
      ),
    );
    expect(calls.length).toBeGreaterThan(20);
    expect(refusedOf(calls, true)).toEqual([]);
  });

  it('name only scripts of package.json', () => {
    const named = pages.flatMap(({ path, text }) =>
      [...text.matchAll(/\bnpm run (?:-\S+ )*([\w:-]+)/g)].map(([, script]) => ({ path, script: script! })),
    );
    expect(named.length).toBeGreaterThan(20);
    const known = [...Object.keys(scripts), ...BUILT_IN];
    expect(named.filter(({ script }) => !known.includes(script))).toEqual([]);
  });

  it.each([
    ['an unknown option', ['doctor', '--flagg', 'x']],
    ['an unknown command', ['docter']],
    ['a missing argument', ['report']],
    ['an argument too many', ['completion', 'bash', 'zsh']],
  ])('would be noticed with %s', (_, words) => {
    expect(refusal(words, false)).toBeTypeOf('string');
  });

  it('are read as a shell reads them', () => {
    const text = `eval "$(npx rollout-guard completion bash)"
  npx rollout-guard mute logs/a --for 2h \\
    --reason "an outage; a|b" # until noon
  rollout-guard report logs/a > report.html`;
    expect(callsIn(text)).toEqual([
      ['completion', 'bash'],
      ['mute', 'logs/a', '--for', '2h', '--reason', 'an outage; a|b'],
      ['report', 'logs/a'],
    ]);
  });
});
