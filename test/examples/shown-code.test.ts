import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const text = (path: string) => readFile(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');

it.each([
  ['docs/variants.md', 'examples/variants/main.ts'],
  ['docs/serverless.md', 'examples/lambda/handler.ts'],
  ['docs/workers.md', 'examples/bullmq-worker/main.ts'],
])('the code that %s shows is that of %s, which tests run', async (page, example) => {
  const blocks = [...(await text(page)).matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!);
  expect(blocks).toHaveLength(1);
  let rest = await text(example);
  for (const part of blocks[0]!.split(/^ *\/\/ …\n/m)) {
    expect(rest).toContain(part);
    rest = rest.slice(rest.indexOf(part) + part.length);
  }
});
