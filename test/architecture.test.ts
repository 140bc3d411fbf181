import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

function sourceFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join(folder, file));
}

/** What a file imports: packages by name, own files by their path from the root. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  const specifiers = [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'/g)].map(
    ([, specifier]) => specifier!,
  );
  return specifiers.map((specifier) =>
    specifier.startsWith('.') ? relative(root, resolve(root, dirname(file), specifier)) : specifier,
  );
}

const src = sourceFiles('src');
const pure = src.filter(
  (file) =>
    file.startsWith('src/triggers/') ||
    file.startsWith('src/statistics/') ||
    file === 'src/stages/criteria.ts' ||
    file === 'src/guard/decide.ts',
);

describe('the import rules', () => {
  it('sees the imports that it judges', () => {
    expect(src.length).toBeGreaterThan(30);
    expect(pure.length).toBeGreaterThan(5);
    expect(importsOf('hooks/outcome-hook.ts')).toContain('@openfeature/server-sdk');
    expect(importsOf('src/guard/decide.ts')).toContain('src/flow.js');
  });

  it.each(src.filter((file) => file !== 'src/index.ts'))(
    '%s knows neither provider, hooks, OpenFeature nor unleash-client',
    (file) => {
      const forbidden = importsOf(file).filter(
        (target) => /^(providers|hooks)\//.test(target) || /^(@openfeature\/|unleash-client)/.test(target),
      );
      expect(forbidden).toEqual([]);
    },
  );

  it.each(
    [...src, ...sourceFiles('providers'), ...sourceFiles('hooks')].filter(
      (file) => !file.startsWith('src/opentelemetry/'),
    ),
  )('%s works without OpenTelemetry', (file) => {
    const forbidden = importsOf(file).filter(
      (target) => target.startsWith('@opentelemetry/') || target.startsWith('src/opentelemetry/'),
    );
    expect(forbidden).toEqual([]);
  });

  it('sees that OpenTelemetry is imported where it may be', () => {
    expect(sourceFiles('src/opentelemetry').flatMap(importsOf)).toContain('@opentelemetry/api');
  });

  it.each(pure)('%s does no I/O and reads no clock', (file) => {
    expect(importsOf(file).filter((target) => target.startsWith('node:'))).toEqual([]);
    const code = readFileSync(join(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
    expect(
      code.match(
        /\bDate\.now|new Date\(\)|\bperformance\b|\bprocess\b|Math\.random|\bfetch\(|setTimeout|setInterval/g,
      ),
    ).toBeNull();
  });

  it.each([...src, ...sourceFiles('providers'), ...sourceFiles('hooks')])(
    '%s stays short enough to read',
    (file) => {
      expect(readFileSync(join(root, file), 'utf8').split('\n').length).toBeLessThanOrEqual(
        file === 'src/flow.ts' ? 400 : 340,
      );
    },
  );
});
