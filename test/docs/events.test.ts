import { expect, it } from 'vitest';
import { guardEventSchema } from '../../src/model/event.js';
import { pages } from './pages.js';

it('docs/operations.md has every event that a guard reports, and no other', () => {
  const page = pages.find(({ path }) => path === 'docs/operations.md')!;
  const [, chapter = ''] = page.text.split('### An event of audit.jsonl');
  const rows = [...chapter.split('\n## ')[0]!.matchAll(/^\| (`[^|]+) \|/gm)].flatMap(([, cell]) =>
    [...cell!.matchAll(/`([^`]+)`/g)].map(([, type]) => type!),
  );
  const types = guardEventSchema.unwrap().options.map((option) => option.unwrap().shape.type.value);
  expect(rows.sort()).toEqual([...types].sort());
});
