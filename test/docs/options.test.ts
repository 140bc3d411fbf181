import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { rolloutGuard } from '../../src/cli/program.js';
import { root } from './pages.js';

const text = (path: string) => readFileSync(join(root, path), 'utf8');

/** A chapter of a page, up to the next heading of its level or above. */
function chapter(path: string, heading: string): string {
  const level = /^#+/.exec(heading)![0].length;
  const [, rest = ''] = `\n${text(path)}`.split(`\n${heading}\n`);
  return rest.split(new RegExp(`\n#{1,${level}} `))[0]!;
}

/** The names in the first column of the tables of a text. */
const firstCells = (part: string) =>
  [...part.matchAll(/^\| ([^|]+)\|/gm)].flatMap(([, cell]) =>
    [...cell!.replaceAll(/<[^>]*>/g, '').matchAll(/`([^`]+)`/g)].map(([, name]) =>
      name!.replace(/[?(].*/, ''),
    ),
  );

describe('tables of options', () => {
  it.each([
    ['RolloutGuardOptions', 'docs/options.md', '## RolloutGuard'],
    ['UnleashAdminOptions', 'docs/options.md', '### unleash'],
    ['OperationOptions', 'docs/options.md', '### operation'],
    ['OutcomeLogOptions', 'docs/options.md', '### log'],
    ['HttpOptions', 'docs/connection.md', '# Connection: proxies and certificates'],
    ['DashboardOptions', 'docs/dashboard.md', '# Dashboard'],
  ])('have every field of %s: %s', (type, path, heading) => {
    const reference = type === 'DashboardOptions' ? 'dashboard' : 'unleash-rollout-guard';
    const entry = chapter(`docs/reference/${reference}.md`, `### ${type}`).split('#### Properties')[1]!;
    const fields = firstCells(entry);
    expect(fields.length).toBeGreaterThan(1);
    const known = firstCells(chapter(path, heading));
    expect(fields.filter((field) => !known.includes(field))).toEqual([]);
  });

  // What several commands have is described once.
  it('of the command line have every option of every command', () => {
    const page = text('docs/cli.md');
    const missing = rolloutGuard().commands.flatMap((command) =>
      command.options
        .filter(({ long }) => !new RegExp(`${long}(?![\\w-])`).test(page))
        .map(({ long }) => `${command.name()} ${long}`),
    );
    expect(missing).toEqual([]);
  });
});
